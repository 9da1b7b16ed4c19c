"""
A task's turn to make its init: after the one before it, and when TikTok's minute has room.

Here, in the task process, pace is exact; the queue in the triggerer only sees that not too many come at once.
What cannot be read or written of the account's trail is done without: TikTok's 429 is waited out.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_tiktok import stats
from airflow_provider_tiktok.auth.turns import turn as turn_of_host
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokError,
    TikTokNoAnswerError,
    TikTokProtocolError,
    TikTokStoreError,
    answer_error,
)
from airflow_provider_tiktok.publishing import trails
from airflow_provider_tiktok.publishing.pace import (
    ACCOUNT_CODES,
    GONE,
    LIMITS,
    LOST,
    Limit,
    Place,
    Released,
    Windows,
    has_company,
)
from airflow_provider_tiktok.publishing.trail import Circuit, Entry, Trail

if TYPE_CHECKING:
    from airflow_provider_tiktok.auth.account import Account
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)

#: So long is waited for the task before this one: its process may be waiting for a worker, or be dead.
AFTER_SECONDS = 60.0
#: And so long by one that leaves without an init.
LEAVE_SECONDS = 10.0
_LOOK_SECONDS = 0.7
#: In TikTok's minutes: so long is waited for room, and for other tasks of this host.
_PATIENCE = 3
_HOST_PATIENCE = 4
_LONGEST_DETAIL = 200


@dataclass
class Turn:
    """
    A task's turn.

    :param ticket: of its release; of its place, where it came without the queue
    :param code: what came of its init, as far as is known
    :param error: what was raised instead
    """

    ticket: str
    code: str = ""
    error: BaseException | None = None

    def note(self, code: str) -> None:
        """
        Tell what came of the init.

        :param code: ``ok``, or TikTok's code
        """
        self.code = code


def windows_of(account: Account) -> Windows:
    """
    Give an account's windows.

    :param account: read from the Connection
    """
    return Windows(account.rate_window, account.cap_window)


def should_queue(hook: TikTokHook, context: Mapping[str, Any], post_mode: str) -> bool:
    """
    Tell whether a task may have company, so that it has to ask for its turn in the triggerer.

    :param hook: of the account
    :param context: of the task
    :param post_mode: of the post
    """
    if has_company(context):
        return True
    trail = _look(hook.account)
    return trail is not None and trail.is_crowded(post_mode, windows_of(hook.account), time.time())


@contextmanager
def turn(
    hook: TikTokHook,
    place: Place,
    released: Released | None,
    post_mode: str,
    nearly: Callable[[], None] = lambda: None,
) -> Iterator[Turn]:
    """
    Wait for a task's turn; the body makes the init, and nothing but that.

    What the body notes, or raises, is written to the account's trail before the next task has its turn.

    :param hook: of the account
    :param place: of the task
    :param released: what the queue gave it; None = it came without the queue
    :param post_mode: of the post
    :param nearly: called a few seconds before, perhaps more than once
    :raises TikTokAnswerError: the task before this one has met a limit, and goes first once more
    """
    account = hook.account
    mine = Turn(released.ticket if released else place.ticket)
    if released and released.after:
        windows = windows_of(account)

        def looked(trail: Trail) -> None:
            if trail.room_at(post_mode, windows) - time.time() <= windows.lead:
                nearly()

        before = _wait_for(account, released.after, looked=looked)
        _give_way(account, mine.ticket, before, post_mode)
    name = f"{account.base_url} {account.conn_id} {post_mode}"
    with turn_of_host(name, patience=_HOST_PATIENCE * account.rate_window):
        _wait_for_room(account, post_mode, nearly)
        nearly()
        try:
            yield mine
        except BaseException as error:
            mine.code, mine.error = mine.code or _code_of(error), error
            raise
        finally:
            entry = Entry(time.time(), mine.ticket, mine.code or GONE, post_mode, queued=released is not None)
            _add(account, entry, mine.error)


def note_outcome(hook: TikTokHook, error: TikTokError, post_mode: str, ticket: str = "") -> None:
    """
    Tell the other tasks of a limit or an obstacle that was met elsewhere than in an init.

    :param hook: of the account
    :param error: of creator_info, or made of the ``fail_reason`` of a publish
    :param post_mode: of the post
    :param ticket: of the :class:`Turn` whose publish failed, or of the release that makes no init
    """
    code = getattr(error, "code", "")
    limit = LIMITS.get(code)
    # a minute's limit met elsewhere says nothing of inits; but whoever comes behind has to hear of it
    if code in ACCOUNT_CODES or limit in (Limit.DAY, Limit.DRAFTS) or (limit and ticket):
        entry = Entry(time.time(), ticket or secrets.token_hex(6), code, post_mode, init=False)
        _add(hook.account, entry, error)


def note_gone(hook: TikTokHook, released: Released | None, post_mode: str) -> None:
    """
    Tell the next task that this one leaves, so that it does not wait; nothing if its init was answered.

    The next then goes, so the one before this one has to have gone first.

    :param hook: of the account
    :param released: what the queue gave it; None = it came without the queue
    :param post_mode: of the post
    """
    trail = _look(hook.account) if released else None
    if released and not (trail and trail.answered(released.ticket)):
        if released.after:
            _wait_for(hook.account, released.after, LEAVE_SECONDS)
        entry = Entry(time.time(), released.ticket, GONE, post_mode, queued=True, init=False)
        _add(hook.account, entry, None)


def _wait_for(
    account: Account,
    ticket: str,
    seconds: float = AFTER_SECONDS,
    looked: Callable[[Trail], None] = lambda _: None,
) -> Entry | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        trail = _look(account)
        if trail is not None and (entry := trail.answer(ticket)):
            return entry
        if trail is not None:
            looked(trail)
        time.sleep(_LOOK_SECONDS)
    log.info("The task before this one has not been heard of for %g s: going on.", seconds)
    return None


def _give_way(account: Account, ticket: str, before: Entry | None, post_mode: str) -> None:
    """Go back to the queue behind a task that was sent back there, and have those behind do the same."""
    if before is None or before.code not in LIMITS:
        return
    _add(account, Entry(time.time(), ticket, before.code, post_mode, queued=True, init=False), None)
    detail = "told to the task before this one, which goes first"
    raise answer_error("waiting for a turn to post", before.code, detail=detail)


def _wait_for_room(account: Account, post_mode: str, nearly: Callable[[], None]) -> None:
    windows = windows_of(account)
    end = time.monotonic() + _PATIENCE * windows.minute
    while (trail := _look(account)) is not None and time.monotonic() < end:
        seconds = trail.room_at(post_mode, windows) - time.time()
        if seconds <= windows.lead:
            nearly()
        if seconds <= 0:
            return
        log.info("TikTok's minute is full: waiting %.1f s.", seconds)
        pause = min(seconds if seconds <= windows.lead else seconds - windows.lead, windows.minute)
        time.sleep(pause)
        stats.waited("minute", pause, account.conn_id)


def _look(account: Account) -> Trail | None:
    try:
        return trails.look(account)
    except TikTokStoreError as error:
        log.info("Other tasks of this account cannot be seen just now: %s", error)
        return None


def _code_of(error: BaseException) -> str:
    """Tell what an init's failure says of TikTok's windows."""
    if isinstance(error, TikTokAnswerError):
        return error.code or f"http_{error.http_status}"
    may_have_been_seen = isinstance(error, TikTokNoAnswerError | TikTokProtocolError)
    return LOST if may_have_been_seen or not isinstance(error, TikTokError) else GONE


def _add(account: Account, entry: Entry, error: BaseException | None) -> None:
    windows, circuit = windows_of(account), _circuit(account, entry, error)

    def changed(trail: Trail) -> Trail:
        trail = trail.with_entry(entry, windows)
        return replace(trail, circuit=circuit) if circuit else trail

    try:
        before, after = trails.change(account, changed)
    except TikTokStoreError as failure:
        log.info("Other tasks of this account are not told of %s: %s", entry.code, failure)
        return
    for lane, cap in after.caps:
        if dict(before.caps).get(lane) != cap and entry.capped:
            log.info("TikTok said no at %d posts (%s) of this account in its day.", cap.number, lane)


def _circuit(account: Account, entry: Entry, error: BaseException | None) -> Circuit | None:
    if entry.code not in ACCOUNT_CODES:
        return None
    try:
        grant = trails.grant_mark(account)
    except TikTokError:
        grant = ""  # then only time helps
    if not isinstance(error, TikTokAnswerError):
        return Circuit(entry.code, entry.lane, grant, entry.at)
    detail = error.detail[:_LONGEST_DETAIL]
    return Circuit(entry.code, entry.lane, grant, entry.at, detail, error.log_id, error.http_status)
