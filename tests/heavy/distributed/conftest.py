"""One distributed Airflow for all tests here, and the end of all its processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_tiktok.sandbox.bucket import DemoBucket
from tests.airflow_tasks import SAMPLE
from tests.heavy import deployment as whole
from tests.heavy.deployment import Deployment
from tests.heavy.distributed.cluster import DistributedAirflow
from tests.heavy.distributed.redis import Redis
from tests.heavy.publish.kinds import IN_RANGES, put_media

EXAMPLES = SAMPLE.parents[1]
SHOWN = ("tiktok_publish_video", "tiktok_publish_photos", "tiktok_render_then_publish")
#: TikTok's minute, which the accounts' Connections know of.
MINUTE = 20.0


@pytest.fixture(scope="package")
def bucket() -> Iterator[DemoBucket]:
    with DemoBucket() as running:
        yield running


@pytest.fixture(scope="package")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sandbox shows, so that there is something to pull."""
    folder = tmp_path_factory.mktemp("public")
    put_media(folder)
    return folder


@pytest.fixture(scope="package")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DAGs of the demo, of the other heavy tests, and our own, in one folder."""
    folder = tmp_path_factory.mktemp("dags")
    ours = (whole.DAGS / "tiktok_heavy.py", Path(__file__).parent / "dags" / "tiktok_distributed.py")
    for path in (EXAMPLES / "media", *(EXAMPLES / f"{name}.py" for name in SHOWN), *ours):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="package")
def terminable() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does: the fixtures then end what they have begun."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="package")
def distributed(terminable: None, deployed, dags: Path, public: Path) -> Iterator[Deployment]:
    with (
        Redis() as redis,
        deployed(
            airflow=DistributedAirflow,
            claim_write_seconds=4.0,
            dags=dags,
            dag_ids=(*SHOWN, *whole.DAG_IDS, "heavy_publish"),
            settings={"AIRFLOW__CELERY__BROKER_URL": redis.url},
            public_dir=public,
            refuse_chunk_sizes=(IN_RANGES,),
            minute=MINUTE,
            processing_seconds=1.0,
            moderation_seconds=0.5,
        ) as running,
    ):
        yield running


@pytest.fixture
def deployment(distributed: Deployment) -> Deployment:
    """It, with all its components."""
    distributed.airflow.revive()
    return distributed
