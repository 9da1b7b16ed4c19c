"""
Which of two processes that both found nothing a generation of the record belongs to.

Decided by a claim. For a pull it guards the init. For an upload, whose init posts nothing, it guards only the
record: it is taken beside the work, and has to be had before the last range is sent.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from airflow.providers.common.compat.sdk import conf

from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.flight import two_may_ask
from airflow_provider_tiktok.claim import Claim, Held, Pace
from airflow_provider_tiktok.exceptions import TikTokStoreError
from airflow_provider_tiktok.publishing.ledger import Ledger, Record, Stage

log = logging.getLogger(__name__)


def publish_pace(ledger: Ledger) -> Pace:
    """
    Give the seconds of a publish's claim, scaled by ``[tiktok] claim_write_seconds``.

    2, 3, 60 and 120 in a task's state, where a look is one operation; L and S are 4 and 5 in Variables, whose
    absence takes several operations to prove.

    :param ledger: of the task instance
    """
    scale = conf.getfloat("tiktok", "claim_write_seconds", fallback=8.0) / 8
    write, settle = (2, 3) if ledger.values.raises else (4, 5)
    return Pace(write * scale, settle * scale, 60 * scale, 120 * scale)


def claim(
    ledger: Ledger,
    generation: int,
    *,
    settled: Callable[[Record], bool] = lambda _: True,
    stopped: Callable[[], bool] = lambda: False,
) -> Held | Record:
    """
    Wait until a generation is mine to make, or somebody has made it.

    Whoever gets it has to write the record next, and to see that it is there.

    :param ledger: of the task instance
    :param generation: counted from 1
    :param settled: tells whether a record says what has come of it
    :param stopped: whether nobody waits for it any more
    :return: the right, or what stands in the record
    :raises TikTokStoreError: neither could be had
    """

    def made() -> Record | None:
        if stopped():
            raise _Stopped
        record = ledger.peek(generation)
        return record if record and settled(record) else None

    values = _Stoppable(ledger, stopped)
    found = Claim(
        ledger.claim_key(generation), publish_pace(ledger), guards=f"publish {generation}", values=values
    ).take(made)
    if isinstance(found, Record):
        return found
    return ledger.read(generation, writes=True) or found


def is_claimed(ledger: Ledger, generation: int) -> bool:
    """
    Tell whether a claim is there, dead or alive, as far as one look can tell.

    :param ledger: of the task instance
    :param generation: counted from 1
    """
    try:
        return ledger.values.peek(ledger.claim_key(generation)) is not None
    except TikTokStoreError:
        return True


def wait_for_outcome(ledger: Ledger, record: Record) -> Record:
    """
    Wait for what comes of an init that is about to be made, or was made by a process that is no more.

    :param ledger: of the task instance
    :param record: which says that it is intended
    :return: what stands in the record then: still the same if its process will surely not say any more
    :raises TikTokStoreError: it cannot be told
    """
    found = claim(ledger, record.generation, settled=lambda each: each.stage is not Stage.INTENT)
    return found if isinstance(found, Record) else ledger.read(record.generation) or record


@dataclass(frozen=True)
class _Stoppable:
    """The register, until nobody waits any more: so a claim that is not needed ends at its next look."""

    ledger: Ledger
    stopped: Callable[[], bool]

    def read(self, key: str, before: Callable[[], None] | None = None) -> str | None:
        if self.stopped():
            raise _Stopped
        values = self.ledger.values
        if not values.raises:
            return values.read(key, before)
        # no proof of absence is needed: who may not write any more finds out with its claim. So a look is one
        # operation, not five: many tasks that claim at once must not make Airflow slower than a claim allows
        if before is not None:
            before()
        return values.peek(key)

    def put(self, key: str, value: str) -> None:
        self.ledger.values.put(key, value)


class _Stopped(Exception):  # noqa: N818 - no error: it ends a thread that is not needed
    """Nobody waits for this any more."""


class Ownership:
    """
    Makes an upload the record's, while its turn comes and its first bytes travel.

    :param ledger: of the task instance
    :param account: whose client secret encrypts the upload's address
    :param generation: counted from 1
    """

    def __init__(self, ledger: Ledger, account: Account, generation: int) -> None:
        self._ledger, self._account, self._generation = ledger, account, generation
        self._offer: Future[tuple[Record, str]] = Future()
        self._result: Future[Record] = Future()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to claim, where that can be done beside the work."""
        if self._thread is None and two_may_ask():
            run = contextvars.copy_context().run  # Airflow keeps there to whom a log line belongs
            decide = partial(run, self._decide)
            self._thread = threading.Thread(target=decide, name="tiktok-claim", daemon=True)
            self._thread.start()

    def offer(self, record: Record, url: str) -> None:
        """
        Say which publish it would be; where only one thread may ask Airflow, the claim is waited for here.

        :param record: of the publish that was begun
        :param url: its address
        """
        self._offer.set_result((record, url))
        self.start()
        if self._thread is None:
            self._decide()

    def refused(self, record: Record) -> None:
        """
        Say that nothing was begun: else whoever comes next waits until the claim is dead.

        :param record: which says so
        """
        if self._thread is None:
            return
        self._offer.set_result((record, ""))
        try:
            self._result.result()
        except TikTokStoreError as error:
            log.info("It is not noted that an init was refused: %s", error)

    def result(self) -> Record:
        """
        Wait until it is decided, and give the publish that the generation has.

        :raises TikTokStoreError: it could not be decided: the last range must not be sent
        """
        return self._result.result()

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self._stop.set()
        if not self._offer.done():
            self._offer.set_exception(_Stopped())

    def _decide(self) -> None:
        try:
            self._result.set_result(self._decided())
        except Exception as error:  # whoever waits has to hear of it
            self._result.set_exception(error)

    def _decided(self) -> Record:
        while True:
            found = claim(self._ledger, self._generation, stopped=self._stop.is_set)
            if isinstance(found, Record):
                return found
            record, url = self._offer.result()
            if found.left() <= publish_pace(self._ledger).hold / 8:
                continue  # the right has run out while the init was waited for
            if url:
                self._ledger.keep_url(self._account, record, url)
            if found.left() <= 0:
                continue
            return self._ledger.write(record)


def time_left(held: Held, ledger: Ledger) -> float:
    """
    Give the seconds that a guarded request may take.

    :param held: the right to make it
    :param ledger: of the task instance
    :raises TikTokStoreError: there are none: it must not be made
    """
    left = held.left() * 0.9
    if left <= publish_pace(ledger).hold / 10:
        raise TikTokStoreError(
            "The right to publish ran out before TikTok could be asked: the machine or Airflow was too slow. "
            "Nothing was sent; let the task be retried."
        )
    return left
