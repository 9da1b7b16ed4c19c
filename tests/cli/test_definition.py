"""``airflow tiktok ...``: made of the same commands, for Airflow's own command line."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from airflow_provider_tiktok.cli import commands
from airflow_provider_tiktok.cli.definition import get_tiktok_cli_commands
from airflow_provider_tiktok.get_provider_info import get_provider_info


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    """Built as Airflow builds its own."""
    (group,) = get_tiktok_cli_commands()
    parser = argparse.ArgumentParser(group.name)
    _add(parser, group)
    return parser


def _add(parser: argparse.ArgumentParser, group: Any) -> None:
    choices = parser.add_subparsers(required=True)
    for each in group.subcommands:
        if hasattr(each, "subcommands"):
            _add(choices.add_parser(each.name, help=each.help), each)
            continue
        command = choices.add_parser(each.name, help=each.help, description=each.description)
        for arg in each.args:
            arg.add_to_parser(command)
        command.set_defaults(func=each.func)


def actions(group: click.Group, *before: str) -> Iterator[tuple[list[str], click.Command]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from actions(command, *before, name)
        else:
            yield [*before, name], command


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the commands were asked to do."""
    done: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(commands, "_do", lambda command, options: done.append((command, options)))
    return done


def both(parser: argparse.ArgumentParser, line: list[str]) -> None:
    args = parser.parse_args(line)
    with pytest.raises(SystemExit) as ended:
        args.func(args)
    assert ended.value.code == 0
    commands.tiktok.main(line, standalone_mode=False)


@pytest.mark.parametrize(
    "line",
    [
        ["login"],
        ["login", "--conn-id", "a", "--host", "http://127.0.0.1:1", "--port", "7", "--no-browser"],
        ["login", "--print", "env", "--timeout", "3", "--yes", "--scopes", "a b", "--client-key=-k"],
        ["login", "--redirect-uri", "https://a.example/%20"],
        ["status"],
        ["status", "--conn-id", "a", "--conn-id", "b", "--json", "--offline", "--refresh"],
        ["revoke", "--conn-id", "a", "--yes"],
        ["media", "sweep"],
        ["media", "sweep", "--conn-id", "a", "--conn-id", "b", "--older-than", "0.5", "--dry-run"],
    ],
    ids=" ".join,
)
def test_both_ways_come_to_the_same(
    parser: argparse.ArgumentParser, done: list[tuple[str, dict[str, Any]]], line: list[str]
) -> None:
    both(parser, line)

    assert len(done) == 2
    assert done[0] == done[1]


def test_the_environment_counts_as_well(
    parser: argparse.ArgumentParser, done: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOK_CLIENT_KEY", "from-there")

    both(parser, ["login"])

    assert [options["client_key"] for _, options in done] == ["from-there"] * 2


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["login", "--port", "70000"], "--port"),
        (["login", "--print", "xml"], "--print"),
        (["revoke"], "--conn-id"),
        (["media", "sweep", "--older-than", "-1"], "--older-than"),
    ],
)
def test_a_wrong_option_is_named(
    parser: argparse.ArgumentParser, line: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parser.parse_args(line)
    with pytest.raises(SystemExit) as ended:
        args.func(args)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_every_option_is_there_and_explained(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, command in actions(commands.tiktok):
        with pytest.raises(SystemExit):
            parser.parse_args([*words, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        for option in command.params:
            assert isinstance(option, click.Option)
            assert option.opts[0] in shown
            assert (option.help or "")[:20] in shown


def test_no_option_takes_a_secret() -> None:
    """Everybody on the machine can read a process's arguments."""
    options = [option for _, command in actions(commands.tiktok) for option in command.params]
    assert not [each.name for each in options if "secret" in str(each.name) or "token" in str(each.name)]


def test_airflow_is_told_of_it() -> None:
    (path,) = get_provider_info()["cli"]
    module, _, name = path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is get_tiktok_cli_commands


def test_help_does_not_wait_for_airflow() -> None:
    code = (
        "import sys; from airflow_provider_tiktok.cli.__main__ import main\n"
        "sys.argv = ['airflow-tiktok', 'login', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({each.partition('.')[0] for each in sys.modules} & "
        "{'airflow', 'httpx', 'rich', 'sqlalchemy', 'starlette', 'cryptography'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "--redirect-uri" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"
