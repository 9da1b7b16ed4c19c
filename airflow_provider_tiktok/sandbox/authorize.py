"""The authorize page: where a creator allows the app, or does not (Login Kit for web and for desktop)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_tiktok.api.models import Scope
from airflow_provider_tiktok.sandbox import pages
from airflow_provider_tiktok.sandbox.accounts import ALL_SCOPES, Code
from airflow_provider_tiktok.sandbox.control import local
from airflow_provider_tiktok.sandbox.oauth import is_desktop, redirect_uri_fault
from airflow_provider_tiktok.sandbox.world import World

PATH = "/v2/auth/authorize/"
CARRIED = (
    "client_key",
    "response_type",
    "scope",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
)
MEANINGS = {
    Scope.USER_INFO_BASIC: "Read your profile info (avatar, display name)",
    Scope.USER_INFO_PROFILE: "Read your profile's web link, bio and username",
    Scope.USER_INFO_STATS: "Read your counts of followers, likes and videos",
    Scope.VIDEO_LIST: "Read your public videos",
    Scope.VIDEO_PUBLISH: "Post content to your account",
    Scope.VIDEO_UPLOAD: "Send drafts to your inbox, for you to edit and post",
}


class Authorize:
    """The page and what its two buttons do."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """The page's routes."""
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """
        The page with its form; an error page if the request could never be answered by a redirect.

        :param request: the app's authorize request.
        """
        query = dict(request.query_params)
        if fault := self._fault(query):
            return pages.page("Something went wrong", _error_body(fault), status=400)
        if refusal := _refusal(query):
            return _back(query, **refusal)
        return pages.page("Log in", self._form(query))

    async def decide(self, request: Request) -> Response:
        """
        Allow or Deny: back to the app.

        :param request: the page's form.
        """
        pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        fault = "this form was sent from another site" if not local(request) else self._fault(form)
        if fault:
            return pages.page("Something went wrong", _error_body(fault), status=400)
        asked = form["scope"].split(",")
        granted = tuple(scope for name, scope in pairs if name == "granted" and scope in asked)
        if form.get("decision") != "allow" or not granted:
            return _back(form, error="access_denied", error_description="The user denied the request")
        code = f"{secrets.token_urlsafe(48)}*0!{secrets.randbelow(9000) + 1000}.sb"
        creator = self._world.accounts.creator(form.get("creator") or "creator1")
        self._world.accounts.codes[code] = Code(
            creator=creator,
            scopes=granted,
            redirect_uri=form["redirect_uri"],
            challenge=form.get("code_challenge", ""),
            expires_at=self._world.now() + self._world.knobs.code_seconds,
        )
        return _back(form, code=code, scopes=",".join(granted))

    def _fault(self, query: Mapping[str, str]) -> str:
        """Why this cannot be answered by a redirect: TikTok shows such errors on its own page."""
        uri = query.get("redirect_uri", "")
        registered = self._world.knobs.redirect_uris
        desktop = is_desktop(uri) and not redirect_uri_fault(uri)
        if query.get("client_key") != self._world.knobs.client_key:
            return "client_key"
        if reason := redirect_uri_fault(uri):
            return f"redirect_uri: {reason}"
        if registered and uri not in registered:
            return "redirect_uri: it is not registered"
        missing = [name for name in ("response_type", "scope", "state") if not query.get(name)]
        if desktop:
            missing += [name for name in ("code_challenge", "code_challenge_method") if not query.get(name)]
        return missing[0] if missing else ""

    def _form(self, query: Mapping[str, str]) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{escape(query[name])}">'
            for name in CARRIED
            if name in query
        )
        for name in self._world.knobs.creators:
            self._world.accounts.creator(name)
        creators = "".join(
            f'<label class="choice"><input type="radio" name="creator" value="{escape(name)}"'
            f"{' checked' if index == 0 else ''}>{pages.avatar(name)}<span>@{escape(name)}</span></label>"
            for index, name in enumerate(self._world.accounts.creators)
        )
        scopes = "".join(
            f'<label class="choice"><input type="checkbox" name="granted" value="{escape(scope)}" checked>'
            f"<span>{escape(MEANINGS[Scope(scope)])}<small>{escape(scope)}</small></span></label>"
            for scope in query["scope"].split(",")
        )
        app = escape(query["client_key"])
        return (
            f'<main class="consent"><form method="post" action="{PATH}" class="card">{hidden}'
            "<h1>Allow this app to use your account?</h1>"
            f'<p class="muted">App <b>{app}</b> asks. This is a local sandbox, not TikTok.</p>'
            f"<h2>Creator</h2>{creators}<h2>The app will be able to</h2>{scopes}"
            '<div class="buttons"><button name="decision" value="deny" id="deny">Deny</button>'
            '<button name="decision" value="allow" id="allow" class="primary">Allow</button>'
            "</div></form></main>"
        )


def _refusal(query: Mapping[str, str]) -> dict[str, str]:
    """What the app hears of by the redirect."""
    scopes = query["scope"].split(",")
    if query["response_type"] != "code":
        return {"error": "unsupported_response_type", "error_description": "response_type must be code"}
    if not all(scope in ALL_SCOPES for scope in scopes):
        # Also what a list parted by spaces comes to: TikTok's is parted by commas.
        return {"error": "invalid_scope", "error_description": f"unknown scope in {query['scope']}"}
    if is_desktop(query["redirect_uri"]) and query["code_challenge_method"] != "S256":
        return {"error": "invalid_request", "error_description": "code_challenge_method must be S256"}
    return {}


def _back(query: Mapping[str, str], **answer: str) -> Response:
    return RedirectResponse(f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}", 302)


def _error_body(fault: str) -> str:
    return (
        '<main class="consent"><div class="card"><h1>Something went wrong</h1>'
        f"<p>We couldn't log in with TikTok. This may be due to specific app settings.</p>"
        f'<p class="muted">If you are a developer, correct the following and try again:</p>'
        f"<p><code>{escape(fault)}</code></p></div></main>"
    )
