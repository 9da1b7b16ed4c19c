"""One Airflow for the kill matrix; its sandbox shows the media that TikTok pulls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.heavy.postgres import Postgres
from tests.heavy.publish.bench import Bench
from tests.heavy.publish.kinds import KNOBS, Media, put_media
from tests.heavy.publish.matrix import DAG_ID, Matrix
from tests.heavy.publish.processes import Nursery

DAGS = Path(__file__).parent / "dags"
DATABASE = "side_by_side"


@pytest.fixture(scope="package")
def matrix(deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    public = tmp_path_factory.mktemp("public")
    put_media(public)
    # with more tasks at a time, Airflow's API is too slow on a small machine for a claim's looks
    options = {"dags": DAGS, "dag_ids": (DAG_ID,), "parallelism": 10, "public_dir": public, **KNOBS}
    with deployed(claim_write_seconds=6.0, **options) as running:
        media = Media(public, f"{running.sandbox.url}/public/")
        yield Matrix(running, media, tmp_path_factory.mktemp("journals"))


@pytest.fixture(scope="package")
def bench(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Processes over a database of their own; no Airflow runs."""
    public = tmp_path_factory.mktemp("public")
    put_media(public)
    postgres.create(DATABASE)
    environment = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(DATABASE),
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS": "1.0",  # of the grant's; a publish's stands in claims.py
    }
    try:
        with Sandbox(public_dir=public, **KNOBS) as sandbox, Nursery(environment) as nursery:
            media = Media(public, f"{sandbox.url}/public/")
            yield Bench(nursery, sandbox, media, tmp_path_factory.mktemp("journals"))
    finally:
        postgres.drop(DATABASE)
