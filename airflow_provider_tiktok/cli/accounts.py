"""What is known of one account: its Connection, its stored grant, and what TikTok says to its token."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field

from airflow_provider_tiktok.api.oauth import scopes_of
from airflow_provider_tiktok.auth import refusal
from airflow_provider_tiktok.auth.account import Account, read_account
from airflow_provider_tiktok.auth.grant import Grant, State, clear_fields, read_back, seed_grant
from airflow_provider_tiktok.auth.keeper import TokenKeeper
from airflow_provider_tiktok.auth.store import GrantStore, VariableStore, configured_store
from airflow_provider_tiktok.cli.connections import Found
from airflow_provider_tiktok.cli.creator import name_of
from airflow_provider_tiktok.cli.database import CONN_TYPE
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokError,
    TikTokStoreError,
    TikTokTokenError,
)


@dataclass(kw_only=True)
class Looked:
    """
    What was found; empty where it is not known.

    :param conn_id: of the Connection
    :param source: where the Connection comes from
    :param host: the API's address
    :param state: the grant without its tokens
    :param kept: where the grant that counts is: ``stored`` or ``connection``; empty = there is none
    :param newer_login: whether the Connection holds a login that takes over at the next task
    :param can_refresh: whether there is a refresh token; None = not known
    :param creator: the name
    :param live: whether TikTok has taken the access token; None = not asked
    :param failure: what went wrong while looking
    """

    conn_id: str
    source: str = ""
    host: str = ""
    state: State = field(default_factory=State)
    kept: str = ""
    newer_login: bool = False
    can_refresh: bool | None = None
    creator: str = ""
    live: bool | None = None
    failure: TikTokError | None = None


def look(conn_id: str, found: Found | None, *, database_fault: str, asks: bool, refreshes: bool) -> Looked:
    """
    Look at one account.

    :param conn_id: of the Connection
    :param found: the Connection
    :param database_fault: why Airflow's database cannot be used; empty if it can
    :param asks: try a token that still lives
    :param refreshes: refresh the grant first
    """
    seen = Looked(conn_id=conn_id)
    try:
        account = _account(conn_id, found, seen)
        if refreshes:
            with closing(TokenKeeper(account)) as keeper:
                keeper.renew()
        grant = _grant(account, _stored(account, database_fault), seen)
        seen.state, seen.can_refresh = grant, bool(grant.refresh_token)
        if refused := refusal.recall(conn_id, grant, within=math.inf):  # as a task was told
            raise refused
        if asks and grant.lives(time.time()):
            _try(account, grant, seen)
    except TikTokError as error:
        seen.failure = error
    return seen


def _account(conn_id: str, found: Found | None, seen: Looked) -> Account:
    if found is None:
        raise TikTokConfigError(f"There is no Connection {conn_id}.")
    seen.source = found.source
    if not found.is_ours:
        raise TikTokConfigError(f"Connection {conn_id} is not of type {CONN_TYPE}.")
    account = read_account(found.connection, found.connection.extra_dejson)
    seen.host = account.base_url
    return account


def _stored(account: Account, database_fault: str) -> str | None:
    store: GrantStore = configured_store()
    if database_fault and isinstance(store, VariableStore):
        raise TikTokStoreError(
            f"Airflow's database cannot be used ({database_fault}), so the stored grant is not known."
        )
    return store.load(account.conn_id)


def _grant(account: Account, text: str | None, seen: Looked) -> Grant:
    """Give the grant that counts, as a task would choose it."""
    if text is None:
        grant = seed_grant(account)
        seen.kept = "connection"
        return grant
    seen.kept, seen.state = "stored", clear_fields(text, account.conn_id)
    seed, state = account.seed, seen.state
    if seed.given and seed.fingerprint not in (state.seed, *state.past_seeds):
        seen.kept, seen.newer_login = "connection", True
        return seed_grant(account)
    return read_back(text, account)


def _try(account: Account, grant: Grant, seen: Looked) -> None:
    try:
        seen.creator = name_of(account.base_url, grant.access_token, scopes_of(grant.scope))
        seen.live = True
    except TikTokTokenError:
        seen.live = False
