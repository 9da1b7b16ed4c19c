"""
Publish one video to TikTok three ways: uploaded, pulled by TikTok, and as a draft.

Needs a Connection ``tiktok_default`` of type ``tiktok``. ``tiktok-sandbox demo`` runs this DAG in a real
Airflow against a local TikTok; against TikTok itself, set the params ``video`` to a file of yours, and
``video_url`` to its address on a domain that is verified with TikTok.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok.sensors.tiktok import TikTokPublishStatusSensor

SAMPLE = Path(__file__).parent / "media" / "sample.mp4"

with DAG(
    dag_id="tiktok_publish_video",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "video": Param(str(SAMPLE), type="string", description="Path or URI of the video."),
        "video_url": Param(
            "https://media.example.com/sample.mp4", type="string", description="Where TikTok can fetch it."
        ),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:
    # [START upload]
    upload = TikTokPublishVideoOperator(
        task_id="upload",
        video="{{ params.video }}",
        title="Uploaded by Airflow #airflow #dataengineering",
        privacy_level="{{ params.privacy_level }}",
        is_aigc=False,
    )
    wait_for_upload = TikTokPublishStatusSensor(
        task_id="wait_for_upload",
        publish_id=upload.output,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
        timeout=6 * 3600,
    )
    # [END upload]

    # [START pull]
    pull = TikTokPublishVideoOperator(
        task_id="pull",
        video="{{ params.video_url }}",
        source="PULL_FROM_URL",
        title="Pulled by TikTok 🎬 #airflow",
        privacy_level="{{ params.privacy_level }}",
        wait_for_completion=True,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    # [END pull]

    # [START draft]
    draft = TikTokPublishVideoOperator(
        task_id="draft",
        video="{{ params.video }}",
        post_mode="MEDIA_UPLOAD",  # the creator finishes it in the app; needs no audit of your TikTok app
        wait_for_completion=True,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    # [END draft]
