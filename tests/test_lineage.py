"""Lineage: what OpenLineage's provider gets from an operator, and that nothing is needed where it is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.lineage import dataset_name, posted_lineage
from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator, TikTokPublishVideoOperator
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import FakeClock, run

POSTED = {
    "publish_id": "v_pub_file~1",
    "status": "PUBLISH_COMPLETE",
    "post_ids": ["7"],
    "post_url": "https://www.tiktok.com/@alice/video/7",
}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/data/clip.mp4", ("file", "/data/clip.mp4")),
        ("file:///data/clip.mp4", ("file", "/data/clip.mp4")),
        ("clip.mp4", ("file", "clip.mp4")),
        ("s3://renders/2026/clip.mp4", ("s3://renders", "2026/clip.mp4")),
        ("gs://renders/clip.mp4", ("gs://renders", "clip.mp4")),
        ("https://cdn.example.com/a/clip.mp4", ("https://cdn.example.com", "/a/clip.mp4")),
        ("https://cdn.example.com:8443", ("https://cdn.example.com:8443", "/")),
        ("https://me:pass@cdn.example.com/c.mp4?X-Amz-Signature=s#f", ("https://cdn.example.com", "/c.mp4")),
        ("s3://aws_default@renders/clip.mp4", ("s3://renders", "clip.mp4")),
    ],
)
def test_names_files_as_openlineage_does_and_without_secrets(uri: str, expected: tuple[str, str]) -> None:
    assert dataset_name(uri) == expected


class TestWhereItIsInstalled:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("airflow.providers.openlineage")

    def test_media_are_inputs_and_the_publish_is_the_output(self) -> None:
        from openlineage.client.serde import Serde

        lineage = posted_lineage(["s3://renders/clip.mp4"], POSTED)
        assert lineage is not None
        told = Serde.to_dict(lineage.outputs[0])
        (symlink,) = told["facets"]["symlinks"]["identifiers"]
        assert [(each.namespace, each.name) for each in lineage.inputs] == [("s3://renders", "clip.mp4")]
        assert (told["namespace"], told["name"]) == ("tiktok", "v_pub_file~1")
        assert (symlink["namespace"], symlink["name"]) == ("https://www.tiktok.com", "/@alice/video/7")

    def test_no_address_no_second_name(self) -> None:
        lineage = posted_lineage(["clip.mp4"], {"publish_id": "v_inbox_file~1"})
        assert lineage is not None
        assert not lineage.outputs[0].facets

    @pytest.mark.parametrize("options", [{}, {"wait_for_completion": True}])
    def test_airflows_own_extractor_finds_it(
        self,
        *,
        tiktok: Sandbox,
        connect: Callable[..., Any],
        clock: FakeClock,
        video: Path,
        options: dict[str, Any],
    ) -> None:
        from airflow.providers.openlineage.extractors.base import DefaultExtractor

        connect()
        task = TikTokPublishVideoOperator(
            task_id="t", video=str(video), privacy_level="PUBLIC_TO_EVERYONE", **options
        )
        publish_id = run(task)
        found = DefaultExtractor(task).extract_on_complete(task_instance=None)
        assert found is not None
        assert [each.name for each in found.inputs] == [str(video)]
        assert [each.name for each in found.outputs] == [publish_id]
        assert bool(found.outputs[0].facets) == bool(options)

    def test_a_dry_run_posts_nothing(self, tiktok: Sandbox, connect: Callable[..., Any], video: Path) -> None:
        connect()
        task = TikTokPublishVideoOperator(
            task_id="t", video=str(video), privacy_level="PUBLIC_TO_EVERYONE", dry_run=True
        )
        run(task)
        assert task.get_openlineage_facets_on_complete(None) is None

    @pytest.mark.parametrize("photos", [["a.png", "s3://b/c.jpg"], "['a.png', 's3://b/c.jpg']"])
    def test_all_photos_are_inputs(self, photos: Any) -> None:
        task = TikTokPublishPhotosOperator(task_id="t", photos=photos)
        task.posted = {"publish_id": "p_pub_url~1"}
        lineage = task.get_openlineage_facets_on_complete(None)
        assert [each.name for each in lineage.inputs] == ["a.png", "c.jpg"]


def test_where_it_is_not_installed_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert posted_lineage(["clip.mp4"], POSTED) is None
