"""What the triggers run on is imported beside the event loop, once, by whoever comes first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: In a process of its own, that has imported nothing of it.
PROGRAM = """
import asyncio, gc, json, sys, threading
from airflow_provider_tiktok.triggers import machinery, pace, tiktok

WAITING, HOOK = "airflow_provider_tiktok.triggers.waiting", "airflow_provider_tiktok.hooks.tiktok"
importers = []

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in (WAITING, HOOK):
            importers.append((name, threading.get_ident()))

async def main():
    before = [name for name in (WAITING, HOOK) if name in sys.modules]
    frozen = gc.get_freeze_count()
    many = [asyncio.ensure_future(machinery.loaded()) for _ in range(50)]
    await asyncio.sleep(0)
    many[0].cancel()
    ends = await asyncio.gather(*many, return_exceptions=True)
    print("told:", json.dumps({
        "before": before,
        "imported": [name for name, _ in importers],
        "elsewhere": all(thread != threading.get_ident() for _, thread in importers),
        "there": WAITING in sys.modules,
        "failed": [type(each).__name__ for each in ends if each is not None],
        "frozen": gc.get_freeze_count() > frozen,
        "threads": threading.active_count(),
    }))

sys.meta_path.insert(0, Finder())
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.rpartition("told:")[2]))


def test_a_triggers_class_brings_none_of_it(told: dict[str, object]) -> None:
    """A triggerer imports the class in its event loop, and a task that only defers needs no more."""
    assert told["before"] == []


def test_it_is_imported_once_in_another_thread(told: dict[str, object]) -> None:
    assert sorted(told["imported"]) == [
        "airflow_provider_tiktok.hooks.tiktok",
        "airflow_provider_tiktok.triggers.waiting",
    ]
    assert told["elsewhere"]
    assert told["there"]
    assert told["threads"] <= 2, "fifty that wait for it take one thread"


def test_who_is_cancelled_meanwhile_takes_nobody_down(told: dict[str, object]) -> None:
    assert told["failed"] == ["CancelledError"]


def test_the_collector_does_not_look_through_what_was_there(told: dict[str, object]) -> None:
    assert told["frozen"]
