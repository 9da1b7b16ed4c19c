"""
How often the status of one account's publishes may be asked, shared by all who wait for one in this process.

TikTok counts 30 questions a minute and access token (Rate limits, 2026-08-04) over all processes, of which
nobody here knows how many there are. So each begins near the whole, halves its pace when TikTok says that it
was too much, and gains one question a minute from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

#: Questions a minute: TikTok's 30, less what a token that is renewed or a slow network may push into one.
MOST = 27
#: However often TikTok refuses, nobody is to wait for ever.
FEWEST = 3
#: Pauses grow until this part of the pace is left, for the young ones, who ask more often.
SPARE = 1.2


class Budget:
    """
    The questions that may be asked about one account, evenly spaced; for any number of threads and loops.

    :param window: seconds of TikTok's minute
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._rate = float(MOST)
        self._rate_since = self._slowed_at = time.monotonic()
        self._next_at = 0.0
        self._waiters = 0

    @property
    def rate(self) -> float:
        """How many questions a minute there may be just now."""
        gained = (time.monotonic() - self._rate_since) / self._window
        return min(float(MOST), self._rate + gained)

    @property
    def gap(self) -> float:
        """Seconds from one question to the next."""
        return self._window / self.rate

    @property
    def interval(self) -> float:
        """Seconds that each waiter should let pass between two questions, so that there is room for all."""
        return SPARE * self._waiters * self.gap

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count as one who waits for a publish of this account."""
        with self._lock:
            self._waiters += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiters -= 1

    def take(self) -> float:
        """Take the next question if it may be asked now: 0. Else take nothing: the seconds until then."""
        with self._lock:
            left = self._next_at - time.monotonic()
            if left > 0:
                return left
            self._next_at = time.monotonic() + self.gap
            return 0.0

    def reserve(self) -> float:
        """Take the next question, whenever it may be asked: the seconds until then."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self.gap
            return at - now

    def refused(self, asked_at: float) -> bool:
        """
        Slow down, since TikTok has answered 429.

        :param asked_at: when, by ``time.monotonic()``: what left before the last halving says nothing new
        :return: whether the pace was halved
        """
        with self._lock:
            if asked_at < self._slowed_at:
                return False
            self._rate = max(float(FEWEST), self.rate / 2)
            self._rate_since = self._slowed_at = now = time.monotonic()
            self._next_at = max(self._next_at, now + self.gap)
            return True


_budgets: WeakValueDictionary[Hashable, Budget] = WeakValueDictionary()
_making = threading.Lock()


def shared_budget(account: Hashable, window: float) -> Budget:
    """
    Give the one budget that this process has for an account; forgotten when nobody holds it any more.

    :param account: tells it from others
    :param window: seconds of TikTok's minute
    """
    with _making:
        key = (account, window)
        budget = _budgets.get(key)
        if budget is None:
            budget = _budgets[key] = Budget(window)
        return budget
