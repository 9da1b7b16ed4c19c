"""``airflow-tiktok sweep``: remove what finished publishes have left in Airflow's Variables."""

from __future__ import annotations

import time

from airflow_provider_tiktok import register
from airflow_provider_tiktok.cli import database
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.publishing.leftovers import PREFIXES, PROBE, Leftover, leftovers

#: A probe lives for some seconds: one that is still there after this belongs to a process that has died.
PROBE_SECONDS = 20.0
_DAY = 24 * 3600.0


def run(terminal: Terminal, *, older_than: float, dry_run: bool) -> int:
    """
    Sweep Airflow's Variables.

    :param terminal: the person at it
    :param older_than: days since a publish was begun, after which its record goes
    :param dry_run: show only
    :return: the exit code: 1 if they cannot be read
    """
    if fault := database.fault():
        terminal.say(f"Airflow's database cannot be used: {fault}.")
        return 1
    values = database.variables(PREFIXES)
    found = [*leftovers(values, now=time.time(), older_than=older_than * _DAY), *_dead_probes(values)]
    for each in found:
        if not dry_run:
            register.remove(each.key)
        verb = "would remove" if dry_run else "removed"
        terminal.show(f"{verb} {each.key} ({each.what})")
    done = "would be removed" if dry_run else "removed"
    terminal.say(f"{len(found)} of {len(values)} Variables of publishes, {done}.")
    return 0


def _dead_probes(values: dict[str, str]) -> list[Leftover]:
    probes = {key: value for key, value in values.items() if key.startswith(PROBE)}
    if not probes:
        return []
    time.sleep(PROBE_SECONDS)
    now = database.variables((PROBE,))
    return [
        Leftover(key, "a probe whose process has died")
        for key, value in probes.items()
        if now.get(key) == value
    ]
