"""
What to do about what is found: two tables, as data, and what their rows and columns mean.

An upload is fenced by its ``publish_id``: it posts at most once, whoever sends the last byte, so all tries go
on with the same publish until it surely can no longer be finished. A pull, and photos, have no fence: their
init is the deed. So the columns are: an upload whose last range was surely not sent, one whose last range may
have been, and a pull. "Gone" is concluded only of the first.
"""

from __future__ import annotations

from enum import StrEnum, auto

from airflow_provider_tiktok.api.models import PublishState, PublishStatus
from airflow_provider_tiktok.exceptions import (
    CODES,
    Helps,
    TikTokAnswerError,
    TikTokConsentError,
    TikTokError,
)
from airflow_provider_tiktok.publishing.ledger import Fence, Record, Stage

#: An upload's address lives an hour (Media Transfer Guide, 2026-09-11); this much later it is surely dead.
YOUNG_SECONDS = 70 * 60.0
#: TikTok gives a pull an hour; one that is not over after this hangs.
HUNG_SECONDS = 75 * 60.0
#: For an upload whose last range may have been sent, though TikTok says that bytes are missing.
LONGER_SECONDS = YOUNG_SECONDS + 10 * 60.0
#: TikTok may not know a publish in the first moments after its init.
FRESH_SECONDS = 60.0
#: TikTok does not say how long it knows a publish; one this old may be forgotten, and still be posted.
FORGOTTEN_SECONDS = 24 * 3600.0
#: How often a publish that TikTok has failed for its own reasons is made anew, until the task is cleared.
REPEATS = 2


class Action(StrEnum):
    """What to do."""

    NEW = auto()
    """Begin the next generation."""
    SAME = auto()
    """Go on with this publish: send what is missing."""
    LAST = auto()
    """Send the last range once more: if that does not go well, only the status can tell."""
    WAIT = auto()
    """It is on its way."""
    ASK = auto()
    """Bytes may be missing: ask until it is told, else fail so that Airflow tries again."""
    SUBMITTED = auto()
    """Note that TikTok has everything; it is on its way."""
    DONE = auto()
    """It is posted, or in the inbox: post nothing."""
    FORGOTTEN = auto()
    """TikTok does not know it any more; it was submitted, so nothing is posted, with a warning."""
    PACE = auto()
    """Wait for a place, then begin the next generation."""
    AGAIN = auto()
    """Begin the next generation, if that has not been done too often."""
    HUNG = auto()
    """TikTok does not come to an end with a pull."""
    FAIL = auto()
    """Fail for good, with TikTok's reason."""
    UNCONFIRMED = auto()
    """It cannot be known whether it is posted: fail for good, and say what to look for."""


# --- what is found without asking TikTok ---


class Found(StrEnum):
    """What the record says, where that is not a publish under way."""

    NOTHING = auto()
    INTENT = auto()
    NOTHING_SENT = auto()
    REFUSED_FOR_NOW = auto()
    REFUSED = auto()
    DONE = auto()
    FAILED_BY_TIKTOK = auto()
    FAILED_AT_CAP = auto()
    FAILED = auto()
    CANCELLED = auto()
    GONE = auto()
    UNCONFIRMED = auto()


#: By what is found, for an upload and for a pull.
FOUND: dict[Found, dict[Fence, Action]] = {
    row: {Fence.PUBLISH_ID: upload, Fence.NONE: pull}
    for row, upload, pull in (
        (Found.NOTHING, Action.NEW, Action.NEW),
        (Found.INTENT, Action.NEW, Action.UNCONFIRMED),
        (Found.NOTHING_SENT, Action.NEW, Action.NEW),
        (Found.REFUSED_FOR_NOW, Action.PACE, Action.PACE),
        (Found.REFUSED, Action.FAIL, Action.FAIL),
        (Found.DONE, Action.DONE, Action.DONE),
        (Found.FAILED_BY_TIKTOK, Action.AGAIN, Action.AGAIN),
        (Found.FAILED_AT_CAP, Action.PACE, Action.PACE),
        (Found.FAILED, Action.FAIL, Action.FAIL),
        (Found.CANCELLED, Action.NEW, Action.NEW),
        (Found.GONE, Action.NEW, Action.NEW),
        (Found.UNCONFIRMED, Action.UNCONFIRMED, Action.UNCONFIRMED),
    )
}

