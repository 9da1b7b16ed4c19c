"""Where the trail of each account is kept: an Airflow Variable; task processes write it, and all read it."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import State, clear_fields
from airflow_provider_tiktok.auth.store import configured_store
from airflow_provider_tiktok.auth.turns import turn
from airflow_provider_tiktok.publishing.trail import Trail, read_trail

#: So long does a task wait for another that writes; it takes a tenth of a second.
_WRITER_SECONDS = 10.0


def look(account: Account) -> Trail | None:
    """
    Give the trail of an account; None = there is none, or it cannot be read just now.

    :param account: read from the Connection
    :raises TikTokStoreError: Airflow says that it cannot be read just now
    """
    text = register.peek(_key(account))
    return None if text is None else read_trail(text)


def change(account: Account, changed: Callable[[Trail], Trail]) -> tuple[Trail, Trail]:
    """
    Read, change and write the trail; what another host writes meanwhile is lost, which does no harm.

    :param account: read from the Connection
    :param changed: makes the next of the one that is there
    :return: the trail before and after
    :raises TikTokStoreError: it cannot be told what is there, or it could not be written
    """
    key = _key(account)
    with turn(f"{account.base_url} {key}", patience=_WRITER_SECONDS):
        # a failed read looks like absence, and what is there must not be forgotten for that
        text = register.peek(key) or register.read(key)
        before = read_trail(text)
        after = changed(before)
        register.put(key, after.dumped())
    return before, after


def grant_mark(account: Account) -> str:
    """
    Tell one grant of an account from the next: it changes with every login and refresh.

    :param account: read from the Connection
    :raises TikTokError: it cannot be told just now
    """
    text = configured_store().load(account.conn_id)
    state = clear_fields(text, account.conn_id) if text else State()
    return f"{account.seed.fingerprint}/{state.seed}/{state.generation}"


def _key(account: Account) -> str:
    return register.name("pace", account.conn_id)
