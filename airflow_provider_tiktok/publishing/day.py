"""
The day's cap, as the head of a queue sees it: when it may go, when TikTok is to be asked, when to wait.

Which kind of day TikTok has is not known, nor who else posts to the account. So as long as fewer were posted
than TikTok usually allows, or was seen to allow, nobody asks; from there on each post needs a yes of
creator_info, which costs no init. What TikTok has not counted yet counts all the same: beyond what it was
seen to allow, one post is let go and settles; then, if TikTok still says yes, two, then four.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from airflow_provider_tiktok.api.models import PostMode
from airflow_provider_tiktok.publishing.pace import USER_CAP, Windows
from airflow_provider_tiktok.publishing.trail import Cap, Entry, Trail, allowed

#: In a day of 24 hours: to the first question after TikTok's no, and from then on. A draft asks by itself.
FIRST_SECONDS, NEXT_SECONDS, DRAFT_SECONDS = 1800.0, 600.0, 1800.0
_MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Verdict:
    """
    What the head of the queue has to do.

    :param go: it may make its init
    :param ask: TikTok is to be asked
    :param until: else it waits until then, seconds since 1970
    """

    go: bool = False
    ask: bool = False
    until: float = 0.0


_GO, _ASK = Verdict(go=True), Verdict(ask=True)


class Day:
    """
    What is known of TikTok's day for one kind of post of one account.

    ``refused`` is the code with which TikTok said no, as long as that is to be reckoned with; ``doubted``,
    that a task came back from a no of which nothing else is known.

    :param lane: the post mode
    :param windows: of the account
    """

    def __init__(self, lane: str, windows: Windows) -> None:
        self.refused = ""
        self.doubted = False
        self._lane, self._windows = lane, windows
        self._cap: Cap | None = None
        self._heard_at = 0.0
        self._ask_at = self._again_at = 0.0
        self._yes = False
        self._at_once = self._left = 0
        self._late = 0.0

    def verdict(self, trail: Trail, now: float, underway: int) -> Verdict:
        """
        Tell what the head of the queue has to do.

        :param trail: of the account
        :param now: seconds since 1970
        :param underway: tasks that were released and have not been answered
        """
        self._hear(trail, now)
        cap, own = self._known_cap(trail, now), self._own(trail, now)
        count = len(own) + underway
        if not self.refused and not self.doubted and count < allowed(cap, self._lane):
            return _GO
        if self._lane == PostMode.MEDIA_UPLOAD:
            return self._draft(trail, now, underway)
        if cap is None or count >= max(cap.number, len(own)):
            if not self._left and (unsettled_until := self._unsettled_until(own, now, underway)):
                return Verdict(until=min(unsettled_until, self._frees_at(trail, now)))
        else:
            self._at_once = self._left = 0
        if self._yes:
            return _GO
        ask_at = max(self._ask_at, self._again_at)
        return _ASK if now >= ask_at else Verdict(until=ask_at)

    def went(self) -> None:
        """One was let go: the next needs a yes of its own."""
        self._yes, self._left = False, max(0, self._left - 1)

    def said_yes(self, trail: Trail, now: float, underway: int) -> None:
        """
        TikTok was asked, and has a place.

        :param trail: of the account
        :param now: seconds since 1970
        :param underway: tasks that were released and have not been answered
        """
        # a yes is for one post, and a minute takes six: few questions can follow one another so soon
        self._again_at = now + self._windows.spacing
        self._yes, self._ask_at, self.doubted = True, 0.0, False
        own = self._own(trail, now)
        if not self._left and not self._unsettled_until(own, now, underway):
            self._left = self._at_once = min(_MOST_AT_ONCE, max(1, 2 * self._at_once))
        # one place is no day: it is asked before each post until there is room for many
        most = allowed(self._known_cap(trail, now), self._lane)
        if self.refused == USER_CAP or 2 * (len(own) + underway) < most:
            self.refused = ""

    def said_no(self, code: str, trail: Trail, now: float) -> None:
        """
        TikTok was asked, and has none.

        :param code: TikTok's
        :param trail: of the account
        :param now: seconds since 1970
        """
        pause = self._windows.of_day(NEXT_SECONDS if self.refused else FIRST_SECONDS)
        self._again_at = now + self._windows.asking
        self._refuse(code, trail, now, pause)
        self._learn_late(trail, now)

    def ask_later(self, at: float) -> None:
        """
        TikTok could not be asked.

        :param at: when to ask again, seconds since 1970
        """
        self._ask_at = at

    def _hear(self, trail: Trail, now: float) -> None:
        """Take note of what tasks were told."""
        refusal = trail.last_refusal(self._lane)
        if refusal is None and self._lane == PostMode.MEDIA_UPLOAD:
            self.refused = ""
        if refusal is not None and refusal.at > self._heard_at:
            self._heard_at = refusal.at
            if now < refusal.at + self._windows.day:
                self._refuse(refusal.code, trail, refusal.at, self._windows.of_day(FIRST_SECONDS))

    def _refuse(self, code: str, trail: Trail, at: float, pause: float) -> None:
        if not self.refused:  # later on, what goes and comes at the day's end says nothing of the cap
            told = Entry(at, "", code, self._lane, init=False)
            self._cap = trail.learned(told, self._windows, self._known_cap(trail, at))
        elif self._cap is not None:
            self._cap = replace(self._cap, at=at)
        self.refused, self.doubted, self._yes = code, False, False
        self._at_once = self._left = 0
        self._ask_at = min(at + pause * random.uniform(0.9, 1.1), self._frees_at(trail, at))  # noqa: S311

    def _learn_late(self, trail: Trail, now: float) -> None:
        """A post may count from its end on, and so leave the day later than a day after its init."""
        cap, windows = self._known_cap(trail, now), self._windows
        posts = trail.posts(self._lane, now - windows.day - windows.settled)
        if cap is not None and 0 < cap.number <= len(posts):
            self._late = max(self._late, now - posts[-cap.number] - windows.day)

    def _draft(self, trail: Trail, now: float, underway: int) -> Verdict:
        """A draft's own init is the question: one at a time."""
        last = max(
            (each.at for each in trail.entries if each.lane == self._lane and each.counts), default=0.0
        )
        at = min(last + self._windows.of_day(DRAFT_SECONDS), self._frees_at(trail, last))
        if underway:
            return Verdict(until=now + self._windows.spacing)
        return _GO if now >= at else Verdict(until=at)

    def _frees_at(self, trail: Trail, since: float) -> float:
        """Give when, after a moment, an own post is a day old, should TikTok's day be a rolling one."""
        day = self._windows.day + self._late
        ends = [at + day for at in trail.posts(self._lane, since - day)]
        return min(ends, default=float("inf")) + self._windows.margin

    def _own(self, trail: Trail, now: float) -> list[float]:
        return trail.posts(self._lane, now - self._windows.day - self._late)

    def _unsettled_until(self, own: list[float], now: float, underway: int) -> float:
        """Give when TikTok has counted all that was posted, as far as can be told; 0 = it has."""
        settled_at = max(own, default=0.0) + self._windows.settled
        if underway:
            return max(settled_at, now + self._windows.spacing)
        return settled_at if settled_at > now else 0.0

    def _known_cap(self, trail: Trail, now: float) -> Cap | None:
        """Give the cap that tasks were told, or the one that was learned here, whichever is less."""
        known = [each for each in (trail.cap(self._lane), self._cap) if each is not None]
        grown = [trail.grown(each, self._lane, now, self._windows) for each in known]
        return min(grown, key=lambda each: each.number, default=None)
