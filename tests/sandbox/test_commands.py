"""``tiktok-sandbox serve``: every knob is an option, what it prints is enough to begin, Ctrl-C ends it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import fields

import httpx
import pytest
from click.testing import CliRunner

from airflow_provider_tiktok.sandbox import __main__
from airflow_provider_tiktok.sandbox.commands import sandbox
from airflow_provider_tiktok.sandbox.knobs import Knobs


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_how_to_use_it_and_ends_on_a_signal(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "airflow_provider_tiktok.sandbox", "serve", "--port", "0", "--day", "90"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("export AIRFLOW_CONN_TIKTOK_DEFAULT="))
        (text,) = shlex.split(line.removeprefix("export AIRFLOW_CONN_TIKTOK_DEFAULT="))
        connection = json.loads(text)
        token = connection["extra"]["access_token"]
        answer = httpx.post(
            f"{connection['host']}/v2/post/publish/creator_info/query/?x=secret",
            headers={"authorization": f"Bearer {token}"},
        )
        process.send_signal(ending)
        rest, errors = process.communicate(timeout=10)

    assert answer.json()["data"]["creator_username"] == "creator1"
    assert connection["extra"]["cap_window"] == 90.0
    assert (process.returncode, errors) == (0, "")
    logged = [line for line in rest.splitlines() if "creator_info" in line]
    assert len(logged) == 1
    assert re.search(r"POST /v2/post/publish/creator_info/query/ 200 @creator1#1 ", logged[0])
    assert token not in rest
    assert "secret" not in rest


def test_both_commands_are_there() -> None:
    assert set(sandbox.commands) == {"serve", "demo"}


def test_every_knob_is_an_option() -> None:
    text = CliRunner().invoke(sandbox, ["serve", "--help"]).output

    for each in fields(Knobs):
        assert f"--{each.name.replace('_', '-')}" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "0.0.0.0"], "loopback"),
        (["--day-kind", "lunar"], "rolling"),
        (["--minute", "soon"], "is not a number"),
        (["--minute", "0"], "more than 0"),
        (["--post-cap", "-1"], "negative"),
        (["--refuse-chunk-sizes", "a,b"], "is not a number"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], named: str) -> None:
    answer = CliRunner().invoke(sandbox, ["serve", *arguments])

    assert answer.exit_code == 2
    assert named in answer.output


def test_a_port_in_use_is_one_clear_line() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = CliRunner().invoke(sandbox, ["serve", "--port", str(taken.getsockname()[1])])

    assert answer.exit_code == 1
    assert "cannot listen on" in answer.output


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SystemExit) as ended:
        __main__.main()

    assert ended.value.code == 2
    assert (
        capsys.readouterr().err
        == 'tiktok-sandbox needs more: pip install "airflow-provider-tiktok[sandbox]"\n'
    )
