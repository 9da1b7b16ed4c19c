"""
TikTok's limits on posting, as data, and a task's place among the others that wait at them.

Numbers: Rate limits page (2026-08-04), Direct Post and Photo references and sharing guidelines (2026-09-11).
The kind of the day (rolling or by the calendar, shared with other apps) is not documented, so nothing here
computes when a place frees.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_tiktok.api.models import PostMode
from airflow_provider_tiktok.exceptions import CODES, Helps, TikTokError
from airflow_provider_tiktok.publishing.identity import task_key

#: Inits that TikTok takes in a minute, for each endpoint and token.
INITS_A_MINUTE = 6
#: What a creator may have in a day before TikTok has said anything of it; "about 15" posts, 5 pending drafts.
PRESUMED_CAPS: dict[str, int] = {PostMode.DIRECT_POST: 15, PostMode.MEDIA_UPLOAD: 5}
#: Seconds after which a waiter gives up that sees no post of its account get through.
DEFAULT_MAX_WAIT = 93600.0

#: TikTok's code for a draft too many.
TOO_MANY_DRAFTS = "spam_risk_too_many_pending_share"
#: TikTok's code for a creator too many: it counts creators, not posts.
USER_CAP = "reached_active_user_cap"
#: Stand in the account's trail where there is no code of TikTok's.
OK, LOST, GONE, FAILED = "ok", "lost", "gone", "failed"


class Limit(StrEnum):
    """What a refused task waits for."""

    MINUTE = "minute"
    DAY = "day"
    DRAFTS = "drafts"


def _limits() -> dict[str, Limit]:
    kinds = {Helps.MINUTE: Limit.MINUTE, Helps.DAY: Limit.DAY}
    found = {code: kinds[row.helps] for code, row in CODES.items() if row.helps in kinds}
    return {**found, TOO_MANY_DRAFTS: Limit.DRAFTS}


#: TikTok's code -> the limit that it tells of.
LIMITS = _limits()

#: Codes that say that an account cannot post at all, until somebody acts -> whether that holds for drafts and
#: direct posts alike (else it holds for the kind of post that met it: each has a scope of its own).
ACCOUNT_CODES: dict[str, bool] = {
    "spam_risk_user_banned_from_posting": True,
    "auth_removed": True,
    "access_denied": True,
    "invalid_grant": True,
    "invalid_client": True,
    "unauthorized_client": True,
    "scope_not_authorized": False,
    "scope_permission_missed": False,
    "unaudited_client_can_only_post_to_private_accounts": False,
}


def limit_of(error: TikTokError) -> Limit | None:
    """
    Tell which limit an error tells of; None = it tells of none.

    :param error: of an init, of creator_info, or made of a publish's ``fail_reason``
    """
    return LIMITS.get(getattr(error, "code", ""))


@dataclass(frozen=True)
class Place:
    """
    A task's place in its account's queue; plain values, to be carried in a trigger's arguments.

    :param ticket: tells it from all others, and begins with what all tries of its task have in common
    :param logical_date: of its run, ISO and UTC; the run's start where it has none
    :param map_index: -1 = not mapped
    :param asked: when it first asked, seconds since 1970; kept over all returns to the queue
    :param tries: how often TikTok's own trouble (5xx) was met at the head
    """

    ticket: str
    logical_date: str
    map_index: int
    asked: float
    tries: int = 0

    @property
    def key(self) -> tuple[int, str, int, float, str]:
        """What the queue is ordered by; whoever has tried three times in vain lets the others pass."""
        return self.tries // TRIES_AT_HEAD, self.logical_date, self.map_index, self.asked, self.ticket

    @property
    def task(self) -> str:
        """Tell which task instance it is of, whichever try."""
        return self.ticket.partition("-")[0]

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain JSON, for a trigger's arguments or ``next_kwargs``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Place:
        """
        Read what :meth:`as_dict` gave; what else there is is left out.

        :param given: names and values
        """
        return cls(**{each.name: given[each.name] for each in fields(cls)})

    def again(self) -> Place:
        """Give the place of a task that met TikTok's own trouble once more."""
        return replace(self, tries=self.tries + 1)


#: 5xx at the head of the queue keeps its place for so many tries.
TRIES_AT_HEAD = 3


def new_place(context: Mapping[str, Any]) -> Place:
    """
    Give a task a place in its account's queue.

    :param context: of the task
    """
    ti, run = context.get("ti"), context.get("dag_run")
    moments = (
        context.get("logical_date"),
        *(getattr(run, name, None) for name in ("logical_date", "start_date", "run_after")),
        getattr(ti, "start_date", None),
    )
    moment = next((each for each in moments if isinstance(each, datetime)), datetime.now(UTC))
    return Place(
        ticket=f"{task_key(context).digest[:12]}-{secrets.token_hex(4)}",
        logical_date=moment.astimezone(UTC).isoformat(timespec="microseconds"),
        map_index=int(getattr(ti, "map_index", -1)),
        asked=time.time(),
    )


def has_company(context: Mapping[str, Any]) -> bool:
    """
    Tell whether a task surely has company: it is one of many of a backlog.

    :param context: of the task
    """
    run_type = getattr(context.get("dag_run"), "run_type", "")
    return (
        getattr(context.get("ti"), "map_index", -1) >= 0 or getattr(run_type, "value", run_type) == "backfill"
    )


def is_first_of_backlog(context: Mapping[str, Any]) -> bool:
    """
    Tell whether this is the first try of a task of a backlog, which most probably has no record.

    :param context: of the task
    """
    return getattr(context.get("ti"), "try_number", 0) == 1 and has_company(context)


@dataclass(frozen=True)
class Released:
    """
    What the queue gives a task that may go on.

    :param ticket: of this release
    :param after: of the release before it, whose init comes first; empty = there is none
    """

    ticket: str
    after: str = ""


@dataclass(frozen=True)
class Windows:
    """
    An account's windows, and what is measured by them.

    :param minute: seconds of TikTok's minute
    :param day: seconds of TikTok's day
    """

    minute: float = 60.0
    day: float = 86400.0

    @property
    def spacing(self) -> float:
        """Between two releases at least: all that a minute has room for have gone in a third of it."""
        return self.minute / 20

    @property
    def asking(self) -> float:
        """Between two questions to TikTok whether there is a place; it answers 20 a minute, tasks' too."""
        return self.minute / 15

    @property
    def settled(self) -> float:
        """After so long TikTok has counted what was posted, as far as is known."""
        return self.minute

    @property
    def margin(self) -> float:
        """So much longer than the minute is waited: clocks differ."""
        return self.minute / 100

    @property
    def lead(self) -> float:
        """So long before its init a task is released at the earliest: its process starts, and claims."""
        return min(9.0, self.minute * 0.45)

    def of_day(self, seconds: float) -> float:
        """
        Scale what is meant for a day of 24 hours; never faster than the minute allows.

        :param seconds: of such a day
        """
        return max(seconds * self.day / 86400.0, self.asking)
