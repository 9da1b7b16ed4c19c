"""
Reading Connections in a triggerer, where hundreds may be wanted at once and nothing may stand still.

Whoever reads a Connection for the first time has Airflow's log masker (3.3.2) compile all that it masks anew,
three times: with fifty accounts each takes a tenth of a second and leaves 100 KB in the cache of ``re``. The
millions of small objects that the compiler makes in passing have the garbage collector look through the whole
process again and again, which stops every thread for a fifth of a second.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.exceptions import TikTokError

#: Of a backlog, dozens of triggers start in these seconds; whoever read it before goes on with it for hours.
FRESH_SECONDS = 5.0

_masked: set[str] = set()


@contextmanager
def masking(conn_id: str) -> Iterator[None]:
    """
    Spare the process what it costs Airflow to mask a Connection's secrets for the first time.

    :param conn_id: of the Connection
    """
    if conn_id in _masked:
        yield
        return
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
        _masked.add(conn_id)
    finally:
        re.purge()  # of what was compiled in vain; the rest is compiled again when it is needed
        if collected:
            gc.enable()


class Readings:
    """Reads the Connections that are wanted in one event loop, one after the other."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._read: dict[str, tuple[float, Account | TikTokError]] = {}

    async def account(self, conn_id: str, read: Callable[[], Awaitable[Account]]) -> Account:
        """
        Read a Connection; a reading that began since it was asked for is as good, and so is a young one.

        :param conn_id: of the Connection
        :param read: reads it
        :raises TikTokError: it could not be read
        """
        asked_at = time.monotonic()
        began, outcome = self._read.get(conn_id, (-math.inf, None))
        if isinstance(outcome, Account) and began > asked_at - FRESH_SECONDS:
            return outcome
        async with self._one_at_a_time:
            began, outcome = self._read.get(conn_id, (-math.inf, None))
            if outcome is None or began < asked_at:
                began = time.monotonic()
                try:
                    outcome = await read()
                except TikTokError as error:
                    outcome = error
                self._read[conn_id] = began, outcome
        if isinstance(outcome, TikTokError):
            raise copy.copy(outcome) from outcome.__cause__  # each raises one of their own
        return outcome

    def forget(self, conn_id: str) -> None:
        """
        Keep nothing of a Connection that nobody here uses any more.

        :param conn_id: of the Connection
        """
        self._read.pop(conn_id, None)
