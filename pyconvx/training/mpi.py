"""Training on several machines by MPI (mpi4py, the extra "mpi"): one process a machine, each with all examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import MissingExtraError
from pyconvx.training.parallel import Gradients

Array = NDArray[Any]


class MpiCommunicator:
    """The processes that `mpiexec` has started, for the argument `communicator` of a trainer.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        All processes, if not given.

    Raises
    ------
    MissingExtraError
        Without mpi4py.

    Notes
    -----
    Start a script by `mpiexec -n 2 python -m mpi4py script.py`: so that, if one process fails, the others do not wait
    for it forever. Every process computes its part of each batch with all threads that it may use.

    Examples
    --------
    >>> from pyconvx.errors import MissingExtraError
    >>> try:
    ...     print(MpiCommunicator().rank)  # of one process
    ... except MissingExtraError:
    ...     print(0)
    0
    """

    def __init__(self, comm: Any = None) -> None:
        try:
            from mpi4py import MPI
        except ImportError:
            raise MissingExtraError("training on several processes", "mpi", "mpi4py") from None
        self._mpi: Any = MPI
        self._comm = MPI.COMM_WORLD if comm is None else comm

    @property
    def rank(self) -> int:
        """Which of the processes this is, from 0."""
        return int(self._comm.Get_rank())

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self._comm.Get_size())

    def gather(self, rows: Array) -> Array:
        """Return the rows of all processes, in the order of their ranks; numbers of rows may differ."""
        own = np.ascontiguousarray(rows)
        counts = np.array(self._comm.allgather(len(own)))
        result = np.empty((int(counts.sum()), *own.shape[1:]), own.dtype)
        width = own.dtype.itemsize * int(np.prod(own.shape[1:]))  # in bytes: any type can be sent so
        self._comm.Allgatherv(
            [own.view(np.uint8).reshape(-1), self._mpi.BYTE],
            [result.view(np.uint8).reshape(-1), (counts * width).tolist(), self._mpi.BYTE],
        )
        return result

    def sum(self, gradients: Gradients) -> Gradients:
        """Return the sum over all processes of each array, the same bits on every one.

        All arrays of a type go in one message. One process adds and tells the others: MPI does not promise that an
        Allreduce gives every process the same bits.
        """
        result: Gradients = {}
        for dtype in sorted({array.dtype for array in gradients.values()}, key=str):
            own = {name: array for name, array in gradients.items() if array.dtype == dtype}
            flat = np.concatenate([array.reshape(-1) for array in own.values()])
            total = np.empty_like(flat)
            self._comm.Reduce(flat, total, op=self._mpi.SUM, root=0)
            self._comm.Bcast(total, root=0)
            ends = np.cumsum([array.size for array in own.values()])[:-1]
            for (name, array), part in zip(own.items(), np.split(total, ends), strict=True):
                result[name] = part.reshape(array.shape)
        return {name: result[name] for name in gradients}

    def abort(self, code: int) -> None:
        """End all processes at once; to be called where one of them fails and the others would wait for it."""
        self._comm.Abort(code)
