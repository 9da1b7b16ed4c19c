"""Faults to order: what goes wrong, at which request, before or after the server has acted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_tiktok.sandbox.wire import Refusal

ACTIONS = ("status", "error", "drop", "delay", "garbage", "redirect", "fail")
MOMENTS = ("before", "during", "after")
BODIES = ("text", "truncated", "cut", "shape", "html", "empty")


@dataclass
class Fault:
    """
    One fault.

    :param endpoint: a name such as ``video_init``, or ``*``.
    :param action: ``status`` (answer with this HTTP status), ``error`` (refuse with ``code``), ``drop``
        (close the connection without an answer), ``delay`` (``seconds``), ``garbage`` (200 with ``body``),
        ``redirect`` (302 to ``location``), ``fail`` (the publish begun by this request ends FAILED with
        ``fail_reason``).
    :param when: ``before`` the server acts (it does not act), ``after`` it has acted, or, for an upload's
        ``drop``, ``during`` its body.
    :param times: how many requests it strikes; None = until it is removed.
    :param nth: it begins with the nth request that matches.
    :param creator: strikes only this creator's requests; empty = anybody's.
    :param status: for ``status``, and for ``error`` if not the code's own.
    :param code: for ``error``: TikTok's code.
    :param body: for ``garbage``: one of ``text``, ``truncated``, ``cut`` (shorter than its Content-Length),
        ``shape`` (JSON of another shape), ``html``, ``empty``.
    """

    endpoint: str
    action: str = "status"
    when: str = "before"
    times: int | None = 1
    nth: int = 1
    creator: str = ""
    status: int | None = None
    code: str = "internal_error"
    message: str = "A fault made to order."
    body: str = "text"
    seconds: float = 0.0
    location: str = "/elsewhere"
    fail_reason: str = "internal"
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("action", self.action, ACTIONS),
            ("when", self.when, MOMENTS),
            ("body", self.body, BODIES),
        ):
            if value not in known:
                raise ValueError(f"fault {name} {value!r} is not one of {', '.join(known)}")
        if self.when == "during" and (self.endpoint, self.action) != ("upload", "drop"):
            raise ValueError("only a drop of an upload can happen during it")

    def strikes(self, endpoint: str, creator: str) -> bool:
        """
        Whether this request is struck; counts it.

        :param endpoint: its name.
        :param creator: whose token it carries; empty if none.
        """
        if self.endpoint not in ("*", endpoint) or (self.creator and self.creator != creator):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


@dataclass
class Faults:
    """The faults that wait for their request."""

    waiting: list[Fault] = field(default_factory=list)
    _serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, fault: Fault) -> Fault:
        """
        Let a fault wait.

        :param fault: which.
        """
        fault.id = next(self._serial)
        self.waiting.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """
        Take a fault back.

        :param fault_id: its id.
        :return: whether it was there.
        """
        before = len(self.waiting)
        self.waiting = [fault for fault in self.waiting if fault.id != fault_id]
        return len(self.waiting) < before

    def clear(self) -> None:
        """Take all back."""
        self.waiting.clear()

    def take(self, endpoint: str, creator: str) -> Fault | None:
        """
        The first fault that strikes this request.

        :param endpoint: its name.
        :param creator: whose token it carries.
        """
        struck = next((fault for fault in self.waiting if fault.strikes(endpoint, creator)), None)
        self.waiting = [fault for fault in self.waiting if fault.times is None or fault.hits < fault.times]
        return struck


class Hangup(Response):
    """No answer at all: the TCP connection is closed, after ``part`` of an answer if there is one."""

    def __init__(self, part: Response | None = None) -> None:
        super().__init__(status_code=part.status_code if part else 444)
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Send the part, then close.

        :param scope: ASGI's; carries this connection's transport.
        :param receive: ASGI's.
        :param send: ASGI's.
        """
        if self._part is not None:
            half = bytes(self._part.body)[: max(1, len(self._part.body) // 2)]
            await send(
                {
                    "type": "http.response.start",
                    "status": self._part.status_code,
                    "headers": self._part.raw_headers,
                }
            )
            await send({"type": "http.response.body", "body": half, "more_body": True})
        transport = scope["state"]["transport"]
        # With a part, what is written must leave first; without, nothing may.
        (transport.close if self._part is not None else transport.abort)()
        # The server must notice before this returns: it would take a silent return for a bug and answer 500.
        while (await receive())["type"] != "http.disconnect":
            pass


#: How an endpoint says no, and what the server would do; see the gate.
Style = Callable[[Refusal], Response]
Act = Callable[[], Awaitable[Response]]


async def struck(fault: Fault | None, style: Style, act: Act) -> Response:
    """
    Answer a request under a fault.

    :param fault: which, or None.
    :param style: how this endpoint refuses.
    :param act: what the server would do.
    """
    # "fail" acts on the publish and "during" within the upload: the answer itself is left alone.
    if fault is None or fault.action == "fail" or fault.when == "during":
        return await act()
    if fault.action == "delay" and fault.when == "before":
        await asyncio.sleep(fault.seconds)
        return await act()
    genuine = await act() if fault.when == "after" else None
    return await _REPLACED[fault.action](fault, style, genuine)


async def _status(fault: Fault, style: Style, genuine: Response | None) -> Response:  # noqa: ARG001
    status = fault.status or 500
    code = "rate_limit_exceeded" if status == 429 else "internal_error"
    return style(Refusal(code, fault.message, status))


async def _error(fault: Fault, style: Style, genuine: Response | None) -> Response:  # noqa: ARG001
    return style(Refusal(fault.code, fault.message, fault.status))


async def _drop(fault: Fault, style: Style, genuine: Response | None) -> Response:  # noqa: ARG001
    return Hangup()


async def _delay(fault: Fault, style: Style, genuine: Response | None) -> Response:
    await asyncio.sleep(fault.seconds)
    return genuine or style(Refusal("internal_error"))


async def _redirect(fault: Fault, style: Style, genuine: Response | None) -> Response:  # noqa: ARG001
    return Response(status_code=302, headers={"location": fault.location})


_HTML = "<!doctype html><title>Just a moment</title><p>Checking your browser before accessing this page."
_SHAPES: dict[str, tuple[bytes, str]] = {
    "text": (b"upstream connect error or disconnect/reset before headers", "text/plain"),
    "html": (_HTML.encode(), "text/html"),
    "shape": (b'["data", {"error": "ok"}, null]', "application/json"),
    "empty": (b"", "application/json"),
}


async def _garbage(fault: Fault, style: Style, genuine: Response | None) -> Response:
    if fault.body in _SHAPES:
        content, media_type = _SHAPES[fault.body]
        return Response(content, 200, media_type=media_type)
    whole = genuine or style(Refusal("internal_error", status=200))
    if fault.body == "cut":
        return Hangup(whole)
    return Response(bytes(whole.body)[: len(whole.body) // 2], 200, media_type="application/json")


_REPLACED: dict[str, Callable[[Fault, Style, Response | None], Awaitable[Response]]] = {
    "status": _status,
    "error": _error,
    "drop": _drop,
    "delay": _delay,
    "redirect": _redirect,
    "garbage": _garbage,
}
