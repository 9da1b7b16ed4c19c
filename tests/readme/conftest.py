"""A real Airflow's home, for what the README tells to do with one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import environment


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment(home), check=True, capture_output=True)
    return home


@pytest.fixture
def home(_migrated: Path, tmp_path: Path) -> Path:
    """An Airflow home whose database is made, and empty."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(_migrated / "airflow.db", home)
    return home
