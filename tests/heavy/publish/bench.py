"""Task instances that are tried by processes of their own, side by side or one after the other."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.heavy.publish.kinds import Kind, Made, Media, made_by_creator
from tests.heavy.publish.processes import Nursery, Process
from tests.heavy.publish.strikes import Journal, Strike, as_dict

#: TikTok's minute, of which a process waits some for another that is frozen in its turn.
RATE_WINDOW_SECONDS = 0.4
#: So many at a time: most of them wait most of the time.
ROUNDS_AT_ONCE = 10
S, T = TypeVar("S"), TypeVar("T")
_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False)
class Instance:
    """
    A task instance with an account of its own.

    :param kind: of what it publishes
    :param conn_id: of the account, and the creator's name
    :param journal: what its processes did
    :param connection: of the account
    """

    kind: Kind
    conn_id: str
    journal: Journal
    connection: dict[str, Any]

    @property
    def ends(self) -> str:
        """How its processes ended, in that order."""
        ends = [(line["process"], line["ends"]) for line in self.journal.ends()]
        return ", ".join(f"{who}: {how.removeprefix('TikTok').removesuffix('Error')}" for who, how in ends)


class Bench:
    """
    Makes task instances and their processes.

    :param nursery: of the processes
    :param sandbox: that they publish to
    :param media: what they publish
    :param folder: for journals
    """

    def __init__(self, nursery: Nursery, sandbox: Sandbox, media: Media, folder: Path) -> None:
        self.nursery, self.sandbox, self.media, self._folder = nursery, sandbox, media, folder

    def instance(self, kind: Kind) -> Instance:
        """Make a task instance, and its account."""
        conn_id = f"side_{next(_numbers):04d}"
        extras = {"media_public_base_url": self.media.url, "rate_window": RATE_WINDOW_SECONDS}
        connection = self.sandbox.connection(conn_id, **extras)
        return Instance(kind, conn_id, Journal(self._folder / f"{conn_id}.jsonl"), connection)

    def begin(
        self,
        instance: Instance,
        process: str,
        *,
        number: int = 1,
        strike: Strike | None = None,
        begin_at: float = 0.0,
    ) -> Process:
        """
        Begin a process of a task instance.

        :param process: its name in the journal
        :param number: of the try
        :param strike: None = it is left alone
        :param begin_at: seconds since 1970; it is ready before
        """
        order = {
            "conn_id": instance.conn_id,
            "connection": instance.connection,
            "operator": instance.kind.operator,
            "given": instance.kind.given(self.media),
            "journal": str(instance.journal.path),
            "process": process,
            "try": number,
            "of_backlog": instance.kind.released,
            "strike": as_dict(strike),
            "begin_at": begin_at,
        }
        return self.nursery.begin(json.loads(json.dumps(order)))

    def run(self, instance: Instance, process: str, *, number: int = 1, strike: Strike | None = None) -> None:
        """Have a process begin, and wait for its end."""
        assert self.begin(instance, process, number=number, strike=strike).wait() == "ended"

    def retry(self, instance: Instance, number: int, *, once_more: bool = False) -> None:
        """
        Try again, as Airflow would, unless the last to end has succeeded or failed for good.

        :param number: of the try
        :param once_more: also where it has succeeded, as Airflow does where it has not heard of that
        """
        ends = instance.journal.ends()
        if not ends or (ends[-1]["ends"] == "success" and once_more) or not ends[-1].get("is_final", True):
            self.run(instance, f"try {number}", number=number)

    def made(self, instance: Instance) -> Made:
        """Count what TikTok has of a task instance."""
        return made_by_creator(self.sandbox).get(instance.conn_id, Made(0, 0))


def at_once(function: Callable[[S], T], rounds: Iterable[S]) -> list[T]:
    """Do many rounds at a time; gives what came of each, in their order."""
    with ThreadPoolExecutor(ROUNDS_AT_ONCE) as pool:
        return list(pool.map(function, rounds))


def until(moment: float) -> None:
    """Sleep until a moment of the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))
