"""``airflow-tiktok login``: let a creator allow the app, and keep the grant."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.api.models import Token
from airflow_provider_tiktok.api.oauth import Authorization, Consent, authorization, scopes_of
from airflow_provider_tiktok.cli import consent, database, printed
from airflow_provider_tiktok.cli.app import App, the_app
from airflow_provider_tiktok.cli.creator import name_of
from airflow_provider_tiktok.cli.scopes import can_publish, missing
from airflow_provider_tiktok.cli.target import Target, settle
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokConsentError,
    TikTokError,
    TikTokInputError,
    TikTokNoAnswerError,
)


def run(
    terminal: Terminal,
    *,
    conn_id: str,
    client_key: str | None,
    host: str | None,
    scopes: str,
    port: int,
    redirect_uri: str | None,
    no_browser: bool,
    print_as: str | None,
    timeout: float,
    yes: bool,
) -> int:
    """
    Log in.

    :param terminal: the person at it; the other parameters are the command's options
    :return: the exit code
    :raises TikTokError: it did not come to a grant
    """
    wanted = scopes_of(scopes)
    if not wanted:
        raise TikTokInputError("--scopes is empty: nothing would be allowed.")
    target = settle(terminal, conn_id, print_as, yes=yes)
    app = the_app(terminal, target, client_key=client_key, host=host, yes=yes)
    _connection(target, app, {})  # what cannot be made of it comes out before anybody is asked
    listener = consent.listener_for(redirect_uri, port)
    question = authorization(
        app.client_key, wanted, redirect_uri or (listener.redirect_uri if listener else "")
    )
    try:
        given = consent.obtain(
            terminal, question, listener, base_url=app.base_url, opens=not no_browser, timeout=timeout
        )
    except TikTokConsentError as error:
        if error.code != "access_denied":
            raise
        raise TikTokConfigError("The creator has not allowed the app. Nothing was changed.") from None
    asked = time.time()
    token = _exchange(app, question, given)
    return _keep(terminal, target, app, wanted, _grant(token, given, asked), yes=yes)


def _exchange(app: App, question: Authorization, given: Consent) -> Token:
    call = endpoints.exchange_code(
        app.client_key,
        app.client_secret,
        code=given.code,
        redirect_uri=question.redirect_uri,
        code_verifier=question.code_verifier,
    )
    client = Client(Policy(app.base_url))
    try:
        return client.call(call)
    except TikTokConsentError as error:
        raise TikTokConfigError(
            f"TikTok does not take the code ({error.code}, log_id {error.log_id or 'not given'}): a code "
            "works once and for minutes only. Nothing was changed: log in again."
        ) from None
    except TikTokNoAnswerError as error:
        raise TikTokConfigError(
            f"{error} The code may be spent now. Nothing was changed: log in again."
        ) from None
    finally:
        client.close()


def _grant(token: Token, given: Consent, asked: float) -> dict[str, Any]:
    """Give the extras that hold the grant."""
    return {
        "refresh_token": token.refresh_token,
        "access_token": token.access_token,
        "expires_at": int(asked + token.expires_in),
        "refresh_expires_at": int(asked + token.refresh_expires_in) if token.refresh_expires_in else None,
        "open_id": token.open_id,
        # the token's own list is the newer one
        "scope": token.scope or ",".join(given.scopes),
    }


def _keep(
    terminal: Terminal, target: Target, app: App, wanted: tuple[str, ...], grant: dict[str, Any], *, yes: bool
) -> int:
    """Store or print what is now the only live grant: whatever happens here, it is shown."""
    connection = _connection(target, app, grant)
    name, stored = "", False
    try:
        name = _greet(terminal, app, grant)
        _report(terminal, wanted, grant)
        if not target.prints and _is_same_creator(terminal, target, app, grant, name, yes=yes):
            database.store(connection)
            stored = True
    except BaseException as error:
        terminal.say(
            f"{error or type(error).__name__}\nThe grant was not stored, but is not lost: here it is."
        )
        printed.show(terminal, connection, target.form)
        if isinstance(error, Exception):
            return 1
        raise
    if not stored:
        printed.show(terminal, connection, target.form)
        return 0 if target.prints else 1
    terminal.say(
        f"Stored as Connection {target.conn_id}. Tasks use it from their next start on; "
        f"airflow-tiktok status --conn-id {target.conn_id} shows how it is."
    )
    return 0


def _connection(target: Target, app: App, grant: Mapping[str, Any]) -> Any:
    """Make the Connection: what the one before held besides the grant stays."""
    before = target.existing.connection if target.existing else None
    return database.made(
        target.conn_id,
        host=app.host,
        port=app.port,
        login=app.client_key,
        password=app.client_secret,
        extra={**(before.extra_dejson if before is not None else {}), **grant},
    )


def _greet(terminal: Terminal, app: App, grant: Mapping[str, Any]) -> str:
    try:
        name = name_of(app.base_url, grant["access_token"], scopes_of(grant["scope"]))
    except TikTokError as error:
        terminal.say(f"The creator's name could not be asked: {error}")
        return ""
    terminal.say(f"Hello, {name}!" if name else "The creator has allowed the app.")
    return name


def _report(terminal: Terminal, wanted: tuple[str, ...], grant: Mapping[str, Any]) -> None:
    granted = scopes_of(grant["scope"])
    terminal.say(f"Allowed: {', '.join(granted) or 'not told'}.")
    for line in missing(wanted, granted) if granted else ():
        terminal.say(f"Not allowed, so it will not work: {line}.")
    if not can_publish(granted):
        terminal.say("With this grant nothing can be published: log in again, and leave the boxes ticked.")
    if not grant["refresh_token"]:
        terminal.say("TikTok gave no refresh token: the grant ends with the access token.")


def _is_same_creator(
    terminal: Terminal, target: Target, app: App, grant: Mapping[str, Any], name: str, *, yes: bool
) -> bool:
    """See that no Connection changes its creator unnoticed: its tasks would post to another's account."""
    existing = target.existing.connection if target.existing else None
    # every app knows a creator by another open_id
    before = existing.extra_dejson.get("open_id") if existing and existing.login == app.client_key else None
    if not before or not grant["open_id"] or before == grant["open_id"]:
        return True
    question = (
        f"Connection {target.conn_id} was another creator's: let its tasks post as {name or 'this one'} now"
    )
    if terminal.agrees(question, yes=yes):
        return True
    terminal.say(
        f"Connection {target.conn_id} stays with the creator whom it belongs to. Choose another id with "
        "--conn-id, or add --yes to replace it. Here is the new grant:"
    )
    return False
