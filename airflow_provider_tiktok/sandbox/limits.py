"""
TikTok's limits: sliding minutes per user, and the caps of a day.

Numbers: Rate limits page (2026-08-04); Direct Post and Photo references, sharing guidelines (2026-09-11).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable


class SlidingWindow:
    """How often something happened within the last ``length`` seconds, for each key."""

    def __init__(self) -> None:
        self._times: defaultdict[Hashable, deque[float]] = defaultdict(deque)

    def count(self, key: Hashable, since: float) -> int:
        """
        Events of this key after ``since``; older ones are forgotten.

        :param key: whose events.
        :param since: begin of the window; an event exactly there has left it.
        """
        times = self._times[key]
        while times and times[0] <= since:
            times.popleft()
        return len(times)

    def add(self, key: Hashable, now: float) -> None:
        """
        One more event.

        :param key: whose.
        :param now: when.
        """
        self._times[key].append(now)

    def admit(self, key: Hashable, now: float, limit: int, length: float) -> bool:
        """
        Whether one more fits, and if so count it. What is refused is not counted.

        :param key: whose.
        :param now: when.
        :param limit: how many fit; 0 = any number.
        :param length: seconds of the window.
        """
        if limit and self.count(key, now - length) >= limit:
            return False
        self.add(key, now)
        return True


def day_began(now: float, day: float, kind: str) -> float:
    """
    The begin of the window that a day's cap counts in. Which kind TikTok has is not documented.

    :param now: the time.
    :param day: seconds of a day.
    :param kind: ``rolling``, or ``calendar`` (days counted from the epoch).
    """
    # Just before its first moment, since counting leaves out what lies exactly at the begin.
    return now - day if kind == "rolling" else now - now % day - 1e-6
