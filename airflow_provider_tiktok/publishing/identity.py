"""What makes a task instance, a request and a file the same as one before."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TaskKey:
    """
    Which task instance this is.

    :param dag_id: its DAG
    :param run_id: its run
    :param task_id: its task
    :param map_index: -1 for one that is not mapped
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def digest(self) -> str:
        """Its name where others are named, too: any characters in ids, any length."""
        text = json.dumps([self.dag_id, self.run_id, self.task_id, self.map_index])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def task_key(context: Any) -> TaskKey:
    """
    Name the task instance that runs.

    :param context: of the task
    """
    ti = context.get("ti")
    if ti is None:  # called by hand, outside Airflow: there is nobody to remember anything for
        return TaskKey("", secrets.token_hex(8), "", -1)
    return TaskKey(str(ti.dag_id), str(ti.run_id), str(ti.task_id), int(ti.map_index))


def episode(context: Any) -> int:
    """
    Tell one run of a task, with its retries, from the next, for which a person has cleared it.

    :param context: of the task
    """
    return int(getattr(context.get("ti"), "max_tries", None) or 0)


def digests(arguments: Mapping[str, Any]) -> dict[str, str]:
    """
    Give a short digest of each argument, so that a change is noticed, and can be named, without its text.

    :param arguments: by name
    """
    return {name: _digest(value) for name, value in arguments.items()}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def bytes_identity(size: int, read: Callable[[int, int], bytes], sample: int = 65536) -> str:
    """
    Tell one file from another by its size, beginning, middle and end: a few hundred KB of any size.

    A video that is rendered anew differs in its index, which lies at its beginning or end.

    :param size: bytes
    :param read: gives bytes, from a start, of a length
    :param sample: bytes of each of the three
    """
    made = hashlib.sha256(str(size).encode())
    for start in sorted({0, max(0, (size - sample) // 2), max(0, size - sample)}):
        made.update(read(start, min(sample, size - start)))
    return made.hexdigest()[:32]
