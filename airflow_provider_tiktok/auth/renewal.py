"""
The one place where a refresh token is spent: once, by one process of all hosts, and its answer is kept.

TikTok rotates (2026-11-02): a refresh kills the refresh token that it was made with, at once. So a refresh is
made under a claim, which is for one generation of one login; the answer is saved, and read back, before
anybody uses it; and who holds an answer that cannot be saved yet does not stop trying.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from airflow.providers.common.compat.sdk import conf

from airflow_provider_tiktok import register, stats
from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import DEADLINE_SECONDS, Client, Policy
from airflow_provider_tiktok.api.models import Token
from airflow_provider_tiktok.auth import refusal
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import Grant, State, clear_fields, read_back, seed_grant, written
from airflow_provider_tiktok.auth.store import GrantStore
from airflow_provider_tiktok.auth.turns import turn
from airflow_provider_tiktok.claim import Claim, Held, Pace
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokNothingSentError,
    TikTokServerError,
    TikTokStoreError,
    name_connection,
)

log = logging.getLogger(__name__)

READ_PAUSES = (0.5, 1.0, 2.0, 4.0)
SEND_PAUSES = (0.5, 1.0, 2.0)
_warned: set[str] = set()


def save_pauses() -> Iterator[float]:
    """Give the seconds between two tries to save: there is no last one."""
    return itertools.chain((0.2, 0.5, 1, 2, 4, 8), itertools.repeat(15))


class Renewal:
    """
    Reads and renews the live grant of one account.

    :param account: read from the Connection
    :param store: where the grant is kept
    :param client: calls TikTok's token endpoint
    """

    def __init__(self, account: Account, store: GrantStore, client: Client) -> None:
        self._account, self._store, self._client = account, store, client
        self._pace = _configured_pace()
        self._newest: Grant | None = None
        self._held: tuple[str, Held] | None = None
        self._replaced: State | None = None

    def forget_claim(self) -> None:
        """Go on without the claim that may be held: in a forked process, it is the parent's."""
        self._held = None

    # --- which grant is the live one ---

    def glance(self) -> Grant:
        """
        Give the grant that one look shows, of which only the access token may be used: nothing is proven.

        An account that was connected today has no stored grant, and to prove that there is none takes twenty
        requests of Airflow's API server. Where the look was wrong, TikTok refuses the token; then
        :meth:`current` tells.

        :raises TikTokStoreError: it cannot be looked at
        :raises TikTokConfigError: there is none, or it cannot be read
        """
        look = getattr(self._store, "peek", self._store.load)  # a store of the user's own proves what it says
        return self._read(look(self._account.conn_id))

    def current(self, pauses: Iterable[float] = READ_PAUSES) -> Grant:
        """
        Give the live grant: the stored one, or the Connection's where that is a newer login or the only one.

        :param pauses: seconds between two tries to read it
        :raises TikTokStoreError: it cannot be told
        :raises TikTokConfigError: there is none, or it cannot be read
        """
        for pause in pauses:
            try:
                return self._current()
            except TikTokStoreError as error:
                log.info("The stored grant cannot be read yet, trying again in %s s: %s", pause, error)
                time.sleep(pause)
        return self._current()

    def _current(self) -> Grant:
        found, newest = self._stored(), self._newest
        if newest is not None and newest.seed == found.seed and newest.generation > found.generation:
            found = self._put_back(newest)
        self._newest = found
        return found

    def _put_back(self, grant: Grant) -> Grant:
        """
        Save a grant again, over an older one whose write was long on its way.

        Who goes by the older one would spend its refresh token a second time.
        """
        log.warning(
            "Connection %s: an older grant has been written over generation %d, which is put back.",
            self._account.conn_id,
            grant.generation,
        )
        try:
            newer = self._successor(grant, written(grant, self._account))
        except TikTokStoreError as error:  # it is in hand all the same, and the next look tries again
            log.warning("It could not be put back yet: %s", error)
            newer = None
        return grant if newer is None else read_back(newer, self._account)

    def _stored(self) -> Grant:
        text = self._store.load(self._account.conn_id)
        if text is None:
            self._check_unspent()
        return self._read(text)

    def _read(self, text: str | None) -> Grant:
        """Give what is stored, or the Connection's grant where that is a newer login or the only one."""
        account, seed = self._account, self._account.seed
        if text is None:
            return seed_grant(account)
        kept = clear_fields(text, account.conn_id)
        if not seed.given or seed.fingerprint == kept.seed:
            return read_back(text, account)
        if seed.fingerprint not in kept.past_seeds:
            self._replaced = kept
            return seed_grant(account, past_seeds=(*kept.past_seeds, kept.seed))
        self._warn_of_old_seed()
        return read_back(text, account)

    def _check_unspent(self) -> None:
        """See that nobody has come to the second renewal of this login, else reading its grant has failed."""
        if register.read(self._claim_key(self._account.seed.fingerprint, 1)) is not None:
            raise TikTokStoreError(
                f"Connection {self._account.conn_id}: the stored grant cannot be found, but was there, and "
                "the refresh token in the Connection has been spent since. If somebody has deleted it: "
                f"airflow-tiktok login --conn-id {self._account.conn_id}."
            )

    def _warn_of_old_seed(self) -> None:
        conn_id = self._account.conn_id
        if conn_id not in _warned:
            _warned.add(conn_id)
            log.warning(
                "Connection %s, as this process sees it, holds an older login than the stored grant, which "
                "is used. Where Connections come from environment variables, update them on every host.",
                conn_id,
            )

    # --- the next grant ---

    def renewed(
        self, is_good: Callable[[Grant], bool], *, patient: bool, waits: Callable[[], object] = lambda: None
    ) -> Grant | None:
        """
        Give a grant that is good, whoever makes it.

        :param is_good: tells whether a grant needs no renewal
        :param patient: whether to wait for another process of this machine that is at it
        :param waits: called while others are waited for; may raise
        :return: None if another process is at it and must not be waited for
        :raises TikTokConsentError: TikTok does not accept the grant: the creator has to allow the app again
        """
        key = register.name("grant", self._account.conn_id)
        with turn(f"{self._account.base_url} {key}", patience=self._pace.ttl * patient, waits=waits) as mine:
            if not mine and not patient:
                return None
            grant = self.current()
            while not is_good(grant):
                found = self._take(grant, waits)
                if isinstance(found, Held):
                    return self._exchanged(grant, found)
                grant = found
            return grant

    def _take(self, grant: Grant, waits: Callable[[], object]) -> Held | Grant:
        """Get the right to renew a grant, or the one that has come after it."""
        if not grant.refresh_token:
            raise TikTokConfigError(
                f"Connection {self._account.conn_id}: the access token is not valid any more, and without a "
                "refresh_token there is no new one. What to do: airflow-tiktok login --conn-id "
                f"{self._account.conn_id}."
            )

        def outcome() -> Grant | None:
            waits()
            try:
                self._check_not_refused(grant)
                if self._store.load(self._account.conn_id) is None:
                    return None  # nobody has saved one; to prove more takes long, and the claim is watched
                return self._newer_than(grant, pauses=())
            except TikTokStoreError:
                return None

        self._check_not_refused(grant)
        key = self._claim_key(grant.seed, grant.generation)
        if self._held is not None and self._held[0] == key and self._has_time(self._held[1]):
            found: Held | Grant = self._held[1]  # in since an earlier try
        else:
            guards = f"renewal of generation {grant.generation}"
            found = Claim(key, self._pace, guards=guards).take(outcome)
        if isinstance(found, Held):
            self._held = (key, found)
            self._check_not_refused(grant)
            return self._newer_than(grant) or found
        return found

    def _check_not_refused(self, grant: Grant) -> None:
        if refused := refusal.recall(self._account.conn_id, grant):
            raise refused

    def _newer_than(self, grant: Grant, pauses: Iterable[float] = READ_PAUSES) -> Grant | None:
        newest = self.current(pauses)
        return newest if (newest.seed, newest.generation) != (grant.seed, grant.generation) else None

    def _has_time(self, held: Held) -> bool:
        return held.left() > self._pace.hold / 8

    def _exchanged(self, grant: Grant, held: Held) -> Grant:
        """Trade the refresh token for the next grant, and keep that."""
        written(grant, self._account)  # what cannot be written down must not be asked for
        asked = time.time()
        try:
            token = self._asked(grant, held)
        except TikTokConsentError as error:
            if newer := self._newer_than(grant):
                return newer  # whoever made it, it is ours too
            name_connection(error, self._account.conn_id)
            refusal.remember(self._account.conn_id, grant, error)
            stats.count_refresh("refused", self._account.conn_id)
            raise
        # no lifetime is taken for longer than it is; the pauses in between only make it shorter
        fresh = self._keep(grant.refreshed(token, asked))
        log.info(
            "Refreshed the access token of connection %s (generation %d).",
            self._account.conn_id,
            fresh.generation,
        )
        stats.count_refresh("done", self._account.conn_id)
        self._tidy(fresh)
        return fresh

    def _asked(self, grant: Grant, held: Held) -> Token:
        """Ask TikTok, and again where it surely has not rotated; a lost answer is for the caller's retry."""
        for pause in (*SEND_PAUSES, None):
            if not self._has_time(held):
                break
            try:
                return self._client_for(held).call(self._call(grant))
            except (TikTokNothingSentError, TikTokServerError) as error:
                if pause is None:
                    raise
                log.info("The access token could not be refreshed yet: %s", error)
                time.sleep(pause)
        raise TikTokStoreError(
            f"Connection {self._account.conn_id}: the right to refresh the access token ran out before "
            "TikTok had answered. Let the task be retried."
        )

    def _client_for(self, held: Held) -> Client:
        """Give a client whose request surely ends before the claim does."""
        deadline = min(DEADLINE_SECONDS, held.left() * 0.9)
        policy = Policy(self._account.base_url, deadline=deadline, repeats=0)
        return Client(policy, transport=self._client.transport)

    def _call(self, grant: Grant) -> endpoints.Call[Token]:
        account = self._account
        call = endpoints.refresh_token(
            account.client_key, account.client_secret, refresh_token=grant.refresh_token
        )
        return replace(call, name=f"{call.name} of connection {account.conn_id}")

    # --- keeping it ---

    def _keep(self, grant: Grant) -> Grant:
        """Save what is now the only live grant, however long that takes; give way only to a newer one."""
        text = written(grant, self._account)
        self._newest = grant
        for pause in save_pauses():
            try:
                newer = self._successor(grant, text)
                break
            except Exception as error:  # whatever it is, giving up would lose the grant
                # never as long as it takes to get a claim: after an outage of a quarter of an hour, ours
                # counts for nothing, and whoever comes next would spend the refresh token a second time
                seconds = min(pause, self._pace.settle / 3)
                why = error if isinstance(error, TikTokError) else type(error).__name__
                log.warning("The new grant could not be saved yet, trying again in %s s: %s", seconds, why)
                time.sleep(seconds)
        if newer is None:
            return grant
        self._newest = None
        return read_back(newer, self._account)

    def _successor(self, grant: Grant, text: str) -> str | None:
        """Save a grant, unless the store has one that must not be overwritten; give that."""
        there = self._store.load(self._account.conn_id)
        if there is not None and there != text and self._is_newer(there, grant):
            return there
        if there != text:
            self._store.save(self._account.conn_id, text)
        return None

    def _is_newer(self, text: str, grant: Grant) -> bool:
        try:
            there = clear_fields(text, self._account.conn_id)
        except TikTokConfigError:
            return False  # whatever has been put there, it is no grant
        if there.seed == grant.seed:
            return there.generation >= grant.generation
        return grant.seed in there.past_seeds

    def _tidy(self, grant: Grant) -> None:
        """Remove claims that are over: who comes late for one finds in the store what has been done."""
        past = grant.generation - 2
        if past >= 0 and past != 1:  # that of generation 1 stays: it proves that the seed has been spent
            register.remove(self._claim_key(grant.seed, past))
        if (old := self._replaced) is not None and old.seed != grant.seed:
            for generation in {1, old.generation - 1, old.generation}:
                register.remove(self._claim_key(old.seed, generation))
            self._replaced = None

    def _claim_key(self, seed: str, generation: int) -> str:
        return register.name("claim", self._account.conn_id, seed, str(generation))


def _configured_pace() -> Pace:
    seconds = conf.getfloat("tiktok", "claim_write_seconds", fallback=8.0)
    try:
        return Pace.of(seconds)
    except ValueError:
        raise TikTokConfigError(
            f"[tiktok] claim_write_seconds = {seconds:g}: it must be a number of seconds above 0."
        ) from None
