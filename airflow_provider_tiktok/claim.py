"""
One holder at a time, over a register that has no compare-and-set: Fischer's timed mutual exclusion.

Nothing here knows what is claimed. :class:`Claim` says how it works, and why no two are ever inside.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from airflow_provider_tiktok import register
from airflow_provider_tiktok.exceptions import TikTokStoreError

T = TypeVar("T")

#: A claim stamped longer ago than this is dead at once. So two clocks must not be this far apart, nor a write
#: land this late, nor both together with HOLD come to as much.
FORGOTTEN_SECONDS = 15 * 60.0


@dataclass(frozen=True)
class Pace:
    """
    The seconds of a claim; every user of one register uses the same.

    :param write: L: what may pass from before one look to the end of the next, a write between them included
    :param settle: S: how long who has written sees its claim stand before it is in; longer than L
    :param hold: HOLD: how long a holder is in, counted from before its write
    :param ttl: TTL: how long a claim that does not change is waited for
    """

    write: float = 8.0
    settle: float = 10.0
    hold: float = 40.0
    ttl: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.write < self.settle < self.hold <= self.ttl - self.settle:
            raise ValueError(f"No claim is safe with {self}: 0 < write < settle < hold <= ttl - settle.")

    @classmethod
    def of(cls, write: float) -> Pace:
        """
        Give a pace like the default one, faster or slower.

        :param write: seconds; see above
        """
        return cls(write, write * 1.25, write * 5, write * 15)

    @property
    def between(self) -> float:
        """The seconds between two looks: L leaves the rest to two looks, and to what is done between them."""
        return self.write / 3


class Reading(NamedTuple):
    """What the clocks of this host showed at one moment."""

    monotonic: float
    boottime: float
    wall: float

    def least_since(self, earlier: Reading) -> float:
        """Tell the seconds that have surely passed."""
        return self.monotonic - earlier.monotonic

    def most_since(self, earlier: Reading) -> float:
        """Tell the seconds that may have passed: a suspended machine's monotonic clock stands still."""
        return max(
            self.monotonic - earlier.monotonic, self.boottime - earlier.boottime, self.wall - earlier.wall
        )


class Clock:
    """The clocks of this host."""

    _boottime = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone tells them apart

    def read(self) -> Reading:
        """Read all of them."""
        return Reading(time.monotonic(), time.clock_gettime(self._boottime), time.time())

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class Values(Protocol):
    """A register; :mod:`airflow_provider_tiktok.register` is one."""

    def read(self, key: str, before: Callable[[], None] | None = None) -> str | None:
        """Give the value, or None if it is proven that there is none; calls ``before`` before each look."""

    def put(self, key: str, value: str) -> None:
        """Write, without a look at what came of it."""


class Seen(NamedTuple):
    """
    A look at the register.

    :param text: what was there; None = proven absent
    :param failed: it cannot be told
    :param looked: when, at the earliest
    :param returned: when, at the latest
    """

    text: str | None
    failed: bool
    looked: Reading
    returned: Reading

    def most_since(self, earlier: Seen) -> float:
        """Tell the seconds in which something may have come and gone, unseen by an earlier look and this."""
        return self.returned.most_since(earlier.looked)

    def least_since(self, earlier: Seen) -> float:
        """Tell the seconds that surely lie between an earlier look and this."""
        return self.looked.least_since(earlier.returned)


@dataclass(frozen=True)
class Look:
    """A step: look at the register, and give a :class:`Seen`."""


@dataclass(frozen=True)
class Write:
    """A step: write, and tell whether that went without an error."""

    text: str


@dataclass(frozen=True)
class Pause:
    """A step: let time pass; ``waits`` while somebody else's claim may be live."""

    seconds: float
    waits: bool = False


Step: TypeAlias = Look | Write | Pause
Steps: TypeAlias = Generator[Step, Any, "Held"]


class Held:
    """
    A claim that is held. There is nothing to give back: it ends by itself.

    :param until: seconds from ``begun`` on that it lasts
    :param begun: before it was written
    :param clock: of this host
    """

    def __init__(self, until: float, begun: Reading, clock: Clock) -> None:
        self._until, self._begun, self._clock = until, begun, clock

    def left(self) -> float:
        """
        Tell how many seconds are left.

        To be asked before each guarded request, whose own total deadline must be shorter.
        """
        return self._until - self._clock.read().most_since(self._begun)


