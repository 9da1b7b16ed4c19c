"""
An account's trail: how its latest inits were answered, what its caps are, and what keeps it from posting.

Kept as small JSON without secrets, so that task processes and the triggerer know of each other. Nothing here
does I/O, and nothing here is proven: a entry that was lost costs a 429, which is waited out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_tiktok.exceptions import TikTokAnswerError, answer_error
from airflow_provider_tiktok.publishing.pace import (
    ACCOUNT_CODES,
    FAILED,
    GONE,
    INITS_A_MINUTE,
    LIMITS,
    LOST,
    OK,
    PRESUMED_CAPS,
    USER_CAP,
    Limit,
    Windows,
)

#: An account that cannot post is not asked again for so long, unless its grant changes.
CIRCUIT_SECONDS = 600.0
_FORMAT = 1
#: Lines that are kept: what counts in a day, and what else is so young that somebody may look for it.
_MOST_POSTS, _MOST_OTHERS = 60, 40
_OTHERS_MINUTES = 10
#: What a creator's cap was seen to be is forgotten after so many days.
_CAP_DAYS = 7
_POSTED = (OK, LOST)  # an init whose answer was lost may have been one
_CAPS = (Limit.DAY, Limit.DRAFTS)


@dataclass(frozen=True)
class Entry:
    """
    What came of one init.

    :param at: when it was known, seconds since 1970
    :param ticket: of the task, or of its release
    :param code: ``ok``, TikTok's code, ``lost`` (no answer came) or ``gone`` (there was no init)
    :param lane: the post mode
    :param queued: whether the queue had released it
    :param init: whether it was an init, which counts in the minute, or creator_info or a failed publish
    """

    at: float
    ticket: str
    code: str
    lane: str
    queued: bool = False
    init: bool = True

    @property
    def counts(self) -> bool:
        """Whether it takes a place in TikTok's minute."""
        return self.init and self.code != GONE

    @property
    def posted(self) -> bool:
        """Whether it takes a place in TikTok's day."""
        return self.code in _POSTED

    @property
    def capped(self) -> bool:
        """Whether TikTok said that the day is full."""
        return LIMITS.get(self.code) in _CAPS


@dataclass(frozen=True)
class Circuit:
    """
    Why an account cannot post.

    :param code: TikTok's code
    :param lane: the post mode that met it
    :param grant: tells with which grant
    :param at: when, seconds since 1970
    """

    code: str
    lane: str
    grant: str
    at: float
    detail: str = ""
    log_id: str = ""
    http_status: int = 0

    def holds(self, lane: str, now: float) -> bool:
        """
        Tell whether it speaks of a kind of post, and of now.

        :param lane: the post mode
        :param now: seconds since 1970
        """
        return (ACCOUNT_CODES.get(self.code, False) or lane == self.lane) and now < self.at + CIRCUIT_SECONDS

    def error(self) -> TikTokAnswerError:
        """Give the error that every waiter fails with."""
        what = "this account cannot post, as another task was told"
        return answer_error(
            what, self.code, detail=self.detail, log_id=self.log_id, http_status=self.http_status
        )


@dataclass(frozen=True)
class Cap:
    """
    The number of posts at which TikTok said no.

    :param number: of own posts within a day
    :param at: when, seconds since 1970
    """

    number: int
    at: float


def allowed(cap: Cap | None, lane: str) -> int:
    """
    Tell how many posts a day may be begun without asking TikTok.

    :param cap: as was last seen
    :param lane: the post mode
    """
    return PRESUMED_CAPS[lane] if cap is None else min(cap.number, PRESUMED_CAPS[lane])


