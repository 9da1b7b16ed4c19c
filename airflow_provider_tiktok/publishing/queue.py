"""
The queue of one account and kind of post: whose turn it is, and when. No I/O, and no clock of its own.

Several tasks are released before the first has been answered, since a task's process takes seconds to start;
each counts as one that has a place in TikTok's minute and day until its answer is in the account's trail.
"""

from __future__ import annotations

import bisect
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from airflow_provider_tiktok.exceptions import TikTokError, answer_error
from airflow_provider_tiktok.publishing.day import Day
from airflow_provider_tiktok.publishing.pace import Limit, Place, Released, Windows
from airflow_provider_tiktok.publishing.trail import Trail

#: A task is not released before it has waited this long: no trigger may fire in its first seconds.
READY_SECONDS = 5.5
#: Nor while its next neighbours arrive out of order: until none has for a while, and at most for so long.
COLLECT_SECONDS, QUIET_SECONDS, NEIGHBOURS = 12.0, 3.0, 2
#: Released and not yet answered, at most.
MOST_UNDERWAY = 5
#: After so long a released task is not waited for; twice as long each time, since workers may be rare.
LOST_SECONDS, LONGEST_LOST_SECONDS = 120.0, 3600.0

#: The code that is told where none is known.
_CODES = {Limit.DAY: "spam_risk_too_many_posts", Limit.DRAFTS: "spam_risk_too_many_pending_share"}


@dataclass(eq=False)
class Waiter:
    """
    A task that waits for its turn.

    :param place: in the queue
    :param came: when it came to this queue, seconds since 1970
    :param limit: the one that it has met; empty = none
    :param max_wait: seconds to wait while no post of the account gets through; None = for ever
    """

    place: Place
    came: float
    limit: str = ""
    max_wait: float | None = None

    @property
    def ready_at(self) -> float:
        """When it may be released at the earliest: later, the more often TikTok's own trouble was met."""
        return self.came + READY_SECONDS * 2.0 ** min(self.place.tries, 6)

    def gives_up_at(self, last_post: float | None) -> float:
        """
        Tell when it has waited too long.

        :param last_post: of its account, seconds since 1970; None = nothing is known of it
        """
        since = self.came if last_post is None else max(self.place.asked, last_post)
        return float("inf") if self.max_wait is None else since + self.max_wait


@dataclass(frozen=True)
class Fail:
    """A waiter's turn will not come."""

    waiter: Waiter
    error: TikTokError


@dataclass(frozen=True)
class Release:
    """It is a waiter's turn."""

    waiter: Waiter


@dataclass(frozen=True)
class Ask:
    """TikTok is to be asked whether the day has a place."""


@dataclass(frozen=True)
class Pause:
    """Nothing is to be done before ``until``, seconds since 1970."""

    until: float


Step: TypeAlias = Fail | Release | Ask | Pause


@dataclass(frozen=True)
class _Underway:
    ticket: str
    at: float
    task: str = ""


