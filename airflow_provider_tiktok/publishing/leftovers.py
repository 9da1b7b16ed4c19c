"""What publishes leave in Airflow's Variables, and when it may go."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airflow_provider_tiktok.claim import stamp_of

RECORD, ADDRESS, PROBE = "tiktok_post__", "tiktok_upload__", "tiktok_probe__"
#: All that :func:`leftovers` knows.
PREFIXES = (RECORD, ADDRESS, PROBE)
#: The address of an upload lives an hour.
ADDRESS_SECONDS = 2 * 3600.0
#: A claim whose publish never came to a record says nothing after this.
CLAIM_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Leftover:
    """
    A Variable that is needed no more.

    :param key: its name
    :param what: for a person
    """

    key: str
    what: str


def leftovers(values: Mapping[str, str], *, now: float, older_than: float) -> Iterator[Leftover]:
    """
    Tell which Variables are needed no more.

    :param values: all whose names begin with one of :data:`PREFIXES`
    :param now: seconds since 1970
    :param older_than: seconds since a publish was begun, after which its record may go: a task that is
        cleared later would post again
    """
    for key, text in values.items():
        if key.startswith(ADDRESS) and now - _encrypted_at(text) > ADDRESS_SECONDS:
            yield Leftover(key, "the address of an upload that has ended")
    for task, keys in _by_task(values).items():
        began = max((_began(values[key]) for key in keys), default=0.0)
        if began and now - began > older_than:
            for key in keys:
                yield Leftover(key, f"of a publish by {_told(values, keys) or task}")
        elif not began:
            yield from _orphans(values, keys, now)


def _orphans(values: Mapping[str, str], keys: list[str], now: float) -> Iterator[Leftover]:
    for key in keys:
        stamp = stamp_of(values[key])
        if stamp is not None and now - stamp > CLAIM_SECONDS:
            yield Leftover(key, "a claim whose task has ended")


def _by_task(values: Mapping[str, str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key in values:
        if key.startswith(RECORD):
            found[key.split("__")[1]].append(key)
    return found


def _record(text: str) -> dict[str, object]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _began(text: str) -> float:
    began = _record(text).get("began")
    try:
        return float(began) if isinstance(began, int | float) and not isinstance(began, bool) else 0.0
    except OverflowError:
        return 0.0


def _told(values: Mapping[str, str], keys: list[str]) -> str:
    for key in keys:
        task = _record(values[key]).get("task")
        if isinstance(task, dict):
            return f"{task.get('dag_id')}.{task.get('task_id')}, run {task.get('run_id')}"
    return ""


def _encrypted_at(text: str) -> float:
    """Give the moment that Fernet writes, in clear, at the beginning of what it encrypts; 0 = it is none."""
    try:
        return float(int.from_bytes(base64.urlsafe_b64decode(text[:12])[1:9], "big"))
    except ValueError:
        return 0.0
