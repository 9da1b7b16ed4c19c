"""In the matrix the wheel is tested, with the Airflow and Python that the table names; else the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import sysconfig
from pathlib import Path

import pytest

import airflow_provider_tiktok

ROOT = Path(__file__).parents[2]
PACKAGE = Path(airflow_provider_tiktok.__file__).parent
CELL = os.environ.get("TIKTOK_MATRIX_CELL", "").split()


@pytest.mark.skipif(not CELL, reason="this is no cell of the matrix")
def test_the_wheel_is_what_is_tested() -> None:
    assert PACKAGE.parent == Path(sysconfig.get_path("purelib"))
    files = importlib.metadata.files("airflow-provider-tiktok") or []
    installed = {Path(file.locate()) for file in files}
    assert set(PACKAGE.rglob("*.py")) <= installed, "nothing lies beside what the wheel holds"
    assert not (ROOT / "airflow_provider_tiktok").exists(), "the tests were copied out of the checkout"


@pytest.mark.skipif(not CELL, reason="this is no cell of the matrix")
def test_with_the_airflow_and_the_python_that_are_named() -> None:
    airflow, python = CELL
    assert importlib.metadata.version("apache-airflow") == airflow
    assert sysconfig.get_python_version() == python


@pytest.mark.skipif(bool(CELL), reason="a cell of the matrix has no checkout")
def test_else_the_checkout_is_what_is_tested() -> None:
    assert PACKAGE == ROOT / "airflow_provider_tiktok"
