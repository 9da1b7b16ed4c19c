"""
Keeps an account's access token alive: the one place where a refresh token is spent.

TikTok rotates (2026-11-02): a refresh kills the refresh token it was made with, at once. So the live grant is
kept in an Airflow Variable, seeded from the Connection; a new one is saved, and read back, before it is used;
and on one machine one process at a time refreshes, while whoever holds a token that still lives goes on.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import Grant, read_back, seed_grant, seed_of, written
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokStoreError,
)

log = logging.getLogger(__name__)

SAVE_PAUSES = (0.2, 0.5, 1, 2, 4, 8, 15, 15, 15)
#: After a refresh that failed, this long goes by before a token that still lives is to be refreshed again.
AGAIN_SECONDS = 30.0


class _BusyError(TikTokError):
    """Another process of this machine is refreshing."""


class TokenKeeper:
    """
    Gives the access token of one account, and refreshes it when its end is near.

    :param account: read from the Connection
    :param masks: add tokens to Airflow's log masker; not in the triggerer, whose masker would grow for ever
    :param client: calls TikTok's token endpoint; None = the account's host
    """

    def __init__(self, account: Account, *, masks: bool = True, client: Client | None = None) -> None:
        self.account = account
        self._key = f"tiktok_grant__{account.conn_id}"
        self._masks = masks
        self._client = client or Client(Policy(account.base_url))
        self._grant: Grant | None = None
        self._unsaved: Grant | None = None
        self._again_at = 0.0
        self._jitter = random.random()  # noqa: S311
        self._lock = threading.Lock()

    def token(self, refused: str = "") -> str:
        """
        Give a live access token.

        :param refused: one that TikTok did not take
        :raises TikTokConsentError: TikTok does not accept the grant: the creator has to allow the app again
        :raises TikTokConfigError: there is no grant
        :raises TikTokStoreError: Airflow cannot say which grant is the live one
        """
        grant = self._grant
        if grant is not None and self._good(grant, refused):
            return grant.access_token
        spare = grant.access_token if grant is not None and self._lives(grant, refused) else ""
        if spare and time.monotonic() < self._again_at:
            return spare
        if not self._lock.acquire(blocking=not spare):
            return spare  # another thread is at it, and this one need not wait
        try:
            return self._renewed(refused).access_token
        finally:
            self._lock.release()

    async def atoken(self, refused: str = "") -> str:
        """Give a live access token without blocking the event loop; raises as :meth:`token` does."""
        grant = self._grant
        if grant is not None and self._good(grant, refused):
            return grant.access_token
        return await asyncio.to_thread(self.token, refused)

    def scope(self) -> str:
        """Tell what the creator has allowed, comma-separated; empty = not known."""
        self.token()
        return self._grant.scope if self._grant else ""

    def close(self) -> None:
        """Close the connections, but not under a refresh: the answer on its way holds the only live grant."""
        with self._lock:
            self._client.close()

    def _good(self, grant: Grant, refused: str) -> bool:
        return grant.access_token != refused and not grant.due(time.time(), self._jitter)

    def _lives(self, grant: Grant, refused: str) -> bool:
        return grant.access_token != refused and grant.lives(time.time())

    def _renewed(self, refused: str) -> Grant:
        """Find or make a grant that is good; the process's lock is held."""
        held = self._grant
        if held is not None and self._good(held, refused):
            return held  # another thread was faster
        known = [held] if held else []
        try:
            known.insert(0, self._load())
            if self._good(known[0], refused):
                return self._use(known[0])
            wait = not any(self._lives(each, refused) for each in known)
            with _machine_lock(self._key, wait=wait):
                grant = self._newest()
                return self._use(grant if self._good(grant, refused) else self._refreshed(grant))
        except TikTokError as error:
            living = [each for each in known if self._lives(each, refused)]
            if not living:
                raise
            self._again_at = time.monotonic() + AGAIN_SECONDS
            if not isinstance(error, _BusyError):
                log.warning("The access token lives on, but could not be refreshed early: %s", error)
            return self._use(living[0])

    def _newest(self) -> Grant:
        """Give the live grant: the one that could not be saved yet, unless somebody has made a newer one."""
        grant, unsaved = self._load(), self._unsaved
        if unsaved is None or unsaved.seed != grant.seed or unsaved.generation <= grant.generation:
            return grant
        self._save(unsaved)
        return unsaved

    def _load(self) -> Grant:
        """Give the live grant: the stored one, or the Connection's where that is newer or the only one."""
        text = register.read(self._key)
        seed = self.account.seed
        has_seed = bool(seed.refresh_token or seed.access_token)
        if text is None or (has_seed and seed_of(text) != seed.fingerprint):
            if not has_seed:
                raise TikTokConfigError(
                    f"Connection {self.account.conn_id}: there is no grant. Put the refresh_token that "
                    "TikTok gave when the creator allowed the app into the Connection's extra."
                )
            return seed_grant(self.account)
        return read_back(text, self.account)

    def _refreshed(self, grant: Grant) -> Grant:
        if not grant.refresh_token:
            raise TikTokConfigError(
                f"Connection {self.account.conn_id}: the access token is not valid any more, and without a "
                "refresh_token in the Connection's extra there is no new one."
            )
        account, asked = self.account, time.time()
        call = endpoints.refresh_token(
            account.client_key, account.client_secret, refresh_token=grant.refresh_token
        )
        try:
            token = self._client.call(call)
        except TikTokConsentError:
            newer = self._load()
            if newer.generation > grant.generation:
                return newer
            raise
        fresh = grant.refreshed(token, asked)
        self._save(fresh)
        log.info(
            "Refreshed the access token of connection %s (generation %d).", account.conn_id, fresh.generation
        )
        return fresh

    def _save(self, grant: Grant) -> None:
        """Save what is now the only live grant: not at the first try, but before it is used."""
        text, self._unsaved = written(grant, self.account), grant
        for pause in SAVE_PAUSES:
            try:
                register.write(self._key, text)
                break
            except TikTokStoreError as error:
                log.warning("The new grant could not be saved yet, trying again in %s s: %s", pause, error)
                time.sleep(pause)
        else:
            register.write(self._key, text)
        self._unsaved = None

    def _use(self, grant: Grant) -> Grant:
        if self._masks:
            for secret in filter(None, (grant.access_token, grant.refresh_token)):
                mask_secret(secret)
        self._grant = grant
        return grant


@contextmanager
def _machine_lock(name: str, *, wait: bool) -> Iterator[None]:
    """One process of this machine and user at a time; the kernel frees it when a process dies."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"airflow-tiktok-{os.getuid()}-{digest}.lock"
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _BusyError("Another process is refreshing.") from None
        yield
    finally:
        os.close(handle)