class Claim:
    """
    A right that one process of all hosts has at a time.

    a. Look, until no claim is live. A claim, of whoever, my own earlier ones included, is live until I have
       *watched* it for TTL on my own clock: every look found the same, and never did more than L pass from
       the beginning of a look to the end of the next. No clock of another host is compared, but that a stamp
       older than 15 minutes is dead at once.
    b. Pause at random, look again, write mine, and look for it. If the write raised, or mine is not there, or
       more than L has passed from the beginning of the look before the write to the end of the look after
       it, it is withdrawn: left where it is, and all begins again after a random pause that doubles.
    c. Watch mine for S, which is more than L. If it stands, I am in, until HOLD after the write began, by the
       fastest of my clocks. If not, it is withdrawn, too.
    d. Who is in looks first whether what it came for has been done.

    A claim is never taken back. What was done is kept under a key of its own; only when that reads back may
    claims be tidied away, for who then comes too late stops at d. A write may land or not, before it returns
    or minutes later, whatever it said: what counts is only what was seen.

    *Why no two are in.* Say A and B are, and A's claim was seen first. A saw it stand from some moment on for
    S; B saw its own only when that was over, as one register does not hold two values. B's last look before
    its write was no more than L earlier, thus, L being less than S, after A's claim had begun to stand. What
    did B find free then? Not nothing: A's claim, or one that came over it, was there. Nor a claim that it had
    watched since before A's stood: it looks at least every L, and would have met A's, which stood for S. Nor
    one older than 15 minutes: it has landed since A's did, and none lands that late. So B has watched A's, or
    what came over it, for TTL, which is more than A's HOLD. Then A is out.

    *Writes that land twice*, as one that is sent again when there is no answer. The argument takes what two
    looks found, at most L apart, for what was there between them. A single claim that comes again, whenever
    and however often, does not break it: the other's stands for S, is met, and does not come again. For two
    to be in, two claims have to come again within the same S, each just between two looks of others.

    *What is assumed.* A look that is not told as failed shows what was there at one moment while it lasted
    (no replica that lags, no failover that loses a write), and absence is told only if it is proven. All use
    the same pace. Of the three clocks of a host one goes on while it is suspended, and none of them is slow.
    By how much two hosts' clocks differ, and by how much a write lands late, come together to less than 15
    minutes less HOLD. And who is in asks for what is left before each request, and is not frozen between that
    and the request.

    :param key: of the claim in the register; nothing else is kept there
    :param pace: L, S, HOLD and TTL
    :param guards: what it is for, to be read by a person
    :param patience: seconds after which to give up; whoever gives up has not been in
    :param values: the register
    :param clock: of this host
    """

    def __init__(
        self,
        key: str,
        pace: Pace,
        *,
        guards: str = "",
        patience: float = 600.0,
        values: Values = register,
        clock: Clock | None = None,
    ) -> None:
        self._key, self._pace, self._guards, self._patience = key, pace, guards, patience
        self._values, self._clock = values, clock or Clock()

    def take(self, outcome: Callable[[], T | None]) -> Held | T:
        """
        Wait until the claim is mine, or until what it guards has been done by somebody else.

        :param outcome: tells what has been done, or None, also if it cannot tell; asked while another's claim
            may be live. It should be quick: while it is asked, nobody looks.
        :raises TikTokStoreError: neither has happened within the patience
        """
        steps, answer, began = self.steps(), None, self._clock.read()
        ask_from = 0.0
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as done:
                held: Held = done.value
                return held
            now = self._clock.read()
            if isinstance(step, Pause) and step.waits and now.monotonic >= ask_from:
                if (found := outcome()) is not None:
                    return found
                asked, now = now, self._clock.read()
                if now.least_since(asked) > self._pace.write / 2:
                    # so slow an answer is a hole in the watch: each time, a claim would never be found dead
                    ask_from = now.monotonic + self._pace.ttl + self._pace.settle
            if now.least_since(began) > self._patience:
                raise TikTokStoreError(
                    f"The claim {self._key} could not be had for {self._patience:.0f} s: another process "
                    "holds it, or Airflow's Variables do not answer. Let the task be retried."
                )
            answer = self._done(step)

    def _done(self, step: Step) -> Seen | bool | None:
        if isinstance(step, Look):
            return self._look()
        if isinstance(step, Write):
            try:
                self._values.put(self._key, step.text)
            except TikTokStoreError:
                return False
            return True
        self._clock.sleep(step.seconds)
        return None

    def _look(self) -> Seen:
        looked = self._clock.read()

        def before() -> None:
            nonlocal looked
            looked = self._clock.read()

        try:
            text, failed = self._values.read(self._key, before), False
        except TikTokStoreError:
            text, failed = None, True
        return Seen(text, failed, looked, self._clock.read())

    # --- the protocol, which does no I/O of its own ---

    def steps(self) -> Steps:
        """Yield what is to be done, take what came of it, and return once in."""
        backoff = self._pace.settle / 2
        while True:
            last = yield from self._until_free()
            begun, text = self._clock.read(), self._text()
            went_well: bool = yield Write(text)
            if went_well and (yield from self._stands(text, last)):
                return self._in(begun)
            yield Pause(random.uniform(0, backoff), waits=True)  # noqa: S311
            backoff = min(backoff * 2, self._pace.ttl)

    def _until_free(self) -> Generator[Step, Any, Seen]:
        """Go on until no claim is live, and give the last look."""
        watch = self._watch()
        while True:
            while not watch.free((yield Look())):
                yield Pause(self._pace.between, waits=True)
            yield Pause(random.uniform(0, self._pace.between))  # noqa: S311
            seen: Seen = yield Look()
            if watch.free(seen):
                return seen

    def _stands(self, text: str, last: Seen) -> Generator[Step, Any, bool]:
        """Tell whether mine is there soon after the last look before it was written, and then for S."""
        first: Seen | None = None
        while True:
            seen: Seen = yield Look()
            if not self._in_time(seen, last):
                return False
            if not seen.failed:
                if seen.text != text:
                    return False
                first, last = first or seen, seen
                if self._settled(seen, first):
                    return True
            yield Pause(self._pace.between if first is None else self._until_settled(seen, first))

    def _watch(self) -> Watch:
        return Watch(self._pace)

    def _text(self) -> str:
        claim = {"nonce": secrets.token_hex(8), "stamp": self._clock.read().wall, "guards": self._guards}
        return json.dumps(claim)

    def _in_time(self, seen: Seen, last: Seen) -> bool:
        return seen.most_since(last) <= self._pace.write

    def _settled(self, seen: Seen, first: Seen) -> bool:
        return seen.least_since(first) >= self._pace.settle

    def _until_settled(self, seen: Seen, first: Seen) -> float:
        left = self._pace.settle - seen.least_since(first)
        return min(self._pace.between, max(left, self._pace.between / 8))

    def _in(self, begun: Reading) -> Held:
        return Held(self._pace.hold, begun, self._clock)


