"""The commands of ``tiktok-sandbox``. A further one is added by ``sandbox.add_command`` at the end."""

from __future__ import annotations

import json
import shlex
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from types import FrameType
from typing import Any

import click

from airflow_provider_tiktok.sandbox.demo import demo
from airflow_provider_tiktok.sandbox.knobs import Knobs, coerced
from airflow_provider_tiktok.sandbox.ownership import is_loopback
from airflow_provider_tiktok.sandbox.server import Sandbox
from airflow_provider_tiktok.sandbox.world import RequestRecord

DEFAULT_PORT = 8765


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def sandbox() -> None:
    """A local TikTok: develop and test DAGs without an app, an audit or an account."""


def knob_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add one option for each knob.

    :param command: gets them as keyword arguments; what was not given is None.
    """
    for each in reversed(fields(Knobs)):
        name, default = each.name.replace("_", "-"), each.default
        is_flag = isinstance(default, bool)
        shown = ",".join(str(item) for item in default) if isinstance(default, tuple) else str(default)
        command = click.option(
            f"--{name}/--no-{name}" if is_flag else f"--{name}",
            each.name,
            default=None,
            type=bool
            if is_flag
            else (click.Choice(each.metadata["choices"]) if each.metadata["choices"] else str),
            metavar=None if is_flag or each.metadata["choices"] else type(default).__name__.upper(),
            callback=None if is_flag else _read,
            help=f"{each.metadata['meaning']} [default: {shown.lower() if is_flag else shown or 'none'}]",
        )(command)
    return command


def _read(context: click.Context, parameter: click.Parameter, value: object) -> object:  # noqa: ARG001 - click's
    if value is None:
        return None
    try:
        return coerced(str(parameter.name), value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@sandbox.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback name or address.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0 = a free one."
)
@click.option("--quiet", is_flag=True, help="No line for each request.")
@knob_options
def serve(host: str, port: int, *, quiet: bool, **knobs: Any) -> None:
    """Serve until Ctrl-C. Every option below can also be set while it runs: PATCH /_sandbox/knobs."""
    if not is_loopback(host):
        raise click.BadParameter(f"{host} is not a loopback address", param_hint="--host")
    given = {name: value for name, value in knobs.items() if value is not None}
    ended = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        with Sandbox(host=host, port=port, on_request=None if quiet else _show, **given) as running:
            _welcome(running)
            # Not wait() without a time: on some platforms it would keep signals waiting.
            while not ended.wait(1.0):
                pass
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror}; try --port 0"
        ) from None
    click.echo("\nsandbox ended")


def _welcome(running: Sandbox) -> None:
    first = running.knobs.creators[0] if running.knobs.creators else "creator1"
    connection = json.dumps(running.connection(first), separators=(",", ":"))
    grants = f'curl -X POST {running.url}/_sandbox/grants -d \'{{"creator": "creator2"}}\''
    click.echo(f"{_bold('A local TikTok runs at')} {running.url}\n")
    click.echo(f"{_bold('Feed')}        {running.url}/    (what @{first} and the others have posted)")
    click.echo(f"{_bold('More grants')} {grants}")
    click.echo(f"{_bold('Connection')}  for @{first}; paste it where Airflow starts:\n")
    click.echo(f"export AIRFLOW_CONN_TIKTOK_DEFAULT={shlex.quote(connection)}\n")


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _show(record: RequestRecord) -> None:
    colour = "green" if record.code == "ok" and record.status in range(200, 300) else "yellow"
    parts = (
        time.strftime("%H:%M:%S", time.localtime(record.time)),
        f"{record.method:4}",
        record.path,
        click.style(str(record.status or "dropped"), fg=colour),
        "" if record.code == "ok" else record.code,
        record.token and f"@{record.token}",
        record.publish_id,
        record.content_range,
        record.fault and f"[fault: {record.fault}]",
        f"{record.seconds * 1000:.0f} ms",
    )
    click.echo(" ".join(part for part in parts if part))


sandbox.add_command(demo)
