"""The sandbox's own time: the wall clock, kept monotonic, and movable, so that an hour can pass in a test."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch that never go back; :meth:`advance` moves them forward."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """The sandbox's time."""
        return time.monotonic() + self._offset

    def advance(self, seconds: float) -> None:
        """
        Let time pass at once: tokens and upload URLs age, processing goes on, windows slide.

        :param seconds: how much; only forward.
        """
        if seconds < 0:
            raise ValueError("time goes only forward")
        self._offset += seconds