@dataclass
class Queue:
    """
    The tasks of one account that wait with one kind of post.

    :param lane: the post mode
    :param windows: of the account
    :param ticket: makes a ticket for a release
    """

    lane: str
    windows: Windows
    ticket: Callable[[], str] = field(default=lambda: secrets.token_hex(6))

    def __post_init__(self) -> None:
        self.day = Day(self.lane, self.windows)
        self._waiters: list[Waiter] = []
        self._underway: list[_Underway] = []
        self._patience = LOST_SECONDS
        self._last = _Underway("", 0.0)
        self._overtook_at = 0.0

    @property
    def waiters(self) -> tuple[Waiter, ...]:
        """Who waits, in order."""
        return tuple(self._waiters)

    @property
    def underway(self) -> int:
        """How many were released and have not been answered."""
        return len(self._underway)

    def join(self, waiter: Waiter) -> int:
        """
        Take a task into the queue.

        :param waiter: the task
        :return: how many are before it
        """
        # no answer will come of an earlier release: its process is gone, or Airflow never let it start
        self._underway = [each for each in self._underway if each.task != waiter.place.task]
        before = bisect.bisect(self._waiters, waiter.place.key, key=lambda each: each.place.key)
        if before < min(NEIGHBOURS, len(self._waiters)):
            self._overtook_at = waiter.came
        self._waiters.insert(before, waiter)
        self.day.doubted = self.day.doubted or waiter.limit in _CODES
        return before

    def leave(self, waiter: Waiter) -> None:
        """
        Take a task out of the queue, if it is still in it.

        :param waiter: the task
        """
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def release(self, waiter: Waiter, now: float) -> Released:
        """
        Let a task go.

        :param waiter: the task
        :param now: seconds since 1970
        """
        self.leave(waiter)
        after = self._last.ticket if self._last in self._underway else ""
        self._last = _Underway(f"{waiter.place.ticket}.{self.ticket()}", now, waiter.place.task)
        self._underway.append(self._last)
        self.day.went()
        return Released(self._last.ticket, after)

    def step(self, trail: Trail, now: float) -> Step:
        """
        Tell what is to be done next.

        :param trail: of the account
        :param now: seconds since 1970
        """
        self._look_back(trail, now)
        if not self._waiters:
            return Pause(float("inf"))
        if failed := self._failed(trail, now):
            return failed
        head = self._waiters[0]
        ready_at = max(self._ready_at(head), self._room_at(trail, now))
        if ready_at > now:
            return Pause(ready_at)
        if self.underway >= MOST_UNDERWAY:
            return Pause(now + self.windows.spacing)
        verdict = self.day.verdict(trail, now, self.underway)
        if verdict.go:
            return Release(head)
        return Ask() if verdict.ask else Pause(verdict.until)

    def is_due(self, now: float) -> bool:
        """
        Tell whether the trail matters now: not while the head may not go anyhow.

        :param now: seconds since 1970
        """
        soon = now + 1.0
        return bool(self._underway) or any(self._ready_at(each) <= soon for each in self._waiters[:1])

    def next_deadline(self, trail: Trail) -> float:
        """
        Tell when the first waiter gives up.

        :param trail: of the account
        """
        last_post = self._last_post(trail)
        return min((each.gives_up_at(last_post) for each in self._waiters), default=float("inf"))

    def _look_back(self, trail: Trail, now: float) -> None:
        """Forget who has been answered, and who has not been for so long that it is lost."""
        missing = [each for each in self._underway if not trail.answered(each.ticket)]
        if len(missing) < len(self._underway):
            self._patience = LOST_SECONDS
        self._underway = [each for each in missing if now < each.at + self._patience]
        if len(self._underway) < len(missing):
            self._patience = min(LONGEST_LOST_SECONDS, 2 * self._patience)

    def _failed(self, trail: Trail, now: float) -> Fail | None:
        if trail.circuit is not None and trail.circuit.holds(self.lane, now):
            return Fail(self._waiters[0], trail.circuit.error())
        last_post = self._last_post(trail)
        for each in self._waiters:
            if each.gives_up_at(last_post) <= now:
                return Fail(each, too_long(each, self.day.refused))
        return None

    def _last_post(self, trail: Trail) -> float | None:
        """After a restart of the triggerer in an outage, what was posted meanwhile cannot be read."""
        return trail.last_post(self.lane) if trail.entries else None

    def _ready_at(self, head: Waiter) -> float:
        quiet_at = min(head.came + COLLECT_SECONDS, self._overtook_at + QUIET_SECONDS)
        return max(head.ready_at, quiet_at, self._last.at + self.windows.spacing)

    def _room_at(self, trail: Trail, now: float) -> float:
        lead = self.windows.lead
        coming = [max(now, each.at + lead) for each in self._underway]
        return trail.room_at(self.lane, self.windows, coming) - lead


def too_long(waiter: Waiter, code: str = "") -> TikTokError:
    """
    Give the error of a task that has waited too long.

    :param waiter: the task
    :param code: with which TikTok has refused the account's posts; empty = not known
    """
    detail = f"no post of this account got through within {waiter.max_wait:g} s, which is max_wait"
    code = code or _CODES.get(waiter.limit, "rate_limit_exceeded")  # type: ignore[call-overload]
    return answer_error("waiting for a turn to post", code, detail=detail)
