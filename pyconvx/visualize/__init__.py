"""Seeing what a network has learned, in one, two and three dimensions.

`top_patches` and `survey` find the patches of pictures that excite units most; `receptive_field` says what a
layer reads; `backproject` and `occlusion`, what of a picture a unit answers to; `maximize`, what it likes best;
`invert`, what a layer still knows of a picture; `figure` is the page of it all, and the command `pyconvx visualize`.
"""

from pyconvx.visualize.attribution import backproject, backproject_patch, occlusion
from pyconvx.visualize.cluster import survey_with_dask
from pyconvx.visualize.fields import ReceptiveField, format_table, receptive_field, receptive_fields
from pyconvx.visualize.inversion import invert
from pyconvx.visualize.layout import Figure, figure
from pyconvx.visualize.maximization import maximize
from pyconvx.visualize.patches import Patch, Statistics, TopPatches, crop
from pyconvx.visualize.reader import PatchReader
from pyconvx.visualize.surveys import Survey, merge
from pyconvx.visualize.synthesis import Synthesis
from pyconvx.visualize.top import survey, top_patches

__all__ = [
    "Figure",
    "Patch",
    "PatchReader",
    "ReceptiveField",
    "Statistics",
    "Survey",
    "Synthesis",
    "TopPatches",
    "backproject",
    "backproject_patch",
    "crop",
    "figure",
    "format_table",
    "invert",
    "maximize",
    "merge",
    "occlusion",
    "receptive_field",
    "receptive_fields",
    "survey",
    "survey_with_dask",
    "top_patches",
]
