"""
Gives an account's access token to whoever needs one, and sees that it is renewed in time.

A renewal runs in a thread of its own, one at a time, whoever asks: so neither a task that is told to stop nor
an event loop can tear it apart, and who holds a token that still lives does not wait for it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import random
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from weakref import WeakSet

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.grant import Grant, State
from airflow_provider_tiktok.auth.renewal import Renewal
from airflow_provider_tiktok.auth.store import GrantStore, configured_store
from airflow_provider_tiktok.exceptions import TikTokError

log = logging.getLogger(__name__)

#: After a refresh that failed, this long goes by before a token that still lives is to be refreshed again.
AGAIN_SECONDS = 30.0


class _StoppedError(TikTokError):
    """Nobody waits for the renewal any more."""


@dataclass
class _Flight:
    """
    A renewal that is on its way.

    :param usable: the first token that can be used: one that lives on while the next is made, or the next
    :param landed: the outcome
    """

    usable: Future[Grant] = field(default_factory=Future)
    landed: Future[Grant] = field(default_factory=Future)


class TokenKeeper:
    """
    Gives the access token of one account, and refreshes it when its end is near.

    :param account: read from the Connection
    :param masks: add tokens to Airflow's log masker; not in the triggerer, whose masker would grow for ever
    :param client: calls TikTok's token endpoint; None = the account's host
    :param store: where the live grant is kept; None = the one that the deployment has chosen
    """

    def __init__(
        self,
        account: Account,
        *,
        masks: bool = True,
        client: Client | None = None,
        store: GrantStore | None = None,
    ) -> None:
        self.account = account
        self._masks = masks
        self._client = client or Client(Policy(account.base_url))
        self._renewal = Renewal(account, store or configured_store(), self._client)
        self._grant: Grant | None = None
        self._refused: deque[str] = deque(maxlen=8)
        self._again_at = 0.0
        self._jitter = random.random()  # noqa: S311
        self._lock = threading.Lock()
        self._flight: _Flight | None = None
        self._stopping = False

    def token(self, refused: str = "") -> str:
        """
        Give a live access token.

        :param refused: one that TikTok did not take
        :raises TikTokConsentError: TikTok does not accept the grant: the creator has to allow the app again
        :raises TikTokConfigError: there is no grant
        :raises TikTokStoreError: Airflow cannot say which grant is the live one
        """
        while isinstance(found := self._found(refused), Future):
            if (token := found.result().access_token) not in self._refused:
                return token
        return found

    async def atoken(self, refused: str = "") -> str:
        """Give a live access token without blocking the event loop; raises as :meth:`token` does."""
        while isinstance(found := self._found(refused), Future):
            if (token := (await asyncio.wrap_future(found)).access_token) not in self._refused:
                return token
        return found

    def state(self) -> State:
        """Tell what is known of the grant whose token is live; raises as :meth:`token` does."""
        self.token()
        return self._grant.state if self._grant else State()

    async def astate(self) -> State:
        """Tell what is known of the grant without blocking the event loop; raises as :meth:`token` does."""
        await self.atoken()
        return self._grant.state if self._grant else State()

    def renew(self) -> State:
        """Have a grant that is newer than the one in use; raises as :meth:`token` does."""
        self.token(refused=self.token())
        return self.state()

    def close(self) -> None:
        """Close the connections, but not under a renewal: the answer on its way holds the only live grant."""
        self._stopping = True
        interruption: BaseException | None = None
        while (flight := self._flight) is not None:
            try:
                flight.landed.exception()
            except BaseException as error:  # a signal, which is not lost: it has to wait
                interruption = error
        self._client.close()
        if interruption is not None:
            raise interruption

    # --- what is in hand ---

    def _found(self, refused: str) -> str | Future[Grant]:
        """Give a token that can be used now, or what will bring one."""
        with self._lock:
            if refused and refused not in self._refused:
                self._refused.append(refused)
            grant = self._grant
            if grant is not None and self._good(grant):
                return grant.access_token
            spare = grant.access_token if grant is not None and self._lives(grant) else ""
            if spare and time.monotonic() < self._again_at:
                return spare
            flight = self._flight or self._depart()
            if spare:
                return spare
            return flight.landed if flight.usable.done() else flight.usable

    def _good(self, grant: Grant) -> bool:
        return grant.access_token not in self._refused and not grant.due(time.time(), self._jitter)

    def _lives(self, grant: Grant) -> bool:
        return grant.access_token not in self._refused and grant.lives(time.time())

    def _use(self, grant: Grant) -> None:
        if self._masks:
            for secret in filter(None, (grant.access_token, grant.refresh_token)):
                mask_secret(secret)
        self._grant = grant

    # --- the renewal in its thread ---

    def _depart(self) -> _Flight:
        flight = self._flight = _Flight()
        flight.usable.set_running_or_notify_cancel()  # who waits may give up, and takes nothing down with it
        flight.landed.set_running_or_notify_cancel()
        _finish_before_exit(self)
        context = contextvars.copy_context()  # Airflow keeps there to whom a log line belongs
        threading.Thread(target=context.run, args=(self._fly, flight), name="tiktok-grant").start()
        return flight

    def _fly(self, flight: _Flight) -> None:
        grant: Grant | None = None
        failure: BaseException | None = None
        try:
            grant = self._renewed(flight)
        except BaseException as error:  # whoever waits has to hear of it
            failure = error
        with self._lock:
            self._flight = None
        for waited in (flight.usable, flight.landed):
            if waited.done():
                continue
            if grant is not None:
                waited.set_result(grant)
            else:
                waited.set_exception(failure)

    def _renewed(self, flight: _Flight) -> Grant:
        """Find a grant that is good, or make it; one that still lives is handed out at once."""
        held = self._grant
        try:
            grant = self._renewal.current()
        except TikTokError as error:
            if held is None or not self._lives(held):
                raise
            return self._lives_on(held, error)
        self._use(grant)
        if self._good(grant):
            return grant
        lives = self._lives(grant)
        if lives:
            flight.usable.set_result(grant)
        try:
            renewed = self._renewal.renewed(self._good, patient=not lives, waits=self._check_wanted)
        except TikTokError as error:
            if not lives:
                raise
            return self._lives_on(grant, error)
        if renewed is None:
            return self._lives_on(grant, None)
        self._use(renewed)
        return renewed

    def _lives_on(self, grant: Grant, error: TikTokError | None) -> Grant:
        self._again_at = time.monotonic() + AGAIN_SECONDS
        if error is not None and not isinstance(error, _StoppedError):
            log.warning("The access token lives on, but could not be refreshed early: %s", error)
        return grant

    def _check_wanted(self) -> None:
        if self._stopping:
            raise _StoppedError("The renewal was not waited for.")


_flying: WeakSet[TokenKeeper] = WeakSet()
_registered_in = 0


def _finish_before_exit(keeper: TokenKeeper) -> None:
    """Have the process wait for the renewal: a task's ends without waiting for its threads."""
    global _registered_in  # noqa: PLW0603
    if _registered_in != os.getpid():  # what was registered before Airflow's fork is not run after it
        _registered_in = os.getpid()
        atexit.register(_finish)
    _flying.add(keeper)


def _finish() -> None:
    for keeper in list(_flying):
        keeper.close()
