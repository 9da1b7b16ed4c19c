"""
Every Airflow on every Python, each from the built wheel in a fresh environment, outside the checkout.

``uv run nox -f tests/matrix/noxfile.py`` runs all cells and prints a table; ``-s tests-3.0.6-3.12`` runs one,
``-s tests-3.0.6-3.12 -- --all`` with every test but the heavy ones, and ``-s demo-3.0.6`` has a real Airflow
publish everything that the example DAGs show.
"""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import nox
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Airflow:
    """
    A release of Airflow.

    :param version: of it
    :param pythons: that it runs on, of those that we support
    :param until: the day after its release: a plain install takes what has been released since, which breaks
        the old ones (3.0.6 with a PyJWT of 2026: "Issuer must be a string"). Empty = today's packages, which
        the newest has to bear, and the oldest does
    """

    version: str
    pythons: tuple[str, ...] = PYTHONS
    until: str = ""


AIRFLOWS = (
    Airflow("2.11.2", PYTHONS[:2]),
    Airflow("3.0.6", PYTHONS[:2], until="2025-08-30"),
    Airflow("3.1.8", until="2026-03-12"),
    Airflow("3.2.2", until="2026-05-30"),
    Airflow("3.3.2"),
)
#: Not taken from that time: one that we need newer than some of these Airflows, and PyAV, whose older
#: releases tell less of a video.
NEVER_OLD = ("apache-airflow-providers-common-compat", "av")
TESTING = (
    "hypothesis",
    "jsonschema",
    "moto[s3,server]",
    "pytest",
    "pytest-asyncio",
    "pytest-xdist",
    "time-machine",
)
#: What depends on Airflow or Python. TikTok's protocol, the media and the sandbox do not, and the claim's
#: simulation is pure logic: once, by the README's test command, is enough for them.
TESTS = (
    *("tests/auth", "tests/cli", "tests/hooks", "tests/matrix", "tests/operators", "tests/publishing"),
    *("tests/sensors", "tests/triggers", "tests/test_backfill_queue.py", "tests/test_example_dags.py"),
    *("tests/test_exceptions.py", "tests/test_imports.py", "tests/test_provider_info.py"),
    *("tests/test_register.py", "tests/test_secrets.py"),
)
DEMO_PYTHON = "3.11"
#: What pytest ends with.
SUMMARY = re.compile(r"\d+ (passed|failed|error).* in [\d.]+s")

nox.options.default_venv_backend = "uv"
nox.options.envdir = str(ROOT / ".nox")
nox.options.sessions = [f"tests-{each.version}-{python}" for each in AIRFLOWS for python in each.pythons]


@dataclass
class Cell:
    """What came of one Airflow on one Python."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    said: str = ""

    def __str__(self) -> str:
        if self.said:
            return self.said
        colour = "red" if self.failed or not self.passed else "green"
        return f"[{colour}]{self.passed} passed, {self.failed} failed[/], {self.seconds:.0f} s"


@dataclass
class Matrix:
    """What came of all that was asked for."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    def print(self) -> None:
        """Print a row for each Airflow and a column for each Python."""
        if not self.cells:
            return
        table = Table("Airflow", *(f"Python {each}" for each in PYTHONS), title="The wheel")
        for airflow in AIRFLOWS:
            table.add_row(airflow.version, *(str(self._cell(airflow, each)) for each in PYTHONS))
        Console(width=110).print(table)

    def _cell(self, airflow: Airflow, python: str) -> Cell | str:
        unasked = "" if python in airflow.pythons else "[dim]unsupported[/]"
        return self.cells.get((airflow.version, python), unasked)


MATRIX = Matrix()
atexit.register(MATRIX.print)  # nox has nothing that runs when all sessions have


