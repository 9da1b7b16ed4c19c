"""The README's shell blocks, run by a shell as printed, against a local TikTok and a real Airflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.cli.program import environment
from tests.readme.blocks import README, Block, blocks

BASH = blocks("bash")
#: Lines that are not run here, and why; every other line of the README is.
NOT_RUN = {
    r"pip install (airflow-provider-tiktok|'airflow-provider-tiktok\[\w+\]')": "needs a package index; "
    "tests/test_wheel.py sees that the wheel has these extras",
    r"pip install uv && uv run tiktok-sandbox demo": "tests/sandbox/test_demo.py runs the demo",
    r"pip install uv && uv run pytest": "that is this test run",
    r"tiktok-sandbox serve": "stays open; tests/sandbox/test_commands.py runs it, and here one runs already",
}
#: What is different here, and why.
DIFFERENT = {
    # the port that is free
    r"http://127\.0\.0\.1:8765": "{tiktok}",
    # TikTok itself cannot be asked
    r"airflow-tiktok login$": "airflow-tiktok login --host {tiktok}",
    # somebody says yes
    r"airflow-tiktok revoke": "airflow-tiktok revoke --yes",
    # only in a wheel the examples are a part of the package; tests/test_wheel.py runs what is printed
    r"\$\(python -c 'import airflow_provider_tiktok\.example_dags.*'\)": str(README.parent / "example_dags"),
    # a file of this test
    r"/etc/airflow/connections\.json": "{folder}/connections.json",
}
#: What is done after the lines that were run, by the heading that they stand under.
AFTERWARDS = {"Connection": "airflow-tiktok status --offline --json --conn-id tiktok_default || true"}


def _lines(block: Block) -> list[str]:
    """Give the commands of a block, without what explains them."""
    lines = [re.sub(r"\s+# .*", "", each) for each in block.text.splitlines()]
    return [each for each in lines if each and not any(re.fullmatch(known, each) for known in NOT_RUN)]


RUN = [each for each in BASH if _lines(each)]


def test_nothing_is_left_out_that_is_not_printed() -> None:
    """A list that grows stale would hide what it once named."""
    printed = [re.sub(r"\s+# .*", "", line) for block in BASH for line in block.text.splitlines()]
    for known in NOT_RUN:
        assert any(re.fullmatch(known, each) for each in printed), known
    for known in DIFFERENT:
        assert any(re.search(known, each) for each in printed), known
    assert AFTERWARDS.keys() <= {each.heading for each in RUN}
    assert len(RUN) >= 5


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.knobs.update({"processing_seconds": 0.0, "moderation_seconds": 0.0})
        yield running


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """A PATH with this environment's programs, and a browser in which a creator presses Allow."""
    folder = tmp_path / "bin"
    folder.mkdir()
    browser = folder / "browser"
    code = "import sys, httpx; from tests.cli.browser import decide; httpx.get(decide(sys.argv[1]))"
    browser.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$1\"\n")
    browser.chmod(0o755)
    return os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.mark.integration
@pytest.mark.parametrize("block", RUN, ids=str)
def test_block(block: Block, sandbox: Sandbox, home: Path, programs: str, tmp_path: Path) -> None:
    (connections,) = (each for each in blocks("json") if each.heading == "Connection")
    (tmp_path / "connections.json").write_text(connections.text)
    lines = [*_lines(block), AFTERWARDS.get(block.heading, "true")]
    for known, other in DIFFERENT.items():
        here = other.format(tiktok=sandbox.url, folder=tmp_path)
        lines = [re.sub(known, here.replace("\\", r"\\"), each) for each in lines]
    more = {"PATH": programs, "BROWSER": "browser", "PYTHONPATH": str(README.parent)}
    more |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "TIKTOK_CLIENT_KEY": sandbox.knobs.client_key}
    more |= {"TIKTOK_CLIENT_SECRET": sandbox.knobs.client_secret}
    posts = len(sandbox.posts)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "\n".join(lines)],
        env=environment(home) | more,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    if block.heading == "Quick start":
        assert len(sandbox.posts) == posts + 1, told
    if block.heading == "Connect an account":
        assert "TikTok has taken the permission away" in told
    if block.heading == "Connection":
        (account,) = json.loads(done.stdout[done.stdout.index('{\n  "accounts"') :])["accounts"]
        assert (account["conn_id"], account["host"]) == ("tiktok_default", "https://open.tiktokapis.com")
