"""The libraries to compare with, each used if it is installed: how they are found, held to one instruction set, asked.

A peer is a module of this folder with functions named after what is asked (conv, gram, pool, distances, nearest,
trunk, triplet_step, norm_step, mined_triplets, face_encoding, face_scores, face_detection, face_folder), each returning
the sides that can do a problem, or raising Unsupported. Peers get their best: weights packed beforehand where they can,
outputs bound, the layout that they like.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Any

from bench.harness import Side, told


class Unsupported(Exception):
    """The peer has no such operation."""


@dataclass(frozen=True)
class Peer:
    """`package` to import, `distribution` for its version, `module` of this folder; `held` where an environment
    variable (bench/environment.py) keeps it to a lesser instruction set than the processor's best."""

    package: str
    distribution: str
    module: str
    held: bool


KNOWN = [
    Peer("torch", "torch", "pytorch", held=True),
    Peer("torch", "torch", "pytorch_nets", held=True),
    Peer("torch", "torch", "pytorch_faces", held=True),
    Peer("onnxruntime", "onnxruntime", "onnx_runtime", held=False),
    Peer("onnxruntime", "onnxruntime", "onnx_faces", held=False),
    Peer("ncnn", "ncnn", "ncnn_net", held=False),
    Peer("openvino", "openvino", "open_vino", held=False),
    Peer("numpy", "numpy", "numpy_blas", held=True),
    Peer("scipy", "scipy", "scipy_spatial", held=True),
    Peer("scipy", "scipy", "scipy_filters", held=True),
    Peer("faiss", "faiss-cpu", "faiss_flat", held=True),
    Peer("dlib", "dlib-bin", "dlib_faces", held=False),
    Peer("pytorch_metric_learning", "pytorch-metric-learning", "metric_learning", held=True),
]


@dataclass
class Peers:
    """The peers of one run: modules by their own name, versions and what is left out by the package's."""

    threads: int
    modules: dict[str, ModuleType] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def sides(self, operation: str, *problem: Any) -> tuple[list[Side], dict[str, str]]:
        """The sides of all peers for a problem, and why a peer has none."""
        sides, skipped = [], {}
        for name, module in self.modules.items():
            build = getattr(module, operation, None)
            if build is None:
                continue
            try:
                sides += build(*problem, self.threads)
            except Unsupported as reason:
                skipped[name] = str(reason)
            except Exception as failure:
                skipped[name] = told(failure)
        return sides, skipped


def find_peers(threads: int, best_isa: bool) -> Peers:
    """All peers that are installed and can be held to the instruction set under test."""
    peers = Peers(threads)
    for peer in KNOWN:
        if not best_isa and not peer.held:
            peers.skipped[peer.package] = "cannot be held to this instruction set"
            continue
        try:
            peers.modules[peer.module] = importlib.import_module(f"bench.peers.{peer.module}")
            peers.versions[peer.package] = metadata.version(peer.distribution)
        except ModuleNotFoundError as missing:
            peers.skipped[peer.package] = f"not installed ({missing.name or missing})"
    return peers
