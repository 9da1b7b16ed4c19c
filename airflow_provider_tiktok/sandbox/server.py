"""The server: TikTok's endpoints as a Starlette application, and :class:`Sandbox`: it, run in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_tiktok.api.models import PrivacyLevel, PublishState, Scope
from airflow_provider_tiktok.sandbox import gate
from airflow_provider_tiktok.sandbox.accounts import Creator
from airflow_provider_tiktok.sandbox.authorize import Authorize
from airflow_provider_tiktok.sandbox.clock import Clock
from airflow_provider_tiktok.sandbox.control import Control
from airflow_provider_tiktok.sandbox.display import Display
from airflow_provider_tiktok.sandbox.faults import Fault
from airflow_provider_tiktok.sandbox.feed import Feed
from airflow_provider_tiktok.sandbox.files import Files
from airflow_provider_tiktok.sandbox.gate import API, OAUTH, UPLOAD, Endpoint
from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.oauth import OAuth
from airflow_provider_tiktok.sandbox.ownership import is_loopback
from airflow_provider_tiktok.sandbox.posting import Posting
from airflow_provider_tiktok.sandbox.publishes import Post, Publish
from airflow_provider_tiktok.sandbox.pulls import Pulls
from airflow_provider_tiktok.sandbox.uploads import Uploads
from airflow_provider_tiktok.sandbox.wire import envelope
from airflow_provider_tiktok.sandbox.world import DEFAULT_SCOPES, RequestRecord, World

PUBLISH, UPLOAD_SCOPE = Scope.VIDEO_PUBLISH, Scope.VIDEO_UPLOAD
_START_SECONDS, _CALL_SECONDS = 10.0, 30.0
T = TypeVar("T")


def endpoints(world: World, pulls: Pulls) -> list[Endpoint]:
    """
    Every endpoint of TikTok that the sandbox has.

    :param world: the state.
    :param pulls: the downloads.
    """
    uploads, oauth, display = Uploads(world), OAuth(world), Display(world)
    post = Posting(world, uploads, pulls)
    base, either = "/v2/post/publish", (PUBLISH, UPLOAD_SCOPE)
    return [
        Endpoint("token", "POST", "/v2/oauth/token/", OAUTH, oauth.token),
        Endpoint("revoke", "POST", "/v2/oauth/revoke/", OAUTH, oauth.revoke),
        Endpoint(
            "creator_info",
            "POST",
            f"{base}/creator_info/query/",
            API,
            post.creator_info,
            (PUBLISH,),
            "creator_info_limit",
        ),
        Endpoint("video_init", "POST", f"{base}/video/init/", API, post.video_init, (PUBLISH,), "init_limit"),
        Endpoint(
            "inbox_init",
            "POST",
            f"{base}/inbox/video/init/",
            API,
            post.inbox_init,
            (UPLOAD_SCOPE,),
            "init_limit",
        ),
        Endpoint(
            "content_init", "POST", f"{base}/content/init/", API, post.content_init, either, "init_limit"
        ),
        Endpoint("status", "POST", f"{base}/status/fetch/", API, post.status, either, "status_limit"),
        Endpoint("cancel", "POST", f"{base}/cancel/", API, post.cancel, either),
        Endpoint(
            "user_info",
            "GET",
            "/v2/user/info/",
            API,
            display.user_info,
            (Scope.USER_INFO_BASIC,),
            "display_limit",
        ),
        Endpoint(
            "video_list",
            "POST",
            "/v2/video/list/",
            API,
            display.video_list,
            (Scope.VIDEO_LIST,),
            "display_limit",
        ),
        Endpoint(
            "video_query",
            "POST",
            "/v2/video/query/",
            API,
            display.video_query,
            (Scope.VIDEO_LIST,),
            "display_limit",
        ),
        Endpoint("upload", "PUT", "/upload/", UPLOAD, uploads.put),
    ]


def build_app(world: World, pulls: Pulls) -> Starlette:
    """
    The application: TikTok's endpoints, the authorize page, the feed, files and the control API.

    :param world: the state.
    :param pulls: the downloads.
    """

    def route(endpoint: Endpoint) -> Route:
        async def handle(request: Request) -> Response:
            return await gate.serve(world, endpoint, request)

        return Route(endpoint.path, handle, methods=[endpoint.method], name=endpoint.name)

    files, feed, authorize = Files(world), Feed(world), Authorize(world)
    routes = [route(endpoint) for endpoint in endpoints(world, pulls)]
    routes += [*authorize.routes(), *feed.routes(), *Control(world).routes()]
    routes += [
        Route("/media/{publish_id}/{index:int}", files.media),
        Route("/public/{path:path}", files.public),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})
    # TikTok's paths end with a slash; a client that forgets it must hear so, not be led there with its token.
    app.router.redirect_slashes = False
    return app


async def _no_such_path(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return envelope({}, "invalid_params", f"Unsupported path or method: {request.url.path}", status)


class _Protocol(H11Protocol):
    """Gives every request its connection's transport, so that a fault can close it without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """
        A client has connected.

        :param transport: its connection.
        """
        super().connection_made(transport)
        # asyncio does so only for sockets it made itself; without it each answer waits 40 ms for an ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class Sandbox:
    """
    A local TikTok in a thread of this process.

    The state belongs to the server's event loop; everything here hands its work to that loop, so it may be
    used from any thread, also after the end (posts and requests stay readable, media files are gone).

    :param host: a loopback name or address.
    :param port: 0 = a free one.
    :param on_request: called in the server's thread with each line of the log.
    :param knobs: any field of :class:`~airflow_provider_tiktok.sandbox.knobs.Knobs`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_request: Callable[[RequestRecord], None] | None = None,
        **knobs: Any,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self.knobs = Knobs()
        self.knobs.update(knobs)
        self._host, self._port, self._on_request = host, port, on_request
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=1024)
        port = listener.getsockname()[1]
        self._world = World(
            self.knobs, url=f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{port}"
        )
        self._world.on_request = self._on_request
        self._pulls = Pulls(self._world)
        self._world.on_removed = self._pulls.stop
        config = uvicorn.Config(
            build_app(self._world, self._pulls),
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="tiktok-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start") from self._failure
            time.sleep(0.002)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._world.close()

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._main(listener))
        except BaseException as error:
            self._failure = error

    async def _main(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._server.serve(sockets=[listener])
        finally:
            self._loop = None
            await self._pulls.close()

    def _in_loop(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        # None before the start and after the end: then nobody else touches the state.
        loop = self._loop
        if loop is None:
            return asyncio.run(call())
        return asyncio.run_coroutine_threadsafe(call(), loop).result(_CALL_SECONDS)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at its end."""
        return self._world.url

    @property
    def clock(self) -> Clock:
        """The sandbox's time; ``clock.advance(3600)`` lets an hour pass at once."""
        return self._world.clock

    def grant(
        self,
        creator: str = "creator1",
        scopes: str = ",".join(DEFAULT_SCOPES),
        expires_in: float | None = None,
    ) -> dict[str, Any]:
        """
        A new grant, as if the creator had just allowed the app.

        :param creator: username; made if there is none.
        :param scopes: comma-separated.
        :param expires_in: life of its first access token in seconds, if not the usual one.
        :return: what the token endpoint would answer.
        """

        def mint() -> dict[str, Any]:
            accounts, now = self._world.accounts, self._world.now()
            return accounts.mint(accounts.creator(creator), tuple(scopes.split(",")), now, expires_in)

        return self._in_loop(mint)

    def connection(
        self,
        creator: str = "creator1",
        *,
        scopes: str = ",".join(DEFAULT_SCOPES),
        expires_in: float | None = None,
        **extra: object,
    ) -> dict[str, Any]:
        """
        A new grant as an Airflow connection, in the shape of Airflow's connection JSON.

        :param creator: username; made if there is none.
        :param scopes: comma-separated.
        :param expires_in: life of its first access token in seconds.
        :param extra: put into the connection's extra.
        """
        made = self._in_loop(lambda: self._world.connection(creator, scopes.split(","), expires_in))
        own = made["extra"]
        return {**made, "extra": {**(own if isinstance(own, dict) else {}), **extra}}

    def creator(self, username: str) -> Creator:
        """
        The live record of a creator; its fields may be set.

        :param username: made if there is none.
        """
        return self._in_loop(lambda: self._world.accounts.creator(username))

    def remove_app(self, username: str) -> None:
        """
        The creator removes the app in TikTok's settings.

        :param username: who.
        """
        self._in_loop(lambda: self._world.remove_app(self._world.accounts.creator(username)))

    def finish_draft(
        self, publish_id: str, privacy_level: str = str(PrivacyLevel.PUBLIC_TO_EVERYONE), posts: int = 1
    ) -> None:
        """
        The creator opens the draft in the app and posts it.

        :param publish_id: which draft.
        :param privacy_level: what the creator chooses.
        :param posts: how many posts are made of it.
        """

        def finish() -> None:
            now = self._world.now()
            moderation = self._world.scaled(self.knobs.moderation_seconds)
            self._world.publishes.by_id[publish_id].finish_by_creator(now, privacy_level, moderation, posts)

        self._in_loop(finish)

    def fault(self, endpoint: str, **what: Any) -> Fault:
        """
        Order a fault.

        :param endpoint: its name, or ``*``.
        :param what: fields of :class:`~airflow_provider_tiktok.sandbox.faults.Fault`.
        :return: the fault; its ``hits`` count.
        """
        return self._in_loop(lambda: self._world.faults.add(Fault(endpoint, **what)))

    def clear_faults(self) -> None:
        """Take all faults back."""
        self._in_loop(self._world.faults.clear)

    def reset(self) -> None:
        """Forget publishes, posts, limits, faults and the log; creators, grants and knobs stay."""
        self._in_loop(self._world.reset)

    @property
    def posts(self) -> list[Post]:
        """What is really posted, oldest first."""
        return self._in_loop(lambda: self._world.posts)

    @property
    def publishes(self) -> list[Publish]:
        """Every publish, in the order of its init."""

        def settled() -> list[Publish]:
            self._world.now()
            return list(self._world.publishes)

        return self._in_loop(settled)

    @property
    def drafts(self) -> list[Publish]:
        """What waits in creators' inboxes."""
        return [each for each in self.publishes if each.status is PublishState.SEND_TO_USER_INBOX]

    @property
    def requests(self) -> list[RequestRecord]:
        """The log of requests to TikTok's endpoints, in the order of their ends."""
        return self._in_loop(lambda: list(self._world.requests))

    @property
    def reuses(self) -> int:
        """How often a spent refresh token was sent."""
        return self._in_loop(lambda: self._world.accounts.reuses)

    @property
    def violations(self) -> list[str]:
        """Credentials that were sent where they have no business."""
        return self._in_loop(lambda: list(self._world.violations))

    @property
    def secrets(self) -> list[str]:
        """Every secret handed out so far, for tests that look for leaks: tokens, and upload URLs' keys."""
        world = self._world
        return self._in_loop(
            lambda: [world.knobs.client_secret, *world.accounts.secrets, *world.upload_tokens]
        )

    @property
    def folder(self) -> Path:
        """Where the media is."""
        return self._world.folder
