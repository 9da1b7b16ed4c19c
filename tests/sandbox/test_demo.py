"""The demo is the first thing a newcomer sees: it is run for real, as a newcomer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration

DEMO = [sys.executable, "-m", "airflow_provider_tiktok.sandbox", "demo"]


def airflow_processes() -> set[int]:
    """
    Every process that calls itself Airflow.

    By its name, since Airflow's servers and workers overwrite their environment when they rename themselves.
    """
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any("airflow" in part for part in process.cmdline()[:3]):
                found.add(process.pid)
    return found


def printed(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.glob("tiktok-demo-*/standalone.log"))


def wait_for(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
    return condition()


def test_demo_publishes_three_ways_and_leaves_nothing_behind(tmp_path):
    before = airflow_processes()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(DEMO, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 3 are really there" in done.stdout
    for publish_id in ("v_pub_file~", "v_pub_url~", "v_inbox_file~"):
        assert publish_id in done.stdout
    assert "https://www.tiktok.com/@creator1/video/" in done.stdout
    assert airflow_processes() <= before
    assert list(tmp_path.glob("tiktok-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_ends_cleanly_on_ctrl_c(tmp_path, number):
    before = airflow_processes()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
        try:
            assert wait_for(lambda: "Uvicorn running on http://127.0.0.1" in printed(tmp_path), 90)
            demo.send_signal(number)
            assert demo.wait(60) == 130
        finally:
            demo.kill()
    assert airflow_processes() <= before
    assert list(tmp_path.glob("tiktok-*")) == []
