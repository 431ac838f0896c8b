"""What a pass over pictures has found: patches, statistics, and the file that a stopped pass goes on from.

The file is in safetensors, written atomically: arrays of layer i as "i/name", kept patches as
"i/patch/unit/picture/position", and in the metadata JSON what the pass was asked for and how far it has come.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn import safetensors
from pyconvx.visualize._tally import Tally
from pyconvx.visualize.patches import TopPatches

Array = NDArray[Any]
PathLike = str | os.PathLike[str]

_FORMAT = "pyconvx.visualize 1"
# These may differ between shards and still give the same result, or one that differs in its last bits.
ADVISORY = ("version", "isa")


@dataclass
class Survey:
    """All that a pass over pictures has found so far; `survey["conv4_2"]` is a layer's `TopPatches`.

    Attributes
    ----------
    asked : dict
        What was asked for: layers, k, digests of the network and of the data.
    tallies : dict of str to Tally
        The memory of each layer.
    done : list of (int, int)
        Ranges (start, stop) of the pictures that were looked at.
    names : dict of int to str
        Names of the pictures in the tables.
    class_counts : ndarray
        Pictures of each class; all in one without labels.
    skipped : list of str
        Names of pictures that could not be read.
    """

    asked: dict[str, Any]
    tallies: dict[str, Tally]
    done: list[tuple[int, int]]
    names: dict[int, str]
    class_counts: NDArray[np.int64]
    skipped: list[str] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """How many pictures were looked at."""
        return int(self.class_counts.sum())

    @property
    def classes(self) -> list[str]:
        """Names of the classes; empty without labels."""
        return list(self.asked["data"]["classes"])

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Ranges (start, stop) of pictures that were not looked at: parts that were not merged, or still to come."""
        total = self.asked["data"]["pictures"]
        if total is None:
            return []
        edges = [0, *(edge for pair in self.done for edge in pair), total]
        return [(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop]

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return list(self.tallies)

    def __getitem__(self, layer: str) -> TopPatches:
        if layer not in self.tallies:
            looked = ", ".join(self.tallies) or "none, for no picture was looked at"
            raise OptionError(f"layer {layer!r} was not looked at; there are {looked}")
        return TopPatches(layer, self)

    def add_done(self, start: int, stop: int) -> None:
        """Note a range of pictures as looked at."""
        self.done = joined_ranges([*self.done, (start, stop)])

    def prune(self) -> None:
        """Forget the names of pictures, and patches, that are in no table any more."""
        for tally in self.tallies.values():
            tally.prune()
        wanted = {int(number) for tally in self.tallies.values() for number in np.unique(tally.best.pictures)}
        self.names = {number: name for number, name in sorted(self.names.items()) if number in wanted}

    def save(self, path: PathLike) -> None:
        """Write all of it to a file, whole or not at all."""
        self.prune()
        tensors: dict[str, Array] = {"class_counts": self.class_counts}
        for index, tally in enumerate(self.tallies.values()):
            tensors |= {f"{index}/{name}": array for name, array in tally.tensors().items()}
            for (unit, number, position), patch in tally.kept.items():
                tensors[f"{index}/patch/{unit}/{number}/{','.join(map(str, position))}"] = patch
        state = {"done": self.done, "names": list(self.names.items()), "skipped": self.skipped}
        metadata = {"format": _FORMAT, "asked": json.dumps(self.asked), "state": json.dumps(state)}
        metadata["digest"] = _digest(tensors, metadata)
        safetensors.save_file(tensors, path, metadata=metadata)

    @classmethod
    def load(cls, path: PathLike) -> Survey:
        """Read what `save` wrote.

        Raises
        ------
        WeightsError
            If the file is damaged, or is no survey.
        OSError
            If it cannot be read.
        """
        metadata = safetensors.load_metadata(path)
        if metadata.get("format") != _FORMAT:
            raise WeightsError(f"{os.fspath(path)} is not a survey of this version of the format")
        try:
            asked, state = json.loads(metadata["asked"]), json.loads(metadata["state"])
            tensors = safetensors.load_file(path)
            one = bool(asked["one_per_picture"])
            seen = tensors["class_counts"].any()  # a part without pictures has no tallies yet
            tallies = {name: _tally(i, tensors, one) for i, name in enumerate(asked["layers"])} if seen else {}
            done = [(int(start), int(stop)) for start, stop in state["done"]]
            names = {int(number): str(name) for number, name in state["names"]}
            survey = cls(asked, tallies, done, names, tensors["class_counts"], [str(name) for name in state["skipped"]])
            survey._check()
            if metadata["digest"] != _digest(tensors, metadata):
                raise ValueError("its digest is another")
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise WeightsError(f"{os.fspath(path)}: the survey is damaged ({error!r})") from error
        return survey

    def _check(self) -> None:
        """Refuse arrays whose shapes do not belong together."""
        classes = max(1, len(self.classes))
        for tally in self.tallies.values():
            units, k = len(tally.units), self.asked["k"]
            shapes = [tally.best.values.shape, tally.best.pictures.shape, tally.best.positions.shape[:2]]
            sums = [tally.sums.limbs.shape[:-1], tally.maxima.limbs.shape[:-1], tally.positive.shape]
            if shapes != [(units, k)] * 3 or sums != [(units,), (classes, units), (units,)]:
                raise ValueError("shapes do not fit")
        if self.class_counts.shape != (classes,):
            raise ValueError("class_counts does not fit")


def _digest(tensors: dict[str, Array], metadata: dict[str, str]) -> str:
    """Return the SHA-256 of all that is in a file but for itself: a bit that has flipped would change what is found."""
    sha = hashlib.sha256(f"{metadata['asked']}{metadata['state']}".encode())
    for name, array in sorted(tensors.items()):
        sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _tally(index: int, tensors: dict[str, Array], one_per_picture: bool) -> Tally:
    prefix = f"{index}/"
    own = {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}
    tally = Tally.from_tensors(own, one_per_picture)
    for name, array in own.items():
        if name.startswith("patch/"):
            _, unit, number, position = name.split("/")
            place = tuple(int(axis) for axis in position.split(",") if axis)
            tally.kept[int(unit), int(number), place] = array
    return tally


def differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Return the names of what two surveys were asked for differently."""
    return sorted(name for name in {*here, *there} if name not in ADVISORY and here.get(name) != there.get(name))


def merge(parts: Iterable[Survey | TopPatches]) -> Any:
    """Return what one pass over all pictures would have found, from passes over disjoint parts of them.

    Parameters
    ----------
    parts : sequence of Survey, or of TopPatches
        From `survey` or `top_patches` with `shard=(i, n)`, or loaded from their state files; in any order.

    Returns
    -------
    Survey or TopPatches
        As the parts are. Tables and statistics have the same bits as those of one pass.

    Raises
    ------
    OptionError
        If the parts were asked for different things, or have pictures in common.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 2, 3, random_state=0)})
    >>> signals = np.random.default_rng(0).standard_normal((8, 20, 1)).astype(np.float32)
    >>> parts = [visualize.top_patches(net, "conv", None, signals, k=3, shard=(i, 2)) for i in range(2)]
    >>> whole = visualize.top_patches(net, "conv", None, signals, k=3)
    >>> bool((visualize.merge(parts).values == whole.values).all())
    True
    """
    given: Sequence[Survey | TopPatches] = list(parts)
    if not given:
        raise OptionError("parts is empty; there is nothing to merge")
    surveys = [part.survey if isinstance(part, TopPatches) else part for part in given]
    result = surveys[0]
    for other in surveys[1:]:
        result = _merged(result, other)
    if isinstance(given[0], TopPatches):
        return result[given[0].layer]
    return result


def _merged(one: Survey, two: Survey) -> Survey:
    wrong = differences(one.asked, two.asked)
    if wrong:
        raise OptionError(f"parts were asked for different things ({', '.join(wrong)}) and cannot be merged")
    done = joined_ranges([*one.done, *two.done])
    if one.tallies and two.tallies:
        tallies = {layer: tally.merged(two.tallies[layer]) for layer, tally in one.tallies.items()}
    else:  # one of them had no pictures
        tallies = one.tallies or two.tallies
    skipped = sorted({*one.skipped, *two.skipped})
    result = Survey(one.asked, tallies, done, one.names | two.names, one.class_counts + two.class_counts, skipped)
    result.prune()
    return result


def joined_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those that touch as one; refuse those that overlap."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if joined and start < joined[-1][1]:
            raise OptionError(f"pictures {start} to {min(stop, joined[-1][1]) - 1} are in two of the parts")
        if joined and start == joined[-1][1]:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined
