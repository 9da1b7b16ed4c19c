"""What every request goes through: faults, token, scope, rate limit, body; then its handler; then the log."""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_provider_tiktok.api.models import Scope
from airflow_provider_tiktok.sandbox.accounts import AccessToken, Creator
from airflow_provider_tiktok.sandbox.faults import Fault, Hangup, struck
from airflow_provider_tiktok.sandbox.wire import OAUTH_CODES, Refusal, envelope, json_response, oauth_error
from airflow_provider_tiktok.sandbox.world import RequestRecord, World

MAX_BODY_BYTES = 1_000_000


@dataclass
class Call:
    """One request on its way through the sandbox."""

    world: World
    endpoint: Endpoint
    request: Request
    fault: Fault | None = None
    token: AccessToken | None = None
    content: bytes = b""
    body: dict[str, object] = field(default_factory=dict)
    code: str = "ok"
    publish_id: str = ""

    @property
    def creator(self) -> Creator:
        """Whose token this is; only for endpoints that ask for one."""
        if self.token is None or self.token.grant is None:
            raise Refusal("access_token_invalid", "The access token is invalid or not found in the request.")
        return self.token.grant.creator

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token's grant covers."""
        return self.token.grant.scopes if self.token is not None and self.token.grant is not None else ()

    @property
    def planned_failure(self) -> str:
        """What a fault says that the publish begun by this request must fail with."""
        return self.fault.fail_reason if self.fault is not None and self.fault.action == "fail" else ""

    def need_scope(self, *scopes: Scope) -> None:
        """
        Refuse unless one of these was granted.

        :param scopes: any one is enough.
        """
        if scopes and not set(scopes) & set(self.scopes):
            raise Refusal(
                "scope_not_authorized",
                f"The user did not authorize the scope required: {' or '.join(scopes)}.",
            )


class Kind(ABC):
    """
    One of the three ways in which TikTok's endpoints take requests and refuse them.

    ``buffered``: the body is read before anything else, so that a request which arrived whole is acted on,
    also when its client does not wait for the answer.
    """

    buffered = True

    @abstractmethod
    async def admit(self, call: Call) -> None:
        """
        Check what all endpoints of this kind have in common, and read the body.

        :param call: the request.
        """

    @abstractmethod
    def refuse(self, world: World, refusal: Refusal) -> Response:
        """
        Say no.

        :param world: the sandbox.
        :param refusal: why.
        """


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """
    One endpoint of TikTok.

    :param name: what faults and the log call it.
    :param scopes: any one of which is enough; none = the handler looks itself.
    :param limit: the knob with the requests a minute; empty = none documented.
    """

    name: str
    method: str
    path: str
    kind: Kind
    handler: Handler
    scopes: tuple[Scope, ...] = ()
    limit: str = ""


class Api(Kind):
    """JSON with a bearer token, answered in the envelope."""

    async def admit(self, call: Call) -> None:
        """
        Token, scope, limit, body, in this order: a refused token costs no place in the minute.

        :param call: the request.
        """
        world, request, endpoint = call.world, call.request, call.endpoint
        now = world.now()
        if "access_token" in request.query_params:
            world.violations.append(f"{endpoint.name}: access token in the URL")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal("access_token_invalid", "The access token is invalid or not found in the request.")
        call.token = world.accounts.bearer(token.strip(), now)
        call.need_scope(*endpoint.scopes)
        limit = int(getattr(world.knobs, endpoint.limit)) if endpoint.limit else 0
        if not world.admit(endpoint.name, call.creator, limit, now):
            raise Refusal("rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")
        if endpoint.method == "POST":
            call.body = _json_body(request, call.content)

    def refuse(self, world: World, refusal: Refusal) -> Response:
        """
        An empty ``data`` and the error.

        :param world: the sandbox.
        :param refusal: why.
        """
        code = world.knobs.invalid_code if refusal.code == "invalid_params" else refusal.code
        return envelope({}, code, refusal.message, refusal.status)


class OAuth(Kind):
    """Form fields, answered flat; errors with whatever HTTP status the knob says."""

    async def admit(self, call: Call) -> None:
        """
        The handler reads its form.

        :param call: the request.
        """

    def refuse(self, world: World, refusal: Refusal) -> Response:
        """
        The flat error.

        :param world: the sandbox.
        :param refusal: why; a code that OAuth does not know is the server's fault.
        """
        known = refusal.code in OAUTH_CODES
        status = world.knobs.oauth_error_status if known else refusal.status
        return oauth_error(refusal.code if known else "server_error", refusal.message, status)


class Upload(Kind):
    """Bare bytes; the status and Content-Range are the answer."""

    buffered = False

    async def admit(self, call: Call) -> None:
        """
        The handler looks at the headers.

        :param call: the request.
        """

    def refuse(self, world: World, refusal: Refusal) -> Response:  # noqa: ARG002 - as every kind
        """
        The status, and a text for people.

        :param world: the sandbox.
        :param refusal: why.
        """
        return json_response({"error": {"code": refusal.code, "message": refusal.message}}, refusal.status)


API, OAUTH, UPLOAD = Api(), OAuth(), Upload()


async def _content(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        # Read to its end in any case; of what is too large no more is kept than shows that it is.
        content += part if len(content) <= MAX_BODY_BYTES else b""
    return bytes(content)


def _json_body(request: Request, content: bytes) -> dict[str, object]:
    if len(content) > MAX_BODY_BYTES:
        raise Refusal("invalid_params", "The body is too large")
    if not content.strip():
        return {}
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refusal("invalid_params", "Only content-type application/json is supported")
    try:
        body = json.loads(content)
    except ValueError:
        raise Refusal("invalid_params", "The body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("invalid_params", "The body is not a JSON object")
    return body


def answer_ok(data: Mapping[str, object]) -> Response:
    """
    Success in the envelope.

    :param data: the payload.
    """
    return envelope(data)


async def serve(world: World, endpoint: Endpoint, request: Request) -> Response:
    """
    Answer one request of TikTok's API.

    :param world: the sandbox.
    :param endpoint: which endpoint.
    :param request: the request.
    """
    began, started = time.monotonic(), world.clock.now()
    call = Call(world, endpoint, request)
    # Looked up before any check, so that a fault can be meant for one creator and the log names the token.
    call.token = world.accounts.find(request.headers.get("authorization", "").partition(" ")[2].strip())
    call.fault = world.faults.take(endpoint.name, _username(call))

    def refuse(refusal: Refusal) -> Response:
        call.code = refusal.code
        return endpoint.kind.refuse(world, refusal)

    async def act() -> Response:
        try:
            await endpoint.kind.admit(call)
            return await endpoint.handler(call)
        except Refusal as refusal:
            return refuse(refusal)

    try:
        call.content = await _content(request) if endpoint.kind.buffered else b""
        if world.knobs.latency:
            await asyncio.sleep(world.knobs.latency)
        response = await struck(call.fault, refuse, act)
    except ClientDisconnect:
        call.code = "client_disconnected"
        response = Hangup()
    world.log(
        RequestRecord(
            time=started,
            method=request.method,
            path=request.url.path,
            endpoint=endpoint.name,
            token=call.token.name if call.token else "",
            status=0 if isinstance(response, Hangup) else response.status_code,
            code=call.code,
            publish_id=call.publish_id,
            content_range=request.headers.get("content-range", ""),
            fault=f"{call.fault.action} {call.fault.when}" if call.fault else "",
            seconds=time.monotonic() - began,
        )
    )
    return response


def _username(call: Call) -> str:
    return (
        call.token.grant.creator.username if call.token is not None and call.token.grant is not None else ""
    )
