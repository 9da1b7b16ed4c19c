"""The example DAGs: they parse, say what they show, and show every operator and sensor there is."""

from __future__ import annotations

import ast
import inspect
import json
import runpy
import socket
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.hooks.tiktok import TikTokHook

FOLDER = Path(__file__).parents[1] / "example_dags"
FILES = sorted(FOLDER.glob("*.py"))
STARTED_BY_ASSETS = {"tiktok_when_live_next"}


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 2
        from airflow.models.dagbag import DagBag
    # each file alone: a bag of the folder would want a database for its own bookkeeping in some versions
    found: dict[str, Any] = {}
    for path in FILES:
        bag = DagBag(dag_folder=str(path), **_without_examples(DagBag))
        assert bag.import_errors == {}
        found |= bag.dags
    return found


def _without_examples(bag: Any) -> dict[str, bool]:
    return {"include_examples": False} if "include_examples" in inspect.signature(bag).parameters else {}


def test_there_are_some() -> None:
    assert FILES


def test_one_dag_a_file(dags: dict[str, Any]) -> None:
    """But for what another one's end starts."""
    assert sorted(dags) == sorted([*(path.stem for path in FILES), *STARTED_BY_ASSETS])


def test_they_can_be_serialised(dags: dict[str, Any]) -> None:
    """As the DAG processor does: only then does Airflow know them."""
    from airflow.serialization import serialized_objects as module

    serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG
    for dag in dags.values():
        assert dag.dag_id in json.dumps(serialization.to_dict(dag))


def test_they_say_what_they_show(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert {"tiktok", "example"} <= set(dag.tags)
        assert len(dag.doc_md) > 100
        assert dag.catchup is False


def test_nothing_posts_by_itself(dags: dict[str, Any]) -> None:
    """Somebody's real account may be behind the Connection."""
    scheduled = {name for name, dag in dags.items() if type(dag.timetable).__name__ != "NullTimetable"}
    for name in STARTED_BY_ASSETS:
        assert not any(hasattr(task, "tiktok_conn_id") for task in dags[name].tasks)
        scheduled.remove(name)
    assert scheduled == {"tiktok_keep_accounts_fresh", "tiktok_backfill_dates"}
    assert all(dags[name].is_paused_upon_creation for name in scheduled)


def test_they_show_every_operator_and_sensor(dags: dict[str, Any]) -> None:
    from airflow_provider_tiktok.operators import tiktok as operators
    from airflow_provider_tiktok.sensors import tiktok as sensors

    shown = {task.task_type for dag in dags.values() for task in dag.tasks}
    there = {
        name
        for module in (operators, sensors)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert there <= shown


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_parsing_asks_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network and no Connection while a DAG file is parsed."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("asked somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(TikTokHook, "get_connection", refuse)
    runpy.run_path(str(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_they_import_what_lasts(path: Path) -> None:
    """Only names that are the same in every Airflow that this provider runs in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow."):
            assert node.module == "airflow.providers.common.compat.sdk"


def test_the_sample_is_a_video_that_tiktok_takes() -> None:
    pytest.importorskip("av")
    from airflow_provider_tiktok.media.header import read_facts
    from airflow_provider_tiktok.media.judgement import check_facts
    from airflow_provider_tiktok.media.local import LocalFile

    with LocalFile(str(FOLDER / "media" / "sample.mp4")) as source:
        facts = read_facts(source)
        assert facts
        assert (facts.container, facts.codec) == ("MP4", "h264")
        assert facts.duration == pytest.approx(5.0, abs=0.1)
        check_facts(source.name, facts)
        assert source.size < 1_000_000


def test_one_of_the_photos_is_right_as_it_is(tmp_path: Path) -> None:
    """The others show what is done to a photo."""
    from airflow_provider_tiktok.media.carousel import prepare_pictures
    from airflow_provider_tiktok.media.local import LocalFile

    photos = sorted(str(path) for path in (FOLDER / "media").glob("photo_*"))
    changes = [each.changes for each in prepare_pictures(photos, LocalFile, tmp_path)]
    assert [bool(each) for each in changes] == [True, False, True]
