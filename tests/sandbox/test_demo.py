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


def processes_of(folder: Path) -> list[str]:
    """
    Every process that was begun in a folder, as the demo is here: another test may run an Airflow, too.

    By its folder, since Airflow's servers and workers overwrite their environment when they take a new name.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == folder:
                found.append(" ".join(process.cmdline()))
    return found


def printed(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.glob("tiktok-demo-*/standalone.log"))


def wait_for(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
    return condition()


def test_demo_publishes_in_every_way_and_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        DEMO, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=550, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 6 are really there" in done.stdout
    assert "nothing is left in the bucket" in done.stdout
    for publish_id in ("v_pub_file~", "v_pub_url~", "v_inbox_file~", "p_pub_url~"):
        assert publish_id in done.stdout
    assert "https://www.tiktok.com/@creator1/video/" in done.stdout
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("tiktok-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_ends_cleanly_on_ctrl_c(tmp_path, number):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        DEMO, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        try:
            assert wait_for(lambda: "Uvicorn running on http://127.0.0.1" in printed(tmp_path), 90)
            assert len(processes_of(tmp_path)) > 4, "the search finds Airflow's"
            demo.send_signal(number)
            assert demo.wait(60) == 130
        finally:
            demo.kill()
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("tiktok-*")) == []