class Watch:
    """
    Tells when a claim of somebody is dead: it has not changed for TTL, by the clock of who watches.

    :param pace: TTL, and how far apart looks may be
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._first: Seen | None = None
        self._last: Seen | None = None

    def free(self, seen: Seen) -> bool:
        """
        Take a look into account, and tell whether there is no live claim.

        :param seen: the look
        """
        if seen.failed:
            return False  # not a look: if the next one comes too late, the watch begins anew
        if self._first is None or self._last is None or self._changed(seen, self._last):
            self._first = seen
        self._last = seen
        return seen.text is None or self._dead(seen, self._first)

    def _changed(self, seen: Seen, last: Seen) -> bool:
        """Tell whether another claim was there since the last look, or may have been."""
        return seen.text != last.text or seen.most_since(last) > self._pace.write

    def _dead(self, seen: Seen, first: Seen) -> bool:
        return seen.least_since(first) >= self._pace.ttl or self._forgotten(seen)

    def _forgotten(self, seen: Seen) -> bool:
        stamp = stamp_of(seen.text)
        return stamp is not None and seen.looked.wall - stamp > FORGOTTEN_SECONDS


def stamp_of(text: str | None) -> float | None:
    """
    Give what the clock of its host showed when a claim was written, if that can be read.

    :param text: the claim
    """
    try:
        return float(json.loads(text or "")["stamp"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
