"""Where the grant of a login will be kept: settled before anybody is asked for anything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_tiktok.cli import connections, database
from airflow_provider_tiktok.cli.connections import Found
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokStoreError


@dataclass(frozen=True)
class Target:
    """
    Where a Connection goes.

    :param conn_id: of the Connection
    :param existing: the one that there is, whose other fields stay
    :param form: how to print it; empty with ``prints`` = in every form
    :param prints: whether it is printed, not stored
    """

    conn_id: str
    existing: Found | None
    form: str | None = None
    prints: bool = False


def settle(terminal: Terminal, conn_id: str, form: str | None, *, yes: bool) -> Target:
    """
    See where the Connection can go.

    :param terminal: the person at it
    :param conn_id: of the Connection
    :param form: print it so; None = store it if that is possible
    :param yes: what may be asked is answered
    :raises TikTokConfigError: there is a Connection of this id that is none of ours
    """
    connections.check_conn_id(conn_id)
    if form is None:
        database.configure()
        if path := database.missing_file():
            _offer(terminal, path, yes=yes)
    fault = database.fault()
    existing, hidden = _existing(conn_id, in_database=not fault)
    reason = hidden or (f"Airflow's database cannot be used: {fault}." if fault else "")
    if form is None and reason:
        terminal.say(f"{reason} The Connection will be printed, for you to put where your Airflow reads it.")
    return Target(conn_id, existing, form, prints=bool(form or reason))


def _offer(terminal: Terminal, path: Path, *, yes: bool) -> None:
    terminal.say(f"Airflow has no database here yet ({path}).")
    if not terminal.agrees("Make it now, as airflow db migrate does", yes=yes, default=True):
        return
    terminal.say("Making Airflow's database (10 s or so) ...")
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-10:])
        terminal.say(f"airflow db migrate failed; its last lines:\n{tail}")


def _existing(conn_id: str, *, in_database: bool) -> tuple[Found | None, str]:
    """Give the Connection that there is, and what would hide one that is stored."""
    try:
        found = connections.find(conn_id, in_database=in_database)
    except TikTokStoreError as error:
        return None, f"{error} So it cannot be told whether a stored Connection would be hidden."
    if found is None:
        return None, ""
    if not found.is_ours:
        raise TikTokConfigError(
            f"There is a Connection {conn_id} of type {found.connection.conn_type or 'unknown'} already (in "
            f"the {found.source}), which is left alone: choose another id with --conn-id."
        )
    if found.is_stored:
        return found, ""
    return found, f"The {found.source} holds Connection {conn_id}, and would hide a stored one."