@dataclass(frozen=True)
class Trail:
    """
    What is known of an account.

    :param entries: oldest first
    :param caps: by post mode
    :param circuit: why it cannot post; None = it can, as far as is known
    """

    entries: tuple[Entry, ...] = ()
    caps: tuple[tuple[str, Cap], ...] = ()
    circuit: Circuit | None = None

    # --- what it says ---

    def answered(self, ticket: str) -> bool:
        """
        Tell whether it is known what came of an init.

        :param ticket: of its release
        """
        return self.answer(ticket) is not None

    def answer(self, ticket: str) -> Entry | None:
        """
        Give what came of an init last; None = nothing is known of it.

        :param ticket: of its release
        """
        return next((each for each in reversed(self.entries) if each.ticket == ticket), None)

    def room_at(self, lane: str, windows: Windows, coming: Iterable[float] = ()) -> float:
        """
        Tell from when on TikTok's minute has room for one more init.

        :param lane: the post mode
        :param windows: of the account
        :param coming: when other inits will have been answered that are not
        :return: seconds since 1970; may lie in the past
        """
        inits = [each for each in self.entries if each.lane == lane and each.counts]
        times = sorted((*(each.at for each in inits), *coming))
        full_until = times[-INITS_A_MINUTE] + windows.minute if len(times) >= INITS_A_MINUTE else 0.0
        # others use up this minute, too, and which part of it is not known
        blocked = max((each.at for each in inits if LIMITS.get(each.code) is Limit.MINUTE), default=0.0)
        return max(full_until + windows.margin, blocked + windows.minute / 2)

    def posts(self, lane: str, since: float) -> list[float]:
        """
        Give when the account's own posts were begun.

        :param lane: the post mode
        :param since: seconds since 1970; what is older is left out
        """
        return [each.at for each in self.entries if each.lane == lane and each.posted and each.at > since]

    def last_post(self, lane: str) -> float:
        """Give when the account's last post was begun, seconds since 1970; 0 = not known."""
        return max(self.posts(lane, 0.0), default=0.0)

    def last_refusal(self, lane: str) -> Entry | None:
        """Give the last entry that says that the day is full, unless a later post got through."""
        for each in reversed(self.entries):
            if each.lane == lane and each.code == OK:
                return None
            if each.lane == lane and each.capped:
                return each
        return None

    def cap(self, lane: str) -> Cap | None:
        """Give how many posts TikTok allows in a day, as was last seen; None = that is not known."""
        return dict(self.caps).get(lane)

    def is_crowded(self, lane: str, windows: Windows, now: float) -> bool:
        """Tell whether a task that comes now will probably have to wait, or would overtake others."""
        lately = now - 2 * windows.minute
        return (
            any(each.queued and each.lane == lane and each.at > lately for each in self.entries)
            or self.room_at(lane, windows) > now
            or len(self.posts(lane, now - windows.day)) >= allowed(self.cap(lane), lane)
            or self.last_refusal(lane) is not None
            or (self.circuit is not None and self.circuit.holds(lane, now))
        )

    # --- what is added to it ---

    def with_entry(self, entry: Entry, windows: Windows) -> Trail:
        """
        Add what came of an init, and what is learned from it.

        :param entry: what came of it; a later word on the same ticket says that it was no post
        :param windows: of the account
        """
        entries = [
            replace(each, code=FAILED) if each.ticket == entry.ticket else each for each in self.entries
        ]
        entries.append(entry)
        trail = replace(self, entries=_young(sorted(entries, key=lambda each: each.at), windows, entry.at))
        if entry.code == OK and self.circuit is not None and self.circuit.holds(entry.lane, entry.at):
            trail = replace(trail, circuit=None)
        cap = trail.learned(entry, windows)
        return replace(trail, caps=tuple({**dict(self.caps), entry.lane: cap}.items())) if cap else trail

    def learned(self, entry: Entry, windows: Windows, cap: Cap | None = None) -> Cap | None:
        """
        Give the cap as it is known after an answer of TikTok's.

        :param entry: the answer
        :param windows: of the account
        :param cap: as it was known before; None = as the trail has it
        """
        lane, at = entry.lane, entry.at
        cap = cap or self.cap(lane)
        if cap is not None and at > cap.at + _CAP_DAYS * windows.day:
            cap = None
        if entry.capped and entry.code != USER_CAP:
            # those that have just left the day may be counted still: TikTok counts later than we do
            own = len(self.posts(lane, at - windows.day - windows.settled))
            return Cap(own if cap is None else min(own, cap.number), at)
        return self.grown(cap, lane, at, windows) if cap is not None and entry.code == OK else cap

    def grown(self, cap: Cap, lane: str, now: float, windows: Windows) -> Cap:
        """
        Give a cap as it is known after all that got through.

        :param cap: as it was known before
        :param lane: the post mode
        :param now: seconds since 1970
        :param windows: of the account
        """
        # since the last no, with which a day of the calendar may have ended
        posts = self.posts(lane, max(cap.at, now - windows.day))
        return replace(cap, number=max(cap.number, len(posts)))

    def dumped(self) -> str:
        """Give it as text."""
        entries = [
            [round(each.at, 3), each.ticket, each.code, each.lane, int(each.queued), int(each.init)]
            for each in self.entries
        ]
        caps = {lane: [cap.number, round(cap.at, 3)] for lane, cap in self.caps}
        circuit = asdict(self.circuit) if self.circuit else None
        return json.dumps({"format": _FORMAT, "entries": entries, "caps": caps, "circuit": circuit})


def read_trail(text: str | None) -> Trail:
    """
    Read what :meth:`Trail.dumped` gave; of what cannot be read nothing is known.

    :param text: None = there is none
    """
    try:
        given = json.loads(text or "{}")
        entries = [
            Entry(float(at), str(ticket), str(code), str(lane), bool(queued), bool(init))
            for at, ticket, code, lane, queued, init in given.get("entries", [])
        ]
        caps = {
            str(lane): Cap(int(number), float(at)) for lane, (number, at) in given.get("caps", {}).items()
        }
        told = given.get("circuit")
        circuit = _circuit(**told) if told else None
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError):
        return Trail()
    return Trail(tuple(entries), tuple(caps.items()), circuit)


def _circuit(
    *, code: Any, lane: Any, grant: Any, at: Any, detail: Any = "", log_id: Any = "", http_status: Any = 0
) -> Circuit:
    return Circuit(str(code), str(lane), str(grant), float(at), str(detail), str(log_id), int(http_status))


def _young(entries: list[Entry], windows: Windows, now: float) -> tuple[Entry, ...]:
    """Leave out what counts no more; the last post stays, since waiters count from it."""
    posts = [each for each in entries if each.posted]
    day = [each for each in posts if each.at > now - windows.day - windows.minute]
    lately = now - _OTHERS_MINUTES * windows.minute
    last_refusals = {each.lane: each for each in entries if each.capped}
    others = [
        each
        for each in entries
        if not each.posted and (each.at > lately or last_refusals.get(each.lane) is each)
    ]
    kept = {id(each) for each in (*posts[-1:], *day[-_MOST_POSTS:], *others[-_MOST_OTHERS:])}
    return tuple(each for each in entries if id(each) in kept)
