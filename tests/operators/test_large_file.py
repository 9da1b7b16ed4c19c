"""A large file is streamed: a worker that has 200 MB to publish does not need 200 MB."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from airflow_provider_tiktok.sandbox.server import Sandbox

pytestmark = pytest.mark.integration

MEGABYTE = 1024 * 1024
SIZE = 200 * MEGABYTE
SAMPLE = Path(__file__).parents[2] / "example_dags" / "media" / "sample.mp4"
KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "example"}

WORKER = """
import pathlib, sys
from airflow_provider_tiktok.operators.tiktok import TikTokPublishVideoOperator
from airflow_provider_tiktok import register

class Variables(dict):
    get = dict.__getitem__
    set = dict.__setitem__
    delete = dict.__delitem__
    keys = None  # only Airflow 3.3's Variables can be listed

register.Variable = Variables()

def megabytes(name):  # not ru_maxrss, which a child inherits from the process that started it
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024

idle = megabytes("VmRSS")
operator = TikTokPublishVideoOperator(task_id="t", video=sys.argv[1], privacy_level="SELF_ONLY")
publish_id = operator.execute({})
print(publish_id, megabytes("VmHWM") - idle)
"""


@pytest.fixture(scope="module")
def large_video(tmp_path_factory) -> Path:
    """A real MP4 with incompressible padding behind it: a box of the type ``free``, as the format allows."""
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    real = SAMPLE.read_bytes()
    with path.open("wb") as file:
        file.write(real)
        file.write((SIZE - len(real)).to_bytes(4, "big") + b"free")
        while (missing := SIZE - file.tell()) > 0:
            file.write(os.urandom(min(missing, MEGABYTE)))
    return path


@pytest.fixture(scope="module")
def bucket(large_video):
    """An S3-compatible store that has the video, and the connection to it."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
        client.create_bucket(Bucket="renders")
        client.upload_file(str(large_video), "renders", "large.mp4")
        yield json.dumps(
            {
                "conn_type": "aws",
                "login": KEYS["aws_access_key_id"],
                "password": KEYS["aws_secret_access_key"],
                "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
            }
        )
    finally:
        server.stop()


@pytest.mark.parametrize("where", ["path", "s3"])
def test_200_mb_arrive_byte_for_byte_in_little_memory(where, large_video, bucket, tmp_path):
    uri = str(large_video) if where == "path" else "s3://renders/large.mp4"
    with Sandbox() as sandbox:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW_CONN_TIKTOK_DEFAULT": json.dumps(sandbox.connection("creator1", media_conn_id="store")),
            "AIRFLOW_CONN_STORE": bucket,
        }
        worker = [sys.executable, "-c", WORKER, uri]
        done = subprocess.run(
            worker, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        publish_id, grown = done.stdout.split()[-2:]
        publish = next(each for each in sandbox.publishes if each.publish_id == publish_id)
        with large_video.open("rb") as file:
            assert publish.sha256 == [hashlib.file_digest(file, "sha256").hexdigest()]
    print(f"200 MB from {where}: {grown} MB above the idle worker")
    assert int(grown) < 150
