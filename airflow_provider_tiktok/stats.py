"""
What is counted and timed, for Airflow's own metrics backend (StatsD, Datadog, OpenTelemetry).

Names carry what most people want to see apart, since plain StatsD knows no tags; the Connection's id is a
tag. Nothing here raises: a post must not fail for a metric.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow_provider_tiktok.exceptions import CODES, TikTokError

log = logging.getLogger(__name__)


class Metric(StrEnum):
    """What is told; the last part of most names says which of several it was."""

    POSTS = "tiktok.posts"
    WAITED = "tiktok.waited"
    UPLOADED = "tiktok.uploaded_bytes"
    REFRESHES = "tiktok.refreshes"


@dataclass(frozen=True)
class Row:
    """
    One metric, for the README and its test.

    :param kind: as StatsD calls it
    :param endings: what follows the name; empty = nothing does
    :param means: one sentence
    """

    kind: str
    endings: tuple[str, ...]
    means: str


#: All there is.
METRICS: dict[Metric, Row] = {
    Metric.POSTS: Row(
        "counter",
        ("sent", "complete", "inbox", "unconfirmed", "failed.<code>"),
        "A task has sent a post whose end it does not wait for, has seen one end well, or has failed: with "
        "TikTok's code, or the error's name in snake case (`input`, `media_read` ...). Each try counts; "
        "where an operator and a sensor wait for the same post, both do.",
    ),
    Metric.WAITED: Row(
        "timer",
        ("minute", "day", "drafts", "turn", "processing"),
        "How long a task has waited: at TikTok's limits, for its turn in the triggerer without having met a "
        "limit itself, or for the end of a publish. Told by the task when the wait is over, so that a "
        "restart of the triggerer loses nothing of it.",
    ),
    Metric.UPLOADED: Row("counter", (), "Bytes that an upload has sent to its end."),
    Metric.REFRESHES: Row(
        "counter",
        ("done", "refused"),
        "Access tokens refreshed, also by the triggerer; refused: the creator has to log in again.",
    ),
}

#: Where Airflow keeps its metrics: for tasks and for its own components from 3.2 on, and for all below.
_HOMES, _HOME_BELOW = ("airflow.sdk.observability.stats", "airflow.observability.stats"), "airflow.stats"
_OUTCOMES = {"PUBLISH_COMPLETE": "complete", "SEND_TO_USER_INBOX": "inbox"}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def count_sent(conn_id: str) -> None:
    """
    Count a post that is sent, and that this task does not wait for.

    :param conn_id: of the Connection
    """
    _tell("incr", f"{Metric.POSTS}.sent", conn_id)


def count_end(status: str, conn_id: str) -> None:
    """
    Count a publish that has ended well.

    :param status: as TikTok told it
    :param conn_id: of the Connection
    """
    _tell("incr", f"{Metric.POSTS}.{_OUTCOMES.get(status, 'complete')}", conn_id)


def count_failure(error: TikTokError, conn_id: str) -> None:
    """
    Count a try that has failed.

    :param error: that ends it
    :param conn_id: of the Connection
    """
    reason = _reason(error)
    ending = reason if reason == "unconfirmed" else f"failed.{reason}"
    _tell("incr", f"{Metric.POSTS}.{ending}", conn_id)


def count_uploaded(size: int, conn_id: str) -> None:
    """
    Count the bytes of an upload.

    :param size: in bytes
    :param conn_id: of the Connection
    """
    _tell("incr", str(Metric.UPLOADED), conn_id, count=size)


def count_refresh(ending: str, conn_id: str) -> None:
    """
    Count a refresh of an access token.

    :param ending: ``done`` or ``refused``
    :param conn_id: of the Connection
    """
    _tell("incr", f"{Metric.REFRESHES}.{ending}", conn_id)


def waited(reason: str, seconds: float, conn_id: str) -> None:
    """
    Tell how long was waited.

    :param reason: one of the endings
    :param seconds: by whichever clock
    :param conn_id: of the Connection
    """
    _tell("timing", f"{Metric.WAITED}.{reason}", conn_id, dt=timedelta(seconds=max(0.0, seconds)))


def _reason(error: TikTokError) -> str:
    """Name an error by one of a bounded number of words: each makes a metric of its own."""
    code = str(getattr(error, "code", ""))
    if code in CODES:
        return code
    name = type(error).__name__.removeprefix("TikTok").removesuffix("Error")
    return _WORD.sub("_", name or "Error").lower()


def _tell(how: str, name: str, conn_id: str, **values: Any) -> None:
    try:
        if (backend := _backend()) is not None:
            getattr(backend, how)(name, tags={"conn_id": conn_id}, **values)
    except Exception as error:  # whatever the backend does, the post goes on
        log.debug("The metric %s could not be told (%s).", name, type(error).__name__)


def _backend() -> Any:
    """
    Give what this process tells metrics by; None where it does not.

    From 3.2 on Airflow has two copies, one for tasks and one for its own components, the triggerer among
    them: only the one that the process was set up with sends anything, and the other is silent.
    """
    backends = [*_there(_HOMES)] or [*_there((_HOME_BELOW,))]  # which is deprecated where the others are
    return next(filter(_is_set_up, backends), None)


def _there(homes: tuple[str, ...]) -> Iterator[Any]:
    for home in homes:
        with suppress(ImportError):
            yield importlib.import_module(home).Stats


def _is_set_up(backend: Any) -> bool:
    if "incr" in vars(backend):  # 3.3: a class of functions, whose module keeps the factory
        return backend.incr.__globals__["_factory"] is not None
    return backend.factory is not None
