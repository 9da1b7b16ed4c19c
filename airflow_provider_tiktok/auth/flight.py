"""A renewal that is on its way beside the work: who waits for it, and where it runs."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any, TypeAlias, TypeVar

from airflow_provider_tiktok.auth.grant import Grant
from airflow_provider_tiktok.exceptions import TikTokError

#: An error is handed over as a value: each who waits for it raises one of their own.
Outcome: TypeAlias = Grant | BaseException
T = TypeVar("T")


class StoppedError(TikTokError):
    """Nobody waits for the renewal any more."""


@dataclass(eq=False)
class Flight:
    """
    A renewal that is on its way.

    :param usable: the first token that can be used: one that lives on while the next is made, or the next
    :param landed: the outcome
    :param wanted: whether anybody will use what comes of it; if not, it waits for nobody else's
    :param thread: in which it flies
    """

    usable: Future[Outcome] = field(default_factory=Future)
    landed: Future[Outcome] = field(default_factory=Future)
    wanted: bool = True
    thread: int = 0

    def __post_init__(self) -> None:
        for waited in (self.usable, self.landed):
            waited.set_running_or_notify_cancel()  # who waits may give up, and takes nothing down with it

    def check_wanted(self) -> None:
        """Raise where it would wait in vain; at an interpreter's end threads are joined before anything."""
        if not self.wanted or not threading.main_thread().is_alive():
            raise StoppedError("The renewal was not waited for.")

    def land(self, outcome: Outcome) -> None:
        """
        Tell whoever waits.

        :param outcome: what came of it
        """
        for waited in (self.usable, self.landed):
            if not waited.done():
                waited.set_result(outcome)


def token_of(outcome: Outcome) -> str:
    """
    Give the access token, or raise what has happened instead.

    :param outcome: of a flight
    """
    if isinstance(outcome, BaseException):
        raise _own(outcome)
    return outcome.access_token


def _own(error: BaseException) -> BaseException:
    """Give an error like another: raised in many threads, one and the same would grow with each of them."""
    try:
        own = copy.copy(error)
    except Exception:  # not every class can be made anew from what it shows
        return error
    own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
    return own.with_traceback(error.__traceback__)


@cache
def two_may_ask() -> bool:
    """
    Tell whether a thread may read Variables while others of its process talk to Airflow.

    On Airflow 3.0 to 3.2.0 each might get the other's answer in a task (apache/airflow 64894), and a
    triggerer dies of it.
    """
    try:
        version = metadata.version("apache-airflow-task-sdk")
    except metadata.PackageNotFoundError:  # Airflow 2, which asks the database
        return True
    return tuple(map(int, re.findall(r"\d+", version)[:3])) >= (1, 2, 1)  # Airflow's, less 2


_launched: set[asyncio.Future[Any]] = set()  # a loop forgets tasks that nobody else knows


def launch(run: Callable[[], None], *, blocks: bool = False) -> None:
    """
    Run something beside the caller, where it may read Variables.

    :param run: must not raise
    :param blocks: the caller stands still until it has run, and the event loop that would carry it with them
    """
    if running_loop() is not None and not blocks and not two_may_ask():
        from asgiref.sync import sync_to_async  # whose threads find the way back into the triggerer's loop

        task = asyncio.ensure_future(sync_to_async(run, thread_sensitive=False)())
        _launched.add(task)
        task.add_done_callback(_launched.discard)
        return
    context = contextvars.copy_context()  # Airflow keeps there to whom a log line belongs
    threading.Thread(target=context.run, args=(run,), name="tiktok-grant").start()


async def beside(ask: Callable[[], T]) -> T:
    """
    Wait for something that may read Variables, without blocking the event loop.

    :param ask: what it gives is given, and what it raises is raised
    """
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # who waits may give up, and the answer comes all the same

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    launch(run)
    return await asyncio.wrap_future(answer)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Give the event loop that this thread runs; None = it runs none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
