"""Processes that train together, played by threads: what each would send is exchanged at a barrier."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Result = TypeVar("Result")


class Board:
    """Where all leave what they send."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.slots: list[Any] = [None] * size

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """What everyone sent."""
        self.slots[rank] = value
        self.barrier.wait()
        everything = list(self.slots)
        self.barrier.wait()
        return everything


class Member:
    """A `pyconvx.training.Communicator`."""

    def __init__(self, board: Board, rank: int) -> None:
        self._board, self.rank = board, rank
        self.gathered: list[tuple[int, ...]] = []  # shapes of what this one sent

    @property
    def size(self) -> int:
        return self._board.size

    def gather(self, rows: Array) -> Array:
        self.gathered.append(rows.shape)
        return np.concatenate(self._board.exchange(self.rank, rows.copy()))

    def sum(self, gradients: dict[str, Array]) -> dict[str, Array]:
        every = self._board.exchange(self.rank, gradients)
        return {name: np.sum([one[name] for one in every], axis=0) for name in gradients}


def together(size: int, work: Callable[[Member], Result]) -> list[Result]:
    """What each of so many processes returns; if one fails, the others are let go, and its error comes out."""
    board = Board(size)

    def one(rank: int) -> Result:
        try:
            return work(Member(board, rank))
        except BaseException:
            board.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
    errors = [future.exception() for future in futures]
    first = [error for error in errors if error and not isinstance(error, threading.BrokenBarrierError)]
    if first:
        raise first[0]
    return [future.result() for future in futures]
