"""How much of a resource work in several threads may hold together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """So many units; who wants more than there are gets them all, alone."""

    def __init__(self, units: int) -> None:
        self._units = self._left = units
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, units: int) -> Iterator[bool]:
        """Wait until `units` are free, hold them within the block; the value says whether that is all there are."""
        wanted = min(units, self._units)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield wanted == self._units
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()
