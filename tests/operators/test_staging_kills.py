"""A worker that is killed leaves nothing in the bucket after the retry and the sweep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_provider_tiktok.media.hosting import MediaHost
from airflow_provider_tiktok.media.readable import MediaAccess
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.buckets import Bucket

pytestmark = pytest.mark.integration

TASK = """
import sys
from airflow_provider_tiktok import register
from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator
from tests.airflow_tasks import StoredVariables, run

register.Variable = StoredVariables(sys.argv[1])
run(TikTokPublishPhotosOperator(
    task_id="publish", photos=sys.argv[2:], privacy_level="PUBLIC_TO_EVERYONE",
    wait_for_completion=True, poll_interval=1,
))
"""


@pytest.fixture
def environment(tiktok: Sandbox, bucket: Bucket) -> dict[str, str]:
    hosting = {"media_bucket": bucket.name, "media_public_base_url": bucket.url, "media_conn_id": "bucket"}
    connections = {
        "AIRFLOW_CONN_TIKTOK_DEFAULT": tiktok.connection("alice", **hosting),
        "AIRFLOW_CONN_BUCKET": bucket.connection(),
    }
    return {**os.environ, **{name: json.dumps(each) for name, each in connections.items()}}


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (900, 900), (80 * number, 90, 120)).save(path)
    return [str(path) for path in paths]


@contextmanager
def task(environment: dict[str, str], variables: Path, photos: list[str]) -> Iterator[subprocess.Popen[str]]:
    """One try, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", TASK, str(variables), *photos],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(look: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not look():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


def sweep(bucket: Bucket) -> None:
    """As ``airflow-tiktok media sweep`` does a day later."""
    host = MediaHost(bucket.opened(), "", bucket.url, MediaAccess(allow_loopback=True))
    for each in host.leftovers(datetime.now(UTC) + timedelta(days=1)):
        host.sweep(each)


def at_staging(tiktok: Sandbox, bucket: Bucket) -> bool:
    return len(bucket.listed()) >= 1


def before_init(tiktok: Sandbox, bucket: Bucket) -> bool:
    """The init is on its way, and has not been looked at."""
    return any(each.endpoint == "content_init" for each in tiktok.requests) or len(bucket.listed()) == 3


def before_the_note(tiktok: Sandbox, bucket: Bucket) -> bool:
    return bool(tiktok.publishes)


def before_status(tiktok: Sandbox, bucket: Bucket) -> bool:
    return len(bucket.listed()) == 4


@pytest.mark.parametrize("moment", [at_staging, before_init, before_the_note, before_status])
def test_nothing_is_left(
    *,
    tiktok: Sandbox,
    bucket: Bucket,
    environment: dict[str, str],
    photos: list[str],
    moment: Callable[[Sandbox, Bucket], bool],
    tmp_path: Path,
) -> None:
    tiktok.knobs.processing_seconds = 60.0
    if moment is before_init:
        tiktok.fault("content_init", action="delay", when="before", seconds=5.0)
    with task(environment, tmp_path / "variables", photos) as process:
        until(lambda: moment(tiktok, bucket), process)
        process.kill()
    time.sleep(0.5)  # what was on its way to the bucket has arrived
    left = set(bucket.listed())
    assert left, "what the kill has left behind"

    tiktok.clear_faults()
    tiktok.knobs.processing_seconds = 0.0
    with task(environment, tmp_path / "variables", photos) as retry:
        output, _ = retry.communicate(timeout=90)
    if moment in (before_init, before_the_note):  # or between them: nobody can know whether it was posted
        assert retry.returncode == 0 or "TikTokUnconfirmedError" in output, output
    else:
        assert retry.returncode == 0, output
        assert any(each.status == "PUBLISH_COMPLETE" for each in tiktok.publishes)
    assert len(tiktok.publishes) == 1, "posted once, by whichever try"
    if moment is before_status:
        assert bucket.listed() == [], (
            "the retry has seen the end, and taken away what the first try has put there"
        )
    assert set(bucket.listed()) <= left, "the retry has taken away what it has put there"
    sweep(bucket)
    assert bucket.listed() == []
