"""
The commands and their options, and nothing else: what does the work, and Airflow itself, is loaded only then.

Airflow takes two to four seconds to load, and ``--help`` must not wait for it. The client secret is no option
anywhere: everybody on the machine can read a process's arguments.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
from importlib import import_module
from typing import Any

import click

DEFAULT_CONN_ID = "tiktok_default"
DEFAULT_SCOPES = "user.info.basic,video.publish,video.upload"
PRINTED_FORMS = ("json", "uri", "env")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def tiktok() -> None:
    """Connect TikTok accounts to Airflow, and look after them."""


@tiktok.command()
@click.option(
    "--conn-id",
    default=DEFAULT_CONN_ID,
    show_default=True,
    metavar="ID",
    help="The Airflow Connection to fill.",
)
@click.option(
    "--client-key",
    envvar="TIKTOK_CLIENT_KEY",
    show_envvar=True,
    metavar="KEY",
    help="Of your app. Else the Connection's, else it is asked for. The client secret is taken from "
    "TIKTOK_CLIENT_SECRET, else from the Connection, else it is asked for.",
)
@click.option(
    "--host", metavar="URL", help="The API, if not TikTok's own: a sandbox's http://127.0.0.1:8765."
)
@click.option(
    "--scopes", default=DEFAULT_SCOPES, show_default=True, metavar="LIST", help="What to ask the creator for."
)
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Where TikTok's answer is awaited: the app must have http://127.0.0.1:PORT/callback/ registered "
    "(for desktop). 0 = a free one, for an app that has registered http://127.0.0.1:*/callback/.",
)
@click.option(
    "--redirect-uri",
    metavar="URL",
    help="Another registered redirect URI. A web app's https://... is not reached from here: you paste the "
    "address that the browser ends on.",
)
@click.option(
    "--no-browser", is_flag=True, help="Open no browser here; the address is shown, to be opened anywhere."
)
@click.option(
    "--print",
    "print_as",
    type=click.Choice(PRINTED_FORMS),
    help="Store nothing: print the Connection, with its secrets, to stdout.",
)
@click.option(
    "--timeout",
    default=600,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How long to wait for the creator.",
)
@click.option("--yes", is_flag=True, help="Answer every question of yes or no with yes.")
def login(**options: Any) -> None:
    """Let a creator allow your app, and keep the grant in an Airflow Connection."""
    _do("login", options)


@tiktok.command()
@click.option("--conn-id", multiple=True, metavar="ID", help="Only this account; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, without any secret.")
@click.option("--offline", is_flag=True, help="Do not ask TikTok.")
@click.option("--refresh", is_flag=True, help="Refresh every grant now. Takes about ten seconds each.")
def status(**options: Any) -> None:
    """
    Show every account: whose it is, what is allowed, until when, and what is broken.

    Spends no refresh token, unless --refresh is given. The exit code is 1 if an account needs a person,
    or its state cannot be told.
    """
    _do("status", options)


@tiktok.command()
@click.option("--conn-id", required=True, metavar="ID", help="The account's Airflow Connection.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def revoke(**options: Any) -> None:
    """Give the creator's permission back to TikTok: the app can post nothing more."""
    _do("revoke", options)


@tiktok.command("sweep")
@click.option(
    "--older-than",
    default=90.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Since a publish was begun. A task that is cleared after its record is gone posts again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed.")
def sweep_records(**options: Any) -> None:
    """
    Remove what finished publishes have left in Airflow's Variables.

    Below Airflow 3.3 that is the record of each task that has posted, which keeps it from posting twice;
    everywhere, what a killed task has left. Run it once a month.
    """
    _do("sweep", options)


@tiktok.group()
def media() -> None:
    """Look after media that was put where TikTok can pull it."""


@media.command()
@click.option(
    "--conn-id", multiple=True, metavar="ID", help="Only this account's bucket; may be given several times."
)
@click.option(
    "--older-than",
    default=24.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="HOURS",
    help="What is younger may still be pulled: TikTok takes up to an hour, and a task may be waiting.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed.")
def sweep(**options: Any) -> None:
    """
    Remove what was staged for TikTok and left behind.

    A task that is killed leaves files in the Connection's media_bucket. Only what this provider has put
    there is removed. Run it once a day, or give the bucket a lifecycle rule.
    """
    _do("media", options)


def _do(command: str, options: dict[str, Any]) -> None:
    """Load what does the work, and do it; only results go to stdout, whatever Airflow prints meanwhile."""
    results = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        from airflow_provider_tiktok.cli.terminal import Terminal
        from airflow_provider_tiktok.exceptions import TikTokError

        run = import_module(f"airflow_provider_tiktok.cli.{command}").run
        atexit.register(_end)  # after Airflow's own, so that it comes before them
        try:
            code = run(Terminal(results), **options)
        except TikTokError as error:
            raise click.ClickException(str(error)) from None
    sys.exit(code)


def _end() -> None:
    """Keep also what Airflow logs while it ends out of the results."""
    sys.stdout = sys.stderr
