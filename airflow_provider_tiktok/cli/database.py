"""
Airflow's metadata database: the only module of the provider that touches it.

A command line stands beside the database, as ``airflow connections add`` does; tasks never come here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokStoreError

CONN_TYPE = "tiktok"
#: A database that does not answer is not waited for longer than this.
PATIENCE_SECONDS = 20.0

T = TypeVar("T")


def configure() -> None:
    """Have an ``airflow.cfg``, as any command of Airflow does: without its key nothing is encrypted."""
    from airflow.configuration import write_default_airflow_configuration_if_needed

    write_default_airflow_configuration_if_needed()


def missing_file() -> Path | None:
    """Give the file of a local SQLite database that nobody has made yet; None if it is there, or another."""
    from airflow.providers.common.compat.sdk import conf
    from sqlalchemy.engine import make_url

    url = make_url(conf.get("database", "sql_alchemy_conn"))
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    # who merely looked has left an empty file there
    return None if path.exists() and path.stat().st_size else path


def fault() -> str:
    """Say why the database cannot be used; empty if it can."""
    if path := missing_file():
        return f"there is none yet ({path})"
    try:
        return _bounded(_fault)
    except TimeoutError:
        return f"it does not answer within {PATIENCE_SECONDS:.0f} s"


def _fault() -> str:
    from airflow import settings
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import inspect, select

    try:
        with create_session() as session:
            session.scalar(select(Connection).limit(1))
    except Exception as error:  # each driver raises something of its own
        try:
            tables = inspect(settings.engine).get_table_names()
        except Exception:  # whatever it raises: a database that cannot be looked at does not answer
            return f"it does not answer ({type(error).__name__})"
        return "it is not migrated to this Airflow" if tables else "it is empty (airflow db migrate fills it)"
    return ""


def conn_ids() -> list[str]:
    """Give the ids of all Connections of our type."""
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return sorted(session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)))


def variables(prefixes: tuple[str, ...]) -> dict[str, str]:
    """
    Give the Variables whose names begin with one of some texts; one that cannot be decrypted is empty.

    :param prefixes: the texts
    :raises TikTokStoreError: they cannot be read
    """
    try:
        return _bounded(lambda: _variables(prefixes))
    except Exception as error:  # each driver raises something of its own
        raise TikTokStoreError(
            f"Airflow's Variables cannot be read just now ({type(error).__name__})."
        ) from None


def _variables(prefixes: tuple[str, ...]) -> dict[str, str]:
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import or_, select

    wanted = or_(*(Variable.key.startswith(each, autoescape=True) for each in prefixes))
    with create_session() as session:
        return {row.key: row.val or "" for row in session.scalars(select(Variable).where(wanted))}


def made(
    conn_id: str, *, host: str, port: int | None, login: str, password: str, extra: Mapping[str, Any]
) -> Any:
    """
    Make Airflow's Connection of its parts; nothing is stored.

    :param conn_id: and so on: as Airflow has them; an empty host is none
    """
    from airflow.models import Connection

    return Connection(
        conn_id=conn_id,
        conn_type=CONN_TYPE,
        host=host or None,
        port=port,
        login=login,
        password=password,
        extra=json.dumps(extra),
    )


def store(wanted: Any) -> None:
    """
    Store a Connection: make it, or replace host, login, password and extra of the one that there is.

    :param wanted: Airflow's Connection
    :raises TikTokStoreError: it is not proven that it is kept
    """
    try:
        _bounded(lambda: _write(wanted))
        kept = _bounded(lambda: _read(wanted.conn_id))
    except Exception as error:  # each driver raises something of its own; its text may hold what was written
        raise TikTokStoreError(
            f"Airflow's metadata database did not take Connection {wanted.conn_id} ({type(error).__name__})."
        ) from None
    if kept != wanted.extra_dejson:
        raise TikTokStoreError(
            f"Airflow's metadata database does not give Connection {wanted.conn_id} back as it was stored."
        )


def _write(wanted: Any) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalar(select(Connection).where(Connection.conn_id == wanted.conn_id))
        if row is None:
            row = Connection(conn_id=wanted.conn_id)
            session.add(row)
        row.conn_type, row.host, row.port = CONN_TYPE, wanted.host, wanted.port
        row.login = wanted.login
        row.set_password(wanted.password)
        row.set_extra(wanted.extra)


def _read(conn_id: str) -> dict[str, Any]:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
        return dict(row.extra_dejson) if row is not None else {}


def _bounded(work: Callable[[], T]) -> T:
    """Do something that may hang: a database behind a firewall lets its client wait for minutes."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="airflow-database", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
