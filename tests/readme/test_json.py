"""Every JSON block of the README is read by what it is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from tests.airflow_tasks import publish_connection
from tests.readme.blocks import Block, blocks

JSON = blocks("json")


@pytest.mark.parametrize("block", JSON, ids=str)
def test_it_is_json(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict)


def test_who_reads_them() -> None:
    """Those of media are tried in tests/media/test_hosting.py, the other one below."""
    assert [each.heading for each in JSON] == ["Connection"] + ["Media that TikTok pulls"] * 2


def test_a_file_of_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's file backend reads it, and what comes of that is a Connection that the provider can use."""
    from airflow.secrets.local_filesystem import LocalFilesystemBackend

    path = tmp_path / "connections.json"
    path.write_text(JSON[0].text)
    connection = LocalFilesystemBackend(connections_file_path=str(path)).get_connection("tiktok_default")
    assert connection.conn_type == TikTokHook.conn_type
    publish_connection(monkeypatch, "tiktok_default", json.loads(connection.as_json()))
    assert TikTokHook().account.base_url == "https://open.tiktokapis.com"