@cache
def work() -> Path:
    """Give a folder outside the checkout with the wheel, the tests, and what they look at."""
    folder = Path(tempfile.mkdtemp(prefix="tiktok-matrix-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", folder / "dist", ROOT], check=True)
    for name in ("tests", "example_dags"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".nox"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@cache
def interpreter(python: str) -> str:
    """Find a Python: where uv does, or one of pyenv's that is not the current one; empty = not installed."""
    for command in (
        ["uv", "python", "find", "--no-python-downloads", python],
        ["pyenv", "prefix", python],
    ):
        if shutil.which(command[0]) is None:
            continue
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        path = Path(found.stdout.strip())
        if found.returncode == 0:
            return str(path if path.is_file() else path / "bin" / "python")
    return ""


def install(session: nox.Session, airflow: Airflow) -> None:
    """Install the wheel with an Airflow, as it was when that was released."""
    cut = []
    if airflow.until:
        cut = ["--exclude-newer", f"{airflow.until}T00:00:00Z"]
        cut += [f"--exclude-newer-package={name}=false" for name in NEVER_OLD]
    (wheel,) = (work() / "dist").glob("*.whl")
    session.install(*cut, f"apache-airflow=={airflow.version}", f"{wheel}[sandbox,video]", *TESTING)


def run_tests(session: nox.Session, airflow: Airflow, python: str) -> None:
    """Run the tests against the installed wheel; with ``-- --all`` every one but the heavy."""
    cell = MATRIX.cells[airflow.version, python] = Cell(said="[red]not installed with Airflow[/]")
    if not interpreter(python):
        cell.said = "[yellow]no such Python here[/]"
        session.skip(f"Python {python} is not installed")
    install(session, airflow)
    given = list(session.posargs)
    tests = [] if "--all" in given else TESTS
    more = [each for each in given if each != "--all"]
    session.chdir(work())
    began = time.monotonic()
    cell.said = "[red]no tests ran[/]"
    log = work() / f"{session.name}.log"
    with log.open("w") as output:
        session.run(
            *("python", "-m", "pytest", "-p", "no:cacheprovider", "-m", "not integration and not heavy"),
            *("-q", "-n", "3", *more, *tests),
            env={"TIKTOK_MATRIX_CELL": f"{airflow.version} {python}"},
            stdout=output,
            success_codes=[0, 1],
        )
    lines = log.read_text(errors="replace").splitlines()
    # the last of its kind: Airflow 3.1 logs some more at its end
    summary = next((each for each in reversed(lines) if SUMMARY.search(each)), lines[-1])
    found = {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", summary)}
    cell.said, cell.seconds = "", time.monotonic() - began
    cell.passed, cell.failed = found.get("passed", 0), found.get("failed", 0) + found.get("error", 0)
    session.log(summary)
    if cell.failed or not cell.passed:
        session.error("\n".join(lines[-200:]))


def run_demo(session: nox.Session, airflow: Airflow) -> None:
    """Have a real Airflow publish what the example DAGs show: deferred tasks, triggers and all."""
    install(session, airflow)
    session.chdir(work() / "dist")  # a demo in a checkout would take that one's example DAGs
    session.run("tiktok-sandbox", "demo", *session.posargs)


def add(function: partial[None], name: str, python: str, tags: list[str] | None = None) -> None:
    """Add a session to those that nox knows."""
    function.__doc__ = function.func.__doc__  # for ``--list``
    nox.session(function, python=interpreter(python) or False, name=name, tags=tags)


def tags_of(airflow: Airflow, python: str) -> list[str]:
    """Give the ``newest`` that this machine has, and the ``oldest``, their names: CI runs these."""
    there = [each for each in airflow.pythons if interpreter(each)]
    newest = airflow is AIRFLOWS[-1] and python == there[-1]
    return ["newest"] * newest + ["oldest"] * (airflow is AIRFLOWS[0] and python == there[0])


for _airflow in AIRFLOWS:
    for _python in _airflow.pythons:
        _cell = partial(run_tests, airflow=_airflow, python=_python)
        add(_cell, f"tests-{_airflow.version}-{_python}", _python, tags_of(_airflow, _python))
    if not _airflow.version.startswith("2."):  # whose standalone the demo cannot drive
        add(partial(run_demo, airflow=_airflow), f"demo-{_airflow.version}", DEMO_PYTHON)
