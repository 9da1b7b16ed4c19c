"""The token and revoke endpoints (token pages of 2026-11-02; Login Kit for desktop; OAuth error handling)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import Response

from airflow_provider_tiktok.sandbox import ownership
from airflow_provider_tiktok.sandbox.gate import Call
from airflow_provider_tiktok.sandbox.wire import Refusal, json_response
from airflow_provider_tiktok.sandbox.world import World

MAX_REDIRECT_URI = 512


class OAuth:
    """The handlers of the OAuth endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._grants: dict[str, Callable[[dict[str, str], float], dict[str, object]]] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "client_credentials": lambda _, now: self._world.accounts.client_token(now),
        }

    async def token(self, call: Call) -> Response:
        """
        One of the three grants; the answer is flat.

        :param call: the request.
        """
        form = self._form(call)
        kind = _needed(form, "grant_type")
        if kind not in self._grants:
            raise Refusal("unsupported_grant_type", f"Grant type {kind} is not supported.")
        answer = self._grants[kind](form, self._world.now())
        # Only the name of the token is kept for the log.
        call.token = self._world.accounts.find(str(answer["access_token"]))
        return json_response(answer)

    async def revoke(self, call: Call) -> Response:
        """
        End a grant by its access token.

        :param call: the request.
        """
        form = self._form(call)
        found = self._world.accounts.find(_needed(form, "token"))
        now = self._world.now()
        if found is None or found.grant is None or found.grant.revoked or found.expires_at <= now:
            raise Refusal("invalid_grant", "The access token is invalid, expired or revoked.")
        call.token = found
        self._world.remove_app(found.grant.creator)
        return json_response({})

    def _form(self, call: Call) -> dict[str, str]:
        """The fields, with the app's own checked."""
        request, world = call.request, self._world
        if "client_secret" in request.query_params:
            world.violations.append(f"{call.endpoint.name}: client secret in the URL")
        if (
            request.headers.get("content-type", "").split(";")[0].strip()
            != "application/x-www-form-urlencoded"
        ):
            raise Refusal(
                "invalid_request", "Only `application/x-www-form-urlencoded` is supported as Content-Type."
            )
        pairs = parse_qsl(call.content.decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs):
            raise Refusal("invalid_request", "A parameter is given twice.")
        secret = _needed(form, "client_secret")
        right_key = secrets.compare_digest(_needed(form, "client_key"), world.knobs.client_key)
        if not right_key or not secrets.compare_digest(secret.encode(), world.knobs.client_secret.encode()):
            raise Refusal("invalid_client", "Client key or secret is incorrect.")
        return form

    def _by_code(self, form: dict[str, str], now: float) -> dict[str, object]:
        redirect_uri = _needed(form, "redirect_uri")
        code = self._world.accounts.redeem(_needed(form, "code"), redirect_uri, now)
        if is_desktop(redirect_uri) and challenge_of(form.get("code_verifier", "")) != code.challenge:
            raise Refusal("invalid_request", "Code verifier or code challenge is invalid.")
        return self._world.accounts.mint(code.creator, code.scopes, now)

    def _by_refresh_token(self, form: dict[str, str], now: float) -> dict[str, object]:
        return self._world.accounts.refresh(_needed(form, "refresh_token"), now)


def challenge_of(verifier: str) -> str:
    """
    TikTok's S256: the lower-case hex digest, not base64url as in RFC 7636 (Login Kit for desktop).

    :param verifier: the code verifier.
    """
    return hashlib.sha256(verifier.encode()).hexdigest()


def is_desktop(redirect_uri: str) -> bool:
    """
    Whether it is the redirect URI of a desktop app, which must use PKCE.

    :param redirect_uri: which.
    """
    return urlsplit(redirect_uri).hostname in ("localhost", "127.0.0.1")


def redirect_uri_fault(redirect_uri: str) -> str:
    """
    Why TikTok would not register this redirect URI; empty if it would (Login Kit for web, for desktop).

    :param redirect_uri: which.
    """
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        return "it is not a URL"
    host = parts.hostname or ""
    desktop = is_desktop(redirect_uri)
    verdicts = (
        ("it is longer than 512 characters", len(redirect_uri) >= MAX_REDIRECT_URI),
        (
            "it must have no query and no fragment",
            bool(parts.query or parts.fragment or redirect_uri[-1:] in "?#"),
        ),
        ("a loopback address needs http or https", desktop and parts.scheme not in ("http", "https")),
        ("a loopback address needs a port", desktop and port is None),
        ("it must be https", not desktop and parts.scheme != "https"),
        ("it must have a public host", not desktop and (not host or ownership.is_ip(host))),
    )
    return next((reason for reason, bad in verdicts if bad), "")


def _needed(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise Refusal("invalid_request", f"The request parameter {name} is missing.")
    return form[name]