_FOUND_STAGES = {
    Stage.INTENT: Found.INTENT,
    Stage.NOTHING_SENT: Found.NOTHING_SENT,
    Stage.COMPLETE: Found.DONE,
    Stage.INBOX: Found.DONE,
    Stage.GONE: Found.GONE,
    Stage.UNCONFIRMED: Found.UNCONFIRMED,
}


def found(record: Record | None) -> Found | None:
    """
    Tell which row of :data:`FOUND` a record is; None for a publish that TikTok has to be asked about.

    :param record: the latest; None = proven that there is none
    """
    if record is None:
        return Found.NOTHING
    if record.stage is Stage.REFUSED:
        return Found.REFUSED_FOR_NOW if _is_for_now(record.code) else Found.REFUSED
    if record.stage is Stage.FAILED:
        return _failed(record.code, ours=record.cancels)
    return _FOUND_STAGES.get(record.stage)


def _is_for_now(code: str) -> bool:
    return code in CODES and CODES[code].helps in (Helps.MINUTE, Helps.DAY)


def _failed(code: str, *, ours: bool) -> Found:
    if code == "publish_cancelled" and ours:
        return Found.CANCELLED
    helps = CODES[code].helps if code in CODES else Helps.NOTHING
    return _FAILED.get(helps, Found.FAILED)


_FAILED = {Helps.RETRY: Found.FAILED_BY_TIKTOK, Helps.DAY: Found.FAILED_AT_CAP}


# --- what TikTok says of a publish ---


class Column(StrEnum):
    """How a publish can still be finished."""

    OPEN = auto()
    """An upload whose last range has surely not been sent."""
    SEALED = auto()
    """An upload whose last range may have been sent."""
    PULL = auto()
    """TikTok has everything it needs."""


class Seen(StrEnum):
    """What TikTok says of a publish."""

    MISSING_YOUNG = auto()
    UNTOLD_YOUNG = auto()
    MISSING_OLDER = auto()
    UNTOLD_OLDER = auto()
    MISSING_OLD = auto()
    UNTOLD_OLD = auto()
    ALL_BYTES = auto()
    DOWNLOADING = auto()
    DOWNLOADING_LONG = auto()
    DONE = auto()
    FAILED_BY_TIKTOK = auto()
    FAILED_AT_CAP = auto()
    CANCELLED = auto()
    FAILED = auto()
    UNKNOWN_STATUS = auto()
    UNKNOWN_FRESH = auto()
    UNKNOWN_YOUNG = auto()
    UNKNOWN = auto()
    UNKNOWN_LONG = auto()
    FOREIGN = auto()
    NOT_ALLOWED = auto()
    NO_ANSWER = auto()


_A = Action
#: By what TikTok says, for each column: OPEN, SEALED, PULL.
SEEN: dict[Seen, dict[Column, Action]] = {
    row: dict(zip(Column, actions, strict=True))
    for row, *actions in (
        (Seen.MISSING_YOUNG, _A.SAME, _A.LAST, _A.WAIT),
        (Seen.UNTOLD_YOUNG, _A.SAME, _A.LAST, _A.WAIT),
        (Seen.MISSING_OLDER, _A.NEW, _A.WAIT, _A.WAIT),
        (Seen.UNTOLD_OLDER, _A.NEW, _A.UNCONFIRMED, _A.WAIT),
        (Seen.MISSING_OLD, _A.NEW, _A.NEW, _A.WAIT),
        (Seen.UNTOLD_OLD, _A.NEW, _A.UNCONFIRMED, _A.WAIT),
        (Seen.ALL_BYTES, _A.SUBMITTED, _A.WAIT, _A.WAIT),
        (Seen.DOWNLOADING, _A.ASK, _A.WAIT, _A.WAIT),
        (Seen.DOWNLOADING_LONG, _A.ASK, _A.WAIT, _A.HUNG),
        (Seen.DONE, _A.DONE, _A.DONE, _A.DONE),
        (Seen.FAILED_BY_TIKTOK, _A.AGAIN, _A.AGAIN, _A.AGAIN),
        (Seen.FAILED_AT_CAP, _A.PACE, _A.PACE, _A.PACE),
        (Seen.CANCELLED, _A.NEW, _A.NEW, _A.NEW),
        (Seen.FAILED, _A.FAIL, _A.FAIL, _A.FAIL),
        (Seen.UNKNOWN_STATUS, _A.ASK, _A.WAIT, _A.WAIT),
        (Seen.UNKNOWN_FRESH, _A.ASK, _A.WAIT, _A.WAIT),
        (Seen.UNKNOWN_YOUNG, _A.SAME, _A.UNCONFIRMED, _A.UNCONFIRMED),
        (Seen.UNKNOWN, _A.NEW, _A.UNCONFIRMED, _A.UNCONFIRMED),
        (Seen.UNKNOWN_LONG, _A.NEW, _A.FORGOTTEN, _A.FORGOTTEN),
        (Seen.FOREIGN, _A.FAIL, _A.FAIL, _A.FAIL),
        (Seen.NOT_ALLOWED, _A.FAIL, _A.FAIL, _A.FAIL),
        (Seen.NO_ANSWER, _A.ASK, _A.WAIT, _A.WAIT),
    )
}

