"""Which app a login is for: client key, client secret and the API's address, each from the nearest place."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from airflow_provider_tiktok.api.transport import Request, Transport
from airflow_provider_tiktok.auth.account import Account, read_account
from airflow_provider_tiktok.cli.target import Target
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokError
from airflow_provider_tiktok.sandbox.knobs import Knobs

SECRET_VARIABLE = "TIKTOK_CLIENT_SECRET"  # noqa: S105
_LOOK_SECONDS = 3.0


@dataclass(frozen=True)
class App:
    """
    A TikTok app.

    :param client_key: of the app
    :param client_secret: of the app
    :param host: as the Connection will hold it; empty = TikTok's own
    :param port: as the Connection will hold it
    :param base_url: what these two come to
    """

    client_key: str
    client_secret: str = field(repr=False)
    host: str
    port: int | None
    base_url: str


def the_app(
    terminal: Terminal, target: Target, *, client_key: str | None, host: str | None, yes: bool
) -> App:
    """
    Find out which app it is.

    A Connection's client secret is used only for the host that the Connection names: another one must not
    get it.

    :param terminal: the person at it
    :param target: the Connection that there is
    :param client_key: given
    :param host: given
    :param yes: what may be asked is answered
    :raises TikTokConfigError: something is missing or cannot be used
    """
    place = _place(target, host)
    existing = target.existing.connection if target.existing else None
    if existing is not None and place.base_url != _read(target, existing.host, existing.port).base_url:
        if not terminal.agrees(f"Connection {target.conn_id} is for another host: replace it", yes=yes):
            raise TikTokConfigError(
                f"Connection {target.conn_id} is for another host. Choose another id with --conn-id, or add "
                "--yes to replace it."
            )
        existing = None
    key, secret = client_key or "", os.environ.get(SECRET_VARIABLE, "")
    same_app = existing is not None and key in ("", existing.login)
    known = (existing.login, existing.password) if existing is not None and same_app else ("", "")
    if place.is_local and not (key or known[0]):
        known = _sandbox_app(terminal, place.base_url)
    key = (
        key
        or known[0]
        or terminal.ask("Client key of your app", otherwise="give --client-key or TIKTOK_CLIENT_KEY")
    )
    secret = secret or known[1] or _ask_secret(terminal)
    return App(key.strip(), secret.strip(), place.host, place.port, place.base_url)


@dataclass(frozen=True)
class _Place:
    host: str
    port: int | None
    base_url: str
    is_local: bool


def _place(target: Target, host: str | None) -> _Place:
    existing = target.existing.connection if target.existing else None
    if host is not None or existing is None:
        return _read(target, host or "", None)
    return _read(target, existing.host, existing.port)


def _read(target: Target, host: str | None, port: int | None) -> _Place:
    """Judge a host as a Connection's is judged."""
    like = SimpleNamespace(conn_id=target.conn_id, login="-", password="-", host=host, port=port)  # noqa: S106 - none
    account: Account = read_account(like, _extra(target))
    return _Place(host or "", port, account.base_url, account.is_local)


def _extra(target: Target) -> dict[str, Any]:
    extra = target.existing.connection.extra_dejson if target.existing else {}
    return {"allow_insecure_host": extra["allow_insecure_host"]} if "allow_insecure_host" in extra else {}


def _ask_secret(terminal: Terminal) -> str:
    otherwise = f"set the environment variable {SECRET_VARIABLE} (it is no option: everybody can read those)"
    return terminal.ask("Client secret of your app (not shown)", otherwise=otherwise, hidden=True)


def _sandbox_app(terminal: Terminal, base_url: str) -> tuple[str, str]:
    """Give key and secret of the local TikTok, if there is one; its secret is the same for everybody."""
    transport = Transport()
    url = f"{base_url}/_sandbox/knobs"
    try:
        answer = transport.send(
            Request("the sandbox", "GET", url, {"Accept": "application/json"}, b"", _LOOK_SECONDS)
        )
        key = json.loads(answer.body)["result"]["client_key"]
    except (TikTokError, ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    finally:
        transport.close()
    terminal.say(f"{base_url} is a sandbox: using its own app.")
    return str(key), Knobs().client_secret
