"""
The client: one generator that knows when a call may be repeated, and two thin drivers that do the I/O.

What may be repeated, and why: a read, after 5xx and lost answers; anything, while nothing was sent; anything,
once, with a refreshed token after 401 ``access_token_invalid``, and anything after 429, both of which TikTok
answers before it acts. **An init is never repeated after a time-out, a lost answer or a 5xx**: it is not
idempotent, and TikTok may have acted on it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode

from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.transport import Answer, AsyncTransport, Request, Transport
from airflow_provider_tiktok.exceptions import (
    TikTokError,
    TikTokNoAnswerError,
    TikTokNothingSentError,
    TikTokRateLimitError,
    TikTokServerError,
    TikTokStoreError,
    TikTokTokenError,
)

T = TypeVar("T")

#: Gives the seconds that a request may take, or raises where it must not be made any more.
Guard: TypeAlias = Callable[[], float]

DEADLINE_SECONDS = 30.0
REPEATS = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


class Tokens(Protocol):
    """Where a client gets the account's access token."""

    def token(self, refused: str = "") -> str:
        """
        Give a live access token.

        :param refused: one that TikTok did not take; another is given, if need be a refreshed one
        """

    async def atoken(self, refused: str = "") -> str:
        """Give a live access token, without blocking the event loop."""


@dataclass(frozen=True)
class Policy:
    """
    How a client behaves.

    :param base_url: scheme, host and port of the API
    :param rate_window: seconds of TikTok's minute
    :param patience: how many of those minutes a call may wait after 429; 0 = 429 is raised at once
    :param deadline: seconds a request may take in all
    :param repeats: how often a call that may be repeated is
    """

    base_url: str
    rate_window: float = 60.0
    patience: int = 0
    deadline: float = DEADLINE_SECONDS
    repeats: int = REPEATS


@dataclass(frozen=True)
class _NeedToken:
    refused: str = ""


@dataclass(frozen=True)
class _Pause:
    seconds: float


_Step: TypeAlias = _NeedToken | _Pause | Request
_Flow: TypeAlias = Generator[_Step, Any, T]


def _flow(call: Call[T], policy: Policy) -> _Flow[T]:
    """Carry out a call: yields what is to be done, takes what came of it."""
    token = "" if call.form else (yield _NeedToken())
    renewed, repeats, minutes = False, 0, 0
    met: TikTokError | None = None
    while True:
        try:
            answer: Answer = yield _request(call, policy, token)
            return call.result(answer)
        except TikTokTokenError:
            if renewed or call.form:
                raise
            renewed, token = True, (yield _NeedToken(refused=token))
        except TikTokRateLimitError:
            if minutes >= policy.patience or not call.patient:
                raise
            minutes += 1
            # TikTok's minute slides, so a part of it may be enough; jitter keeps tasks from coming together
            yield _Pause(policy.rate_window * random.uniform(0.5, 1.0))  # noqa: S311
        except TikTokError as error:
            if repeats >= policy.repeats or not _may_repeat(call, error):
                raise (
                    met if met and isinstance(error, TikTokStoreError) else error
                ) from None  # a guard's no
            met = error
            yield _Pause(min(LONGEST_PAUSE, FIRST_PAUSE * 2**repeats) * random.uniform(0.5, 1.0))  # noqa: S311
            repeats += 1


def _may_repeat(call: Call[Any], error: TikTokError) -> bool:
    if isinstance(error, TikTokNothingSentError):
        return True
    return call.repeatable and isinstance(error, TikTokNoAnswerError | TikTokServerError)


def _request(call: Call[Any], policy: Policy, token: str) -> Request:
    headers, content = {"Accept": "application/json"}, b""
    if not call.form:
        headers["Authorization"] = f"Bearer {token}"
    if call.body is not None:
        kind = "application/x-www-form-urlencoded" if call.form else "application/json; charset=UTF-8"
        headers["Content-Type"] = kind
        content = (urlencode(call.body) if call.form else json.dumps(call.body)).encode()
    query = f"?{urlencode(call.params)}" if call.params else ""
    url = f"{policy.base_url}{call.path}{query}"
    return Request(f"TikTok: {call.name}", call.method, url, headers, content, policy.deadline)


class Client:
    """
    Calls TikTok from a task.

    :param policy: where, and how patiently
    :param tokens: gives the access token; None where only OAuth endpoints are called
    :param transport: does the I/O
    """

    def __init__(
        self, policy: Policy, tokens: Tokens | None = None, transport: Transport | None = None
    ) -> None:
        self.policy = policy
        self.transport = transport or Transport()
        self._tokens = tokens

    def call(self, call: Call[T], guard: Guard | None = None) -> T:
        """
        Carry out a call.

        :param call: from :mod:`airflow_provider_tiktok.api.endpoints`
        :param guard: asked before each request, once everything else is ready; see :data:`Guard`. A call with
            one does not wait where a minute's limit was hit
        :raises TikTokAnswerError: TikTok said no; the subclass says what that means
        :raises TikTokNothingSentError: no connection
        :raises TikTokNoAnswerError: TikTok may have acted, but its answer was lost
        :raises TikTokProtocolError: the answer cannot be understood
        """
        flow = _flow(call, replace(self.policy, patience=0) if guard else self.policy)
        step = next(flow)
        try:
            while True:
                try:
                    result = self._perform(step, guard)
                except TikTokError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as done:
            value: T = done.value
            return value

    def _perform(self, step: _Step, guard: Guard | None) -> Answer | str | None:
        if isinstance(step, Request):
            return self.transport.send(replace(step, deadline=min(step.deadline, guard())) if guard else step)
        if isinstance(step, _Pause):
            time.sleep(step.seconds)
            return None
        return self._tokens.token(step.refused) if self._tokens else ""

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()


class AsyncClient:
    """
    Calls TikTok from an event loop; the same flow as :class:`Client`.

    :param policy: where, and how patiently
    :param tokens: gives the access token
    :param transport: does the I/O
    """

    def __init__(
        self, policy: Policy, tokens: Tokens | None = None, transport: AsyncTransport | None = None
    ) -> None:
        self.policy = policy
        self.transport = transport or AsyncTransport()
        self._tokens = tokens

    async def call(self, call: Call[T]) -> T:
        """Carry out a call; raises as :meth:`Client.call` does."""
        flow = _flow(call, self.policy)
        step = next(flow)
        try:
            while True:
                try:
                    result = await self._perform(step)
                except TikTokError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as done:
            value: T = done.value
            return value

    async def _perform(self, step: _Step) -> Answer | str | None:
        if isinstance(step, Request):
            return await self.transport.send(step)
        if isinstance(step, _Pause):
            await asyncio.sleep(step.seconds)
            return None
        return await self._tokens.atoken(step.refused) if self._tokens else ""

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()
