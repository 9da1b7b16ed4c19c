"""
Render a video, put it into object storage, publish it to TikTok, and remove it.

The frames are drawn with Pillow and encoded with PyAV (``pip install "airflow-provider-tiktok[video]"``). The
bucket is reached with the ``aws`` Connection that the param ``media_conn_id`` names, as any ``s3://`` video
is. The file is removed whatever becomes of the post: removing it is the render's teardown.
``tiktok-sandbox demo`` runs this DAG.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseHook, Param, task

from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator

WIDTH, HEIGHT, FRAMES_PER_SECOND, SECONDS = 540, 960, 24, 3


def draw(text: str, share: float) -> Any:
    """Draw one frame: the text on a colour that goes round, above a bar that fills up."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("HSV", (WIDTH, HEIGHT), (int(255 * share), 140, 120)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    size = 44 + 6 * math.sin(2 * math.pi * share)
    pen.text((WIDTH / 2, HEIGHT / 2), text, font=ImageFont.load_default(size), fill="white", anchor="mm")
    pen.rounded_rectangle((60, 840, 60 + 420 * share, 860), 10, fill="white")
    return picture


def encode(text: str, path: Path) -> None:
    """Write the video: H.264 in MP4."""
    import av

    count = FRAMES_PER_SECOND * SECONDS
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_image(draw(text, number / (count - 1)))))
        container.mux(stream.encode(None))


def store(conn_id: str) -> Any:
    """Make an S3 client of an ``aws`` Connection."""
    import boto3

    connection = BaseHook.get_connection(conn_id)
    return boto3.client(
        "s3",
        aws_access_key_id=connection.login,
        aws_secret_access_key=connection.password,
        endpoint_url=connection.extra_dejson.get("endpoint_url"),
        region_name=connection.extra_dejson.get("region_name"),
    )


with DAG(
    dag_id="tiktok_render_then_publish",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={
        "text": Param("rendered by a DAG", type="string"),
        "bucket": Param("my-media", type="string", description="Where the video lies meanwhile."),
        "media_conn_id": Param("tiktok_media", type="string", description="Connection of type aws."),
        "privacy_level": Param("PUBLIC_TO_EVERYONE", type="string"),
        "poll_interval": Param(30, type="number", description="Longest pause between two looks, in seconds."),
    },
) as dag:

    @task(multiple_outputs=True)
    def render(params: dict[str, Any], run_id: str) -> dict[str, str]:
        """Render the video into the bucket; gives its URI, and what it is, byte for byte."""
        key = f"renders/{hashlib.sha256(run_id.encode()).hexdigest()[:16]}.mp4"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "render.mp4"
            encode(params["text"], path)
            store(params["media_conn_id"]).upload_file(str(path), params["bucket"], key)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return {"uri": f"s3://{params['bucket']}/{key}", "sha256": digest}

    @task
    def remove(uri: str, params: dict[str, Any]) -> None:
        """Remove it; that it is gone already is fine, so that this can be repeated."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        store(params["media_conn_id"]).delete_object(Bucket=bucket, Key=key)

    # [START render]
    rendered = render()
    publish_render = TikTokPublishVideoOperator(
        task_id="publish_render",
        video=rendered["uri"],
        title="{{ params.text }} #airflow",
        privacy_level="{{ params.privacy_level }}",
        wait_for_completion=True,
        deferrable=True,
        poll_interval="{{ params.poll_interval }}",
    )
    publish_render >> remove(rendered["uri"]).as_teardown(setups=rendered)
    # [END render]
