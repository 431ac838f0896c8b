"""The problems that are timed: each a layer or a search that people run, with the reason why it is here."""

from bench.problems.depthwise import DEPTHWISE
from bench.problems.filters import FILTERS
from bench.problems.images import IMAGES
from bench.problems.signals import SIGNALS
from bench.problems.unusual import UNUSUAL
from bench.problems.volumes import VOLUMES

CONV = [*IMAGES, *SIGNALS, *VOLUMES, *DEPTHWISE, *FILTERS, *UNUSUAL]
