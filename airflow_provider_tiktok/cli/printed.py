"""A Connection as text, to be pasted elsewhere. It holds the client secret and the tokens."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from airflow_provider_tiktok.cli.connections import ENVIRONMENT_PREFIX
from airflow_provider_tiktok.cli.terminal import Terminal

_SHELL_NAME = re.compile(r"\w+", re.ASCII)


def as_json(connection: Any) -> str:
    """
    Give the JSON that ``airflow connections add --conn-json`` and secrets backends take.

    :param connection: Airflow's
    """
    return str(connection.as_json())


def as_uri(connection: Any) -> str:
    """Give the URI that ``airflow connections add --conn-uri`` takes."""
    return str(connection.get_uri())


def as_environment(connection: Any) -> str:
    """Give the line that sets the Connection in a shell; ids with '-' or '.' cannot be set in one."""
    name, value = f"{ENVIRONMENT_PREFIX}{connection.conn_id.upper()}", shlex.quote(as_json(connection))
    return f"export {name}={value}" if _SHELL_NAME.fullmatch(name) else f"env {shlex.quote(name)}={value} ..."


FORMS: dict[str, Callable[[Any], str]] = {"json": as_json, "uri": as_uri, "env": as_environment}


def show(terminal: Terminal, connection: Any, form: str | None = None) -> None:
    """
    Print a Connection to stdout.

    :param terminal: where to
    :param connection: Airflow's
    :param form: one of :data:`FORMS`; None = all of them, each with its name
    """
    terminal.say("What follows holds SECRETS: whoever has it can post as the creator.")
    if form:
        terminal.show(FORMS[form](connection))
        return
    for name, text in FORMS.items():
        terminal.show(f"# {name}\n{text(connection)}\n")
