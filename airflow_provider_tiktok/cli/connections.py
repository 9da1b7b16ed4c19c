"""Airflow's Connections, found where a task would find them: the first place that has one wins."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_tiktok.cli.database import CONN_TYPE
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokStoreError

DATABASE = "database"
ENVIRONMENT_PREFIX = "AIRFLOW_CONN_"
_CONN_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)


@dataclass(frozen=True)
class Found:
    """
    A Connection that there is.

    :param connection: Airflow's
    :param source: where it comes from: :data:`DATABASE`, an environment variable, or a secrets backend
    """

    connection: Any
    source: str

    @property
    def is_stored(self) -> bool:
        """Whether it is the one in the database, so that storing another one changes it."""
        return self.source == DATABASE

    @property
    def is_ours(self) -> bool:
        """Whether it is of our type."""
        return bool(self.connection.conn_type == CONN_TYPE)


def check_conn_id(conn_id: str) -> None:
    """
    See that Airflow takes it.

    :param conn_id: of a Connection
    :raises TikTokConfigError: it does not
    """
    if not _CONN_ID.fullmatch(conn_id):
        raise TikTokConfigError(
            "The id of a Connection has letters, digits, '_', '-' and '.', at most 200 of them."
        )


def find(conn_id: str, *, in_database: bool = True) -> Found | None:
    """
    Find a Connection: in the secrets backend, the environment, the database.

    :param conn_id: of the Connection
    :param in_database: whether the database can be used
    :raises TikTokStoreError: one of them does not answer, or holds no Connection there
    """
    for source, get in _places(conn_id):
        if source == DATABASE and not in_database:
            continue
        try:
            connection = get(conn_id)
        except Exception as error:  # each raises something of its own, whose text may hold the secret
            raise TikTokStoreError(
                f"Connection {conn_id} cannot be read from the {source} ({type(error).__name__})."
            ) from None
        if connection is not None:
            return Found(connection, source)
    return None


def _places(conn_id: str) -> Iterator[tuple[str, Callable[[str], Any]]]:
    from airflow.configuration import ensure_secrets_loaded

    names = {
        "MetastoreBackend": DATABASE,
        "EnvironmentVariablesBackend": f"environment variable {ENVIRONMENT_PREFIX}{conn_id.upper()}",
    }
    for backend in ensure_secrets_loaded():
        name = type(backend).__name__
        yield names.get(name, f"secrets backend {name}"), backend.get_connection


def environment_ids() -> list[str]:
    """Give the ids of all Connections of our type that environment variables hold."""
    names = [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]
    conn_ids = [name.removeprefix(ENVIRONMENT_PREFIX).lower() for name in names]
    return sorted(each for each in conn_ids if _CONN_ID.fullmatch(each) and _is_ours(each))


def _is_ours(conn_id: str) -> bool:
    try:
        found = find(conn_id, in_database=False)
    except TikTokStoreError:
        return False  # whatever stands there, it is no Connection
    return found is not None and found.is_ours
