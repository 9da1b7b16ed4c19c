"""A queue of tasks in virtual time: TikTok's windows, task processes that take seconds to start, a trail."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_tiktok.exceptions import TikTokError
from airflow_provider_tiktok.publishing.pace import GONE, LIMITS, OK, Limit, Place, Released, Windows
from airflow_provider_tiktok.publishing.queue import Ask, Fail, Pause, Queue, Release, Waiter
from airflow_provider_tiktok.publishing.trail import Circuit, Entry, Trail

DIRECT, DRAFT = "DIRECT_POST", "MEDIA_UPLOAD"
BEGAN = 1_000_000.0
CAPPED = {DIRECT: "spam_risk_too_many_posts", DRAFT: "spam_risk_too_many_pending_share"}


@dataclass
class Limits:
    """TikTok: sliding minutes, a day of either kind that counts what is posted, ``lag`` after its init."""

    windows: Windows
    lane: str = DIRECT
    cap: int = 15
    calendar: bool = False
    lag: float = 2.0
    inits: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    posted: list[float] = field(default_factory=list)
    down_until: float = 0.0

    def _full(self, now: float) -> bool:
        day = self.windows.day
        since = now - now % day - 1e-6 if self.calendar else now - day
        return sum(since < each <= now for each in self.posted) >= self.cap

    def init(self, now: float) -> str:
        if now < self.down_until:
            return "internal_error"
        if sum(each > now - self.windows.minute for each in self.inits) >= 6:
            return "rate_limit_exceeded"
        self.inits.append(now)
        return CAPPED[self.lane] if self._full(now) else OK

    def complete(self, now: float) -> str:
        if self._full(now):
            return CAPPED[self.lane]
        self.posted.append(now)
        return OK

    def creator_info(self, now: float) -> str:
        if sum(each > now - self.windows.minute for each in self.asked) >= 20:
            return "rate_limit_exceeded"
        self.asked.append(now)
        return CAPPED[self.lane] if self._full(now) else OK


class Simulation:
    """Runs tasks through a :class:`Queue` as dispatcher, turn and operator do, in no time."""

    def __init__(
        self,
        limits: Limits,
        *,
        start: Callable[[], float] = lambda: 3.0,
        seed: int = 0,
        max_wait: float | None = None,
    ) -> None:
        self.limits, self.windows = limits, limits.windows
        self.now = BEGAN
        self.queue = Queue(limits.lane, limits.windows)
        self.trail = Trail()
        self.random = random.Random(seed)
        self.start, self.max_wait = start, max_wait
        self.answers: list[tuple[float, int, str]] = []  # of inits: when, whose, what
        self.failed: list[tuple[int, TikTokError]] = []
        self.done: list[int] = []
        self.dead: set[int] = set()  # their processes die before the init
        self.most_underway = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._busy = False
        self._wake_at = float("inf")

    # --- what a test says ---

    def add(self, index: int, at: float = 0.0, *, date: str = "2026-11-01", **place: float) -> None:
        made = Place(f"t{index}", date, index, BEGAN + at, **place)  # type: ignore[arg-type]
        self.at(BEGAN + at, lambda: self._join(made, ""))

    def note(self, entry: Entry) -> None:
        self.trail = self.trail.with_entry(entry, self.windows)

    def obstruct(self, code: str) -> None:
        self.trail = Trail(self.trail.entries, self.trail.caps, Circuit(code, self.limits.lane, "", self.now))

    def at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._count), what))

    def run(self, until: float = float("inf")) -> None:
        while self._events and self._events[0][0] <= BEGAN + until:
            self.now, _, what = heapq.heappop(self._events)
            what()
            self._dispatch()

    @property
    def order(self) -> list[int]:
        return [index for _, index, code in self.answers if code == OK]

    @property
    def refused(self) -> list[str]:
        return [code for _, _, code in self.answers if code in LIMITS]

    @property
    def seconds(self) -> float:
        return max(at for at, _, code in self.answers if code == OK) - BEGAN

    # --- the dispatcher ---

    def _join(self, place: Place, limit: str) -> None:
        self.queue.join(Waiter(place, self.now, limit, self.max_wait))

    def _dispatch(self) -> None:
        while True:
            match self.queue.step(self.trail, self.now):
                case Release(waiter):
                    self._release(waiter, self.queue.release(waiter, self.now))
                case Fail(waiter, error):
                    self.queue.leave(waiter)
                    self.failed.append((waiter.place.map_index, error))
                case Ask():
                    self._ask()
                case Pause(until):
                    self._wake(min(until, self.queue.next_deadline(self.trail)))
                    return

    def _wake(self, at: float) -> None:
        longest = self.windows.minute / 20 if self.queue.underway else self.windows.minute
        if self.queue.waiters:
            at = max(self.now + 0.02, min(at, self.now + longest))
            if not self.now < self._wake_at <= at:
                self._wake_at = at
                self.at(at, lambda: None)

    def _ask(self) -> None:
        code, day = self.limits.creator_info(self.now), self.queue.day
        assert code != "rate_limit_exceeded"
        if code == OK:
            day.said_yes(self.trail, self.now, self.queue.underway)
        else:
            day.said_no(code, self.trail, self.now)

    # --- a task's process ---

    def _release(self, waiter: Waiter, released: Released) -> None:
        self.most_underway = max(self.most_underway, self.queue.underway)
        came = self.now + self.start()
        if waiter.place.map_index in self.dead:
            self.dead.discard(waiter.place.map_index)
            return
        self.at(came, lambda: self._turn(waiter.place, released, came + 60.0))

    def _turn(self, place: Place, released: Released, until: float) -> None:
        before = released.after and not self.trail.answered(released.after) and self.now < until
        room_at = self.trail.room_at(self.limits.lane, self.windows)
        if before or self._busy or room_at > self.now:
            later = self.now + 0.5 if before or self._busy else room_at
            self.at(later, lambda: self._turn(place, released, until))
            return
        self._busy = True
        code = self.limits.init(self.now)
        self.at(self.now + 0.1, lambda: self._answered(place, released.ticket, code))

    def _answered(self, place: Place, ticket: str, code: str) -> None:
        self._busy = False
        self.answers.append((self.now, place.map_index, code))
        self.note(Entry(self.now, ticket, code, self.limits.lane, queued=True))
        if code == OK:
            self.at(self.now + self.limits.lag, lambda: self._completed(place, ticket))
        elif code == "internal_error":
            self.at(self.now + 1.0, lambda: self._join(place.again(), ""))
        else:
            self.at(self.now + 1.0, lambda: self._join(place, str(LIMITS[code])))

    def _completed(self, place: Place, ticket: str) -> None:
        code = self.limits.complete(self.now)
        if code == OK:
            self.done.append(place.map_index)
            return
        self.note(Entry(self.now, ticket, code, self.limits.lane, queued=True, init=False))
        self.answers.append((self.now, place.map_index, code))
        self.at(self.now + 1.0, lambda: self._join(place, str(Limit.DAY)))


def gone(ticket: str, at: float, lane: str = DIRECT) -> Entry:
    return Entry(at, ticket, GONE, lane, queued=True, init=False)


def least_seconds(posts: int, windows: Windows, cap: int = 15) -> float:
    """The least time in which TikTok's limits let so many be begun."""
    rounds, rest = divmod(posts - 1, cap)
    return rounds * windows.day + rest // 6 * windows.minute


def waiter(
    index: int, came: float = BEGAN, *, limit: str = "", max_wait: float | None = None, tries: int = 0
):
    place = Place(f"t{index}", "2026-11-01", index, came, tries)
    return Waiter(place, came, limit, max_wait)


def filled(*waiters: Waiter, lane: str = DIRECT, windows: Windows | None = None) -> Queue:
    queue = Queue(lane, windows or Windows())
    for each in waiters:
        queue.join(each)
    return queue
