"""The run-time control API under ``/_sandbox/``: JSON, and only for programs of this machine."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_tiktok.api.models import PrivacyLevel
from airflow_provider_tiktok.sandbox import ownership
from airflow_provider_tiktok.sandbox.accounts import Creator
from airflow_provider_tiktok.sandbox.faults import Fault
from airflow_provider_tiktok.sandbox.wire import json_response
from airflow_provider_tiktok.sandbox.world import DEFAULT_SCOPES, World, post_summary, publish_summary

Body = dict[str, object]
_IDENTITY = {"username", "open_id"}
_SETTABLE = {each.name: each.type for each in fields(Creator) if each.name not in _IDENTITY}
_FAULT_FIELDS = {each.name for each in fields(Fault)} - {"id", "seen", "hits"}


class Control:
    """The handlers. Each takes the JSON body and the path's parameters, and returns what is to be shown."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """All routes of the control API."""
        table: list[tuple[str, str, Callable[[Body, Body], object]]] = [
            ("GET", "/knobs", lambda *_: self._world.knobs.shown()),
            ("PATCH", "/knobs", self._set_knobs),
            ("GET", "/faults", lambda *_: [asdict(fault) for fault in self._world.faults.waiting]),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{id:int}", self._remove_fault),
            ("POST", "/grants", self._grant),
            (
                "GET",
                "/creators",
                lambda *_: [asdict(each) for each in self._world.accounts.creators.values()],
            ),
            ("PATCH", "/creators/{username}", self._set_creator),
            ("DELETE", "/creators/{username}/grants", self._remove_app),
            ("GET", "/posts", lambda *_: [post_summary(post) for post in self._world.posts]),
            ("GET", "/publishes", self._publishes),
            ("POST", "/publishes/{publish_id}/finish", self._finish_draft),
            ("GET", "/requests", lambda *_: [asdict(record) for record in self._world.requests]),
            ("GET", "/counters", self._counters),
            ("POST", "/clock", self._advance),
            ("POST", "/reset", self._reset),
        ]
        return [
            Route(f"/_sandbox{path}", self._guarded(act), methods=[method]) for method, path, act in table
        ]

    def _guarded(self, act: Callable[[Body, Body], object]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            if not local(request):
                return json_response({"error": "only for programs of this machine"}, 403)
            try:
                body = await _body(request)
                return json_response({"result": act(body, dict(request.path_params))})
            except (ValueError, TypeError, KeyError) as error:
                # The caller's own mistakes: an unknown knob, a wrong type, a name that is not there.
                return json_response({"error": str(error)}, 400)

        return handle

    def _set_knobs(self, body: Body, path: Body) -> object:  # noqa: ARG002 - as every handler
        self._world.knobs.update(body)
        return self._world.knobs.shown()

    def _add_fault(self, body: Body, path: Body) -> object:  # noqa: ARG002
        unknown = set(body) - _FAULT_FIELDS
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        return asdict(self._world.faults.add(Fault(**body)))  # type: ignore[arg-type]

    def _clear_faults(self, body: Body, path: Body) -> object:  # noqa: ARG002
        self._world.faults.clear()
        return []

    def _remove_fault(self, body: Body, path: Body) -> object:  # noqa: ARG002
        if not self._world.faults.remove(int(str(path["id"]))):
            raise KeyError("no such fault")
        return [asdict(fault) for fault in self._world.faults.waiting]

    def _grant(self, body: Body, path: Body) -> object:  # noqa: ARG002
        scopes = str(body.get("scopes", ",".join(DEFAULT_SCOPES))).split(",")
        expires_in = body.get("expires_in")
        seconds = None if expires_in is None else float(str(expires_in))
        return self._world.connection(str(body.get("creator", "creator1")), scopes, seconds)

    def _set_creator(self, body: Body, path: Body) -> object:
        creator = self._world.accounts.creator(str(path["username"]))
        for name, value in body.items():
            if name not in _SETTABLE:
                raise ValueError(f"a creator has no {name}; there are: {', '.join(sorted(_SETTABLE))}")
            if str(_SETTABLE[name]) != "int | None" and type(value) is not type(getattr(creator, name)):
                raise ValueError(f"{name} must be of type {_SETTABLE[name]}")
        for name, value in body.items():
            setattr(creator, name, value)
        return asdict(creator)

    def _remove_app(self, body: Body, path: Body) -> object:  # noqa: ARG002
        self._world.remove_app(self._world.accounts.creator(str(path["username"])))
        return {}

    def _publishes(self, body: Body, path: Body) -> object:  # noqa: ARG002
        now = self._world.now()
        return [publish_summary(publish, now) for publish in self._world.publishes]

    def _finish_draft(self, body: Body, path: Body) -> object:
        now = self._world.now()
        publish = self._world.publishes.by_id[str(path["publish_id"])]
        level = PrivacyLevel(str(body.get("privacy_level", PrivacyLevel.PUBLIC_TO_EVERYONE)))
        moderation = self._world.scaled(self._world.knobs.moderation_seconds)
        publish.finish_by_creator(now, level, moderation, int(str(body.get("posts", 1))))
        return publish_summary(publish, now)

    def _counters(self, body: Body, path: Body) -> object:  # noqa: ARG002
        return {"reuses": self._world.accounts.reuses, "violations": self._world.violations}

    def _advance(self, body: Body, path: Body) -> object:  # noqa: ARG002
        self._world.clock.advance(float(str(body["advance"])))
        return {"now": self._world.now()}

    def _reset(self, body: Body, path: Body) -> object:  # noqa: ARG002
        self._world.reset()
        return {}


def local(request: Request) -> bool:
    """
    Whether a request is meant for this machine and no foreign page made it.

    A page on the web can make a browser send requests here; it cannot forge Host and Origin.

    :param request: the request.
    """
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    origin = request.headers.get("origin")
    own = origin is None or ownership.is_loopback(urlsplit(origin).hostname or "")
    return ownership.is_loopback(host) and own


async def _body(request: Request) -> Body:
    content = await request.body()
    if not content:
        return {}
    body = json.loads(content)
    if isinstance(body, dict):
        return body
    raise ValueError("the body must be a JSON object")