_ENDS = {PublishState.SEND_TO_USER_INBOX, PublishState.PUBLISH_COMPLETE}
_FAILURES = {
    Found.FAILED_BY_TIKTOK: Seen.FAILED_BY_TIKTOK,
    Found.FAILED_AT_CAP: Seen.FAILED_AT_CAP,
    Found.CANCELLED: Seen.CANCELLED,
    Found.FAILED: Seen.FAILED,
}


def seen(answer: PublishStatus | TikTokError, record: Record, *, now: float) -> Seen:
    """
    Tell which row of :data:`SEEN` an answer is.

    :param answer: the status, or what was raised when it was asked
    :param record: of the publish
    :param now: seconds since 1970
    """
    age = now - record.began
    if isinstance(answer, TikTokError):
        return _seen_error(answer, record, age, now)
    if answer.status == PublishState.FAILED:
        return _FAILURES[_failed(answer.fail_reason, ours=record.cancels)]
    if answer.status in _ENDS:
        return Seen.DONE
    if answer.status == PublishState.PROCESSING_DOWNLOAD:
        return Seen.DOWNLOADING_LONG if age > HUNG_SECONDS else Seen.DOWNLOADING
    if answer.status == PublishState.PROCESSING_UPLOAD:
        return _seen_upload(answer.uploaded_bytes, record.size, age)
    return Seen.UNKNOWN_STATUS


def _seen_upload(uploaded: int | None, size: int, age: float) -> Seen:
    # TikTok's "uploaded" may be the index of the last byte, or the count of bytes
    if uploaded is not None and size and uploaded >= size - 1:
        return Seen.ALL_BYTES
    if age < YOUNG_SECONDS:
        return Seen.MISSING_YOUNG if uploaded is not None else Seen.UNTOLD_YOUNG
    if age < LONGER_SECONDS:
        return Seen.MISSING_OLDER if uploaded is not None else Seen.UNTOLD_OLDER
    return Seen.MISSING_OLD if uploaded is not None else Seen.UNTOLD_OLD


def _seen_error(error: TikTokError, record: Record, age: float, now: float) -> Seen:
    code = error.code if isinstance(error, TikTokAnswerError) else ""
    if code == "invalid_publish_id":
        if age < FRESH_SECONDS:
            return Seen.UNKNOWN_FRESH
        if record.submitted and now - record.submitted > FORGOTTEN_SECONDS:
            return Seen.UNKNOWN_LONG
        return Seen.UNKNOWN_YOUNG if age < YOUNG_SECONDS else Seen.UNKNOWN
    if code == "token_not_authorized_for_specified_publish_id":
        return Seen.FOREIGN
    return Seen.NOT_ALLOWED if isinstance(error, TikTokConsentError) else Seen.NO_ANSWER


def column(fence: Fence, *, sealed: bool) -> Column:
    """
    Tell how a publish can still be finished.

    :param fence: what keeps it from being made twice
    :param sealed: whether its last range may have been sent
    """
    if fence is Fence.NONE:
        return Column.PULL
    return Column.SEALED if sealed else Column.OPEN
