"""Stands for Airflow's metadata database in tests of one process: Connections in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.cli import database
from airflow_provider_tiktok.exceptions import TikTokStoreError


class FakeDatabase:
    """``rows`` are Airflow Connections by their id; ``why`` it cannot be used; ``breaks`` when written to."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.why = ""
        self.breaks: BaseException | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("configure", "missing_file", "fault", "conn_ids", "store"):
            monkeypatch.setattr(database, name, getattr(self, name))
        from airflow.secrets.metastore import MetastoreBackend

        monkeypatch.setattr(
            MetastoreBackend, "get_connection", lambda _, conn_id, **__: self.rows.get(conn_id)
        )

    def configure(self) -> None:
        pass

    def missing_file(self) -> Path | None:
        return None

    def fault(self) -> str:
        return self.why

    def conn_ids(self) -> list[str]:
        return sorted(name for name, row in self.rows.items() if row.conn_type == database.CONN_TYPE)

    def store(self, wanted: Any) -> None:
        if self.breaks is not None:
            raise self.breaks
        if self.why:
            raise TikTokStoreError("there is no database")
        self.rows[wanted.conn_id] = wanted

    def put(self, conn_id: str, **fields: Any) -> None:
        from airflow.models.connection import Connection

        self.rows[conn_id] = Connection(conn_id=conn_id, **fields)

    def extra(self, conn_id: str = "tiktok_default") -> dict[str, Any]:
        return dict(self.rows[conn_id].extra_dejson)
