"""One Airflow for the kill matrix; its sandbox shows the media that TikTok pulls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.heavy.publish.kinds import KNOBS, Media, put_media
from tests.heavy.publish.matrix import DAG_ID, Matrix

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="package")
def matrix(deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    public = tmp_path_factory.mktemp("public")
    put_media(public)
    options = {"dags": DAGS, "dag_ids": (DAG_ID,), "public_dir": public, **KNOBS}
    with deployed(claim_write_seconds=2.0, **options) as running:
        media = Media(public, f"{running.sandbox.url}/public/")
        yield Matrix(running, media, tmp_path_factory.mktemp("journals"))
