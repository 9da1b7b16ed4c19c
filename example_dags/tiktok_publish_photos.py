"""
Publish a photo carousel to TikTok: posted, and as a draft in the creator's inbox.

TikTok pulls photos from a public URL on a domain that is verified with it. So the Connection
``tiktok_default`` needs the extras ``media_bucket`` and ``media_public_base_url``, and, where the worker has
no AWS credentials of its own, ``media_conn_id``. The photos themselves may lie anywhere and be anything that
Pillow opens: of the three here, one has transparent corners, one is right as it is, and one lies on its side,
as phones store them. ``tiktok-sandbox demo`` runs this DAG.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor

MEDIA = Path(__file__).parent / "media"
SAMPLES = [str(MEDIA / name) for name in ("photo_1.png", "photo_2.jpg", "photo_3.jpg")]

with DAG(
    dag_id="tiktok_publish_photos",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "photos": Param(SAMPLES, type="array", description="1 to 35 paths or URIs, in their order."),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:
    # [START photos]
    carousel = TikTokPublishPhotosOperator(
        task_id="carousel",
        photos="{{ params.photos }}",
        title="Three photos from Airflow",
        description="Rendered, checked and posted by a DAG #airflow #dataengineering",
        privacy_level="{{ params.privacy_level }}",
        photo_cover_index=1,
    )
    wait_for_carousel = TikTokPublishStatusSensor(
        task_id="wait_for_carousel",
        publish_id=carousel.output,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
        timeout=6 * 3600,
    )
    # [END photos]

    # [START photo_draft]
    photo_draft = TikTokPublishPhotosOperator(
        task_id="photo_draft",
        photos="{{ params.photos }}",
        title="A draft",
        post_mode="MEDIA_UPLOAD",  # the creator finishes it in the app
        fit="pad",
        aspect_ratio="9:16",
        background="#141034",
        wait_for_completion=True,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    # [END photo_draft]
