"""The project's own rules about itself: exceptions are explained, and tools need no network."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "pyproject.toml"
HOOKS = ROOT / ".pre-commit-config.yaml"
PACKAGE = ROOT / "airflow_provider_tiktok"
#: Where the wheel is what is tested, there is no checkout to look at.
pytestmark = pytest.mark.skipif(not HOOKS.exists(), reason="there is no checkout")

LONGEST = 400
_EXCEPTION = re.compile(r"#\s*(?:noqa|type: ignore|pragma: no cover)")
_WITH_CODE = re.compile(r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[\w, -]+\])")


def test_every_rule_that_is_off_says_why() -> None:
    text = PROJECT.read_text()
    (ignored,) = re.findall(r"^ignore = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    for line in ignored.splitlines():
        assert re.fullmatch(r' +"[A-Z]+\d+", +# .{10,}', line), line
    (files,) = re.findall(r"per-file-ignores\]\n(.*?)\n\n", text + "\n\n", re.DOTALL)
    for before, line in pairwise(["", *files.splitlines()]):
        assert line.startswith("#") or before.startswith("#"), line


def test_every_exception_names_its_rule() -> None:
    """A bare one would hide what comes later."""
    for path in (
        *PACKAGE.rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "example_dags").glob("*.py"),
    ):
        if path != Path(__file__):
            for line in path.read_text().splitlines():
                assert not _EXCEPTION.search(line) or _WITH_CODE.search(line), f"{path}: {line.strip()}"


def test_no_module_is_long() -> None:
    """Outside the sandbox, which is a program of its own."""
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_hooks_need_no_network() -> None:
    """But for what is asked for by hand."""
    config = yaml.safe_load(HOOKS.read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    by_hand = [hook["id"] for hook in hooks if hook.get("stages") == ["manual"]]
    assert by_hand == ["pip-audit"]
    for hook in hooks:
        assert hook["entry"].startswith("uv run --no-sync ")
        assert "--with" not in hook["entry"] or hook["id"] in by_hand


def test_hooks_are_what_ci_checks() -> None:
    """What passes here must not fail there."""
    entries = HOOKS.read_text()
    ci = (ROOT / ".ci" / "run").read_text()
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f"uv run --no-sync {tool}" in entries
        assert f"uv run {tool}" in ci


def test_coverage_is_measured_in_branches() -> None:
    coverage = tomllib.loads(PROJECT.read_text())["tool"]["coverage"]
    assert coverage["run"]["branch"] is True
    assert coverage["run"]["source"] == ["airflow_provider_tiktok"]
    assert coverage["report"]["fail_under"] >= 95
    assert "omit" not in coverage["run"]
    left_out = {Path(each).name for each in coverage["report"]["omit"]}
    assert left_out == {"bucket.py", "demo.py", "standalone.py"}, "what only the demo runs, and nothing else"
