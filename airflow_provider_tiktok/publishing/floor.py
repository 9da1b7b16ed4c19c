"""
How long a trigger runs before it fires.

Airflow fails a task whose trigger fires before the scheduler has read the exit of the process that deferred
(apache/airflow issues 66374, 67287, 72716; open in 3.3.2). One process in five is seen to end five seconds
late: its supervisor misses the end, and looks again after ``[workers] min_heartbeat_interval``. The scheduler
reads it in the next of its loops, which take a second, and some on a small machine that starts or resumes a
whole backlog; that many triggers run here is the sign of one.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import ClassVar, Self

from airflow.providers.common.compat.sdk import conf

#: For one that runs alone; for each other one that runs in this process; at most.
FLOOR_SECONDS, SECONDS_EACH, LONGEST_FLOOR_SECONDS = 5.5, 0.03, 9.0

#: Airflow's own ``min_heartbeat_interval``; where it is set longer, all of these are.
USUAL_PAUSE = 5.0


class Floor:
    """What a trigger does in this block counts, among all triggers of ours in this process, as waiting."""

    _running: ClassVar[int] = 0

    def __enter__(self) -> Self:
        Floor._running += 1
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Floor._running -= 1

    async def reached(self) -> None:
        """Wait until the trigger may fire."""
        others = Floor._running - 1
        seconds = min(LONGEST_FLOOR_SECONDS, FLOOR_SECONDS + SECONDS_EACH * others)
        pause = conf.getfloat("workers", "min_heartbeat_interval", fallback=USUAL_PAUSE)
        seconds += max(0.0, pause - USUAL_PAUSE)
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - self._began)))
