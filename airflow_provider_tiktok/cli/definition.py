"""
The commands as ``airflow tiktok ...``, where Airflow's providers may add some (3.2 and newer).

Their options are made of click's, so that nothing is defined twice; what was given is handed to click again,
which judges it. Airflow loads this for each of its own commands: nothing heavy here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_tiktok.cli.commands import tiktok

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand


def get_tiktok_cli_commands() -> list[GroupCommand]:
    """Give Airflow the command group."""
    return [_group("tiktok", tiktok)]


def _group(name: str, group: click.Group) -> GroupCommand:
    from airflow.cli.cli_config import GroupCommand

    return GroupCommand(
        name=name.rpartition(" ")[2],
        help=group.get_short_help_str(limit=100),
        subcommands=[
            _group(f"{name} {each}", command)
            if isinstance(command, click.Group)
            else _action(f"{name} {each}", command)
            for each, command in group.commands.items()
        ],
    )


def _action(name: str, command: click.Command) -> ActionCommand:
    from airflow.cli.cli_config import ActionCommand

    return ActionCommand(
        name=name.rpartition(" ")[2],
        help=command.get_short_help_str(limit=100),
        description=" ".join((command.help or "").split()),
        func=_runner(name, command),
        args=tuple(_args(command)),
    )


def _args(command: click.Command) -> Iterator[Arg]:
    from airflow.cli.cli_config import Arg

    for option in _options(command):
        wanted: dict[str, Any] = {
            "flags": tuple(option.opts),
            "dest": option.name,
            "help": _help(command, option),
            **_kind(option),
        }
        yield Arg(**wanted)  # type: ignore[no-untyped-call]


def _kind(option: click.Option) -> dict[str, Any]:
    """Give argparse's way of taking an option; None = not given, so that click's own default counts."""
    if option.is_flag:
        return {"action": "store_true", "default": None}
    many = {"action": "append"} if option.multiple else {}
    return {"metavar": option.make_metavar(click.Context(tiktok)), "default": None, **many}


def _help(command: click.Command, option: click.Option) -> str:
    record = option.get_help_record(click.Context(command))
    text = record[1] if record else ""
    # argparse takes a percent sign for its own, and Airflow's formatter takes brackets for styles
    return text.translate({ord("%"): "%%", ord("["): "(", ord("]"): ")"})


def _runner(name: str, command: click.Command) -> Callable[[Namespace], None]:
    def run(args: Namespace) -> None:
        command.main(list(_given(command, args)), prog_name=f"airflow {name}")

    run.__name__ = name.replace(" ", "_")
    return run


def _given(command: click.Command, args: Namespace) -> Iterator[str]:
    """Put the options that were given in a row again."""
    for option in _options(command):
        value = getattr(args, str(option.name), None)
        if value is None:
            continue
        if option.is_flag:
            yield option.opts[0]
            continue
        for each in value if option.multiple else [value]:
            yield f"{option.opts[0]}={each}"


def _options(command: click.Command) -> Iterator[click.Option]:
    for option in command.params:
        if isinstance(option, click.Option):
            yield option
