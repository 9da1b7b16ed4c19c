"""
Gives an account's access token to whoever needs one, and sees that it is renewed in time.

A renewal runs in a thread of its own, one at a time, whoever asks: so neither a task that is told to stop nor
an event loop can tear it apart, and who holds a token that still lives does not wait for it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from contextlib import ExitStack
from functools import partial
from weakref import WeakSet

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.flight import (
    Flight,
    Outcome,
    StoppedError,
    launch,
    running_loop,
    token_of,
    two_may_ask,
)
from airflow_provider_tiktok.auth.grant import Grant, State
from airflow_provider_tiktok.auth.renewal import Renewal
from airflow_provider_tiktok.auth.store import GrantStore, configured_store
from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError

log = logging.getLogger(__name__)

#: After a refresh that failed, this long goes by before a token that still lives is to be refreshed again.
AGAIN_SECONDS = 30.0
#: So long does a hook that nobody has closed wait for a renewal; it takes a few seconds.
SETTLE_SECONDS = 60.0
#: So long does a process that wants to end wait: one whose supervisor is gone could never save.
EXIT_SECONDS = 900.0


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
        self._renewed_at = 0.0
        self._jitter = random.random()  # noqa: S311
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._closed = False
        _keepers.add(self)

    def token(self, refused: str = "") -> str:
        """
        Give a live access token.

        :param refused: one that TikTok did not take
        :raises TikTokConsentError: TikTok does not accept the grant: the creator has to allow the app again
        :raises TikTokConfigError: there is no grant
        :raises TikTokStoreError: Airflow cannot say which grant is the live one
        """
        while isinstance(found := self._found(refused, waits=not two_may_ask()), Future):
            if (token := token_of(found.result())) not in self._refused:
                return token
        return found

    async def atoken(self, refused: str = "") -> str:
        """Give a live access token without blocking the event loop; raises as :meth:`token` does."""
        while isinstance(found := self._found(refused), Future):
            if (token := token_of(await asyncio.wrap_future(found))) not in self._refused:
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
        began = time.monotonic()
        token = self.token()
        if self._renewed_at < began:  # else it had ended, and there is a new one already
            self.token(refused=token)
        return self.state()

    def close(self) -> None:
        """Close the connections, but not under a renewal: the answer on its way holds the only live grant."""
        self._closed = True
        with ExitStack() as stack:
            stack.callback(self._close_unless_flying)
            self.settle()

    def settle(self, seconds: float | None = None) -> None:
        """
        Wait for a renewal of ours that is on its way; one that waits for another process's is let go.

        Does not wait where the renewal may be waiting for this thread: in an event loop, through which a
        triggerer reads Variables, and in the renewal's own thread, in which the garbage collector may come to
        a hook that nobody has closed. The process does not end before it, either way.

        :param seconds: at most; None = until it has landed
        """
        end = None if seconds is None else time.monotonic() + seconds
        interruption: BaseException | None = None
        while True:
            try:
                self._wait(end)
                break
            except BaseException as error:  # a signal, which is not lost: it has to wait
                interruption = error
        if interruption is not None:
            raise interruption

    def _wait(self, end: float | None) -> None:
        while (flight := self._flight) is not None:
            flight.wanted = False
            left = None if end is None else end - time.monotonic()
            needed_here = flight.thread == threading.get_ident() or running_loop() is not None
            if needed_here or (left is not None and left <= 0):
                return
            wait([flight.landed], left)

    # --- what is in hand ---

    def _found(self, refused: str, *, waits: bool = False) -> str | Future[Outcome]:
        """
        Give a token that can be used now, or what will bring one.

        :param refused: see :meth:`token`
        :param waits: no token while a renewal is on its way
        """
        with self._lock:
            if refused and refused not in self._refused:
                self._refused.append(refused)
            grant = self._grant
            if grant is not None and self._good(grant):
                return grant.access_token
            spare = grant.access_token if grant is not None and self._lives(grant) else ""
            if spare and time.monotonic() < self._again_at:
                return spare
            flight = self._flight or self._depart(blocks=waits)
            if waits:
                return flight.landed
            if not spare and flight.usable.done():  # since the look at what is in hand
                outcome = flight.usable.result()
                spare = outcome.access_token if isinstance(outcome, Grant) and self._lives(outcome) else ""
                return spare or flight.landed
            return spare or flight.usable

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

    def _depart(self, *, blocks: bool) -> Flight:
        """Begin a renewal; the lock is held, so that its thread does nothing before this has returned."""
        flight = Flight()
        try:
            self._flight = flight
            _finish_before_exit(self)
            launch(partial(self._fly, flight), blocks=blocks)
        except BaseException:  # a signal, or no thread is to be had; one that has begun finds it is not meant
            self._flight = None
            _flying.discard(self)
            raise
        return flight

    def _fly(self, flight: Flight) -> None:
        with self._lock:
            if self._flight is not flight:
                return
            flight.thread = threading.get_ident()
        try:
            outcome: Outcome = self._renewed(flight)
        except BaseException as error:  # whoever waits has to hear of it
            outcome = error
        with self._lock:
            self._flight = None
            _flying.discard(self)
        if self._closed:
            self._close_unless_flying()
        flight.land(outcome)

    def _renewed(self, flight: Flight) -> Grant:
        """Find a grant that is good, or make it; one that still lives is handed out at once."""
        held = self._grant
        if held is None and (seen := self._seen()):
            return seen
        try:
            grant = self._renewal.current()
        except Exception as error:
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
            renewed = self._renewal.renewed(self._good, patient=not lives, waits=flight.check_wanted)
        except Exception as error:
            if not self._lives(grant):
                raise
            return self._lives_on(grant, error)
        if renewed is None:
            return self._lives_on(grant, None)
        if renewed.access_token in self._refused:  # TikTok has given it once more: it may be right now
            self._refused.remove(renewed.access_token)
        self._use(renewed)
        self._renewed_at = time.monotonic()
        return renewed

    def _seen(self) -> Grant | None:
        """Use the grant that one look shows, if its access token is as good as new."""
        try:
            grant = self._renewal.glance()
        except TikTokStoreError:
            return None
        if not self._good(grant):
            return None
        self._use(grant)
        return grant

    def _lives_on(self, grant: Grant, error: Exception | None) -> Grant:
        self._again_at = time.monotonic() + AGAIN_SECONDS
        if error is not None and not isinstance(error, StoppedError):
            why = error if isinstance(error, TikTokError) else type(error).__name__
            log.warning("The access token lives on, but could not be refreshed early: %s", why)
        return grant

    def _close_unless_flying(self) -> None:
        if self._flight is None:  # who lands closes
            self._client.close()

    def _after_fork(self) -> None:
        """A fork takes no threads along, and what the parent holds is not the child's."""
        self._lock, self._flight = threading.Lock(), None
        self._renewal.forget_claim()


_keepers: WeakSet[TokenKeeper] = WeakSet()
_flying: set[TokenKeeper] = set()
_registered_in = 0


def _finish_before_exit(keeper: TokenKeeper) -> None:
    """Have the process wait for the renewal: a task's ends without waiting for its threads."""
    global _registered_in  # noqa: PLW0603
    if _registered_in != os.getpid():  # what was registered before Airflow's fork is not run after it
        _registered_in = os.getpid()
        atexit.register(_finish)
    _flying.add(keeper)


def _finish() -> None:
    with ExitStack() as stack:  # a signal while one is waited for loses none of the others
        for keeper in list(_flying):
            stack.callback(keeper.settle, EXIT_SECONDS)


def _after_fork_in_child() -> None:
    _flying.clear()
    for keeper in list(_keepers):
        keeper._after_fork()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork_in_child)
