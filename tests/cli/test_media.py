"""``airflow-tiktok media sweep``: what is left behind goes, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import publish_connection, secrets_in
from tests.buckets import KEYS, Bucket
from tests.cli.airflow_database import FakeDatabase

Run = Callable[..., Result]
LEFT = "tiktok/airflow-tiktok/staged/abc/01.jpg"


@pytest.fixture
def stored(airflow_database: FakeDatabase, tiktok: Sandbox, bucket: Bucket) -> Callable[..., None]:
    """Store a TikTok Connection, and the one of its bucket."""

    def store(conn_id: str = "tiktok_default", **extra: Any) -> None:
        hosting = {
            "media_bucket": bucket.name,
            "media_prefix": "tiktok/",
            "media_public_base_url": bucket.url,
            "media_conn_id": "media",
        }
        made = tiktok.connection("alice", **{**hosting, **extra})
        fields = {name: made[name] for name in ("conn_type", "login", "password", "host")}
        airflow_database.put(conn_id, **fields, extra=json.dumps(made["extra"]))
        aws = bucket.connection()
        airflow_database.put("media", **{**aws, "extra": json.dumps(aws["extra"])})

    return store


@pytest.fixture
def left(bucket: Bucket) -> Bucket:
    """A bucket with something of ours and something of theirs."""
    for key in (LEFT, "tiktok/theirs.jpg", "renders/theirs.mp4"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"12345")
    return bucket


def test_what_is_old_enough_goes(run: Run, stored: Callable[..., None], left: Bucket) -> None:
    stored()
    done = run("media", "sweep", "--older-than", "0")
    assert done.exit_code == 0, done.output
    assert f"removed {LEFT} (5 bytes" in done.stdout
    assert left.listed() == ["renders/theirs.mp4", "tiktok/theirs.jpg"]
    assert secrets_in([done.output], KEYS[1]) == []


def test_what_is_younger_than_a_day_stays(run: Run, stored: Callable[..., None], left: Bucket) -> None:
    stored()
    done = run("media", "sweep")
    assert (done.exit_code, LEFT in left.listed()) == (0, True)
    assert "0 left behind in s3://pulled-by-tiktok/tiktok/airflow-tiktok/" in done.stderr


def test_a_dry_run_removes_nothing(run: Run, stored: Callable[..., None], left: Bucket) -> None:
    stored()
    done = run("media", "sweep", "--older-than", "0", "--dry-run")
    assert f"would remove {LEFT}" in done.stdout
    assert LEFT in left.listed()


def test_accounts_that_share_a_bucket_are_swept_once(
    run: Run, stored: Callable[..., None], left: Bucket
) -> None:
    stored("one")
    stored("two")
    stored("three", media_bucket="")
    done = run("media", "sweep", "--older-than", "0", "--dry-run")
    assert done.stdout.count(LEFT) == 1


def test_buckets_of_one_name_in_two_stores(
    run: Run, stored: Callable[..., None], left: Bucket, airflow_database: FakeDatabase
) -> None:
    """And a store that cannot be swept keeps nobody from the other."""
    stored("one", media_conn_id="away")
    stored("two")
    aws = {**left.connection(), "extra": json.dumps({"endpoint_url": "http://127.0.0.1:9"})}
    airflow_database.put("away", **aws)
    done = run("media", "sweep", "--older-than", "0")
    assert (done.exit_code, "one: " in done.stderr) == (1, True)
    assert LEFT not in left.listed()


def test_connections_of_the_environment(
    run: Run,
    tiktok: Sandbox,
    left: Bucket,
    airflow_database: FakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_connection(monkeypatch, "media", left.connection())
    hosting = {"media_bucket": left.name, "media_prefix": "tiktok", "media_public_base_url": left.url}
    publish_connection(monkeypatch, "mine", tiktok.connection("alice", media_conn_id="media", **hosting))
    assert run("media", "sweep", "--conn-id", "mine", "--older-than", "0").exit_code == 0
    assert LEFT not in left.listed()


@pytest.mark.parametrize(
    ("arguments", "extra", "code", "says"),
    [
        ([], {"media_bucket": ""}, 0, "names a media_bucket: there is nothing to sweep"),
        (["--conn-id", "tiktok_default"], {"media_bucket": ""}, 0, "its Connection names no media_bucket"),
        (["--conn-id", "none"], {}, 1, "There is no Connection none of type tiktok"),
        ([], {"media_conn_id": "none"}, 1, "There is no Connection none, which media_conn_id names"),
        ([], {"media_bucket": "gone"}, 1, "no such bucket"),
    ],
)
def test_what_cannot_be_swept_is_told(
    *,
    run: Run,
    stored: Callable[..., None],
    arguments: list[str],
    extra: dict[str, Any],
    code: int,
    says: str,
) -> None:
    stored(**extra)
    done = run("media", "sweep", *arguments)
    assert (done.exit_code, says in done.stderr) == (code, True), done.output


def test_a_database_that_cannot_be_used(
    run: Run, stored: Callable[..., None], airflow_database: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell which accounts there are, so it has not been done."""
    from airflow_provider_tiktok.cli import database

    monkeypatch.setattr(database, "fault", lambda: "it is away")
    done = run("media", "sweep")
    assert done.exit_code == 1
    assert "it is away" in done.stderr
