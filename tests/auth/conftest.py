"""What tests of grants start with."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth import renewal
from tests.auth.grants import QUICK, TokenEndpoint, Variables


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Airflow's Variables, in memory, to be disturbed."""
    fake = Variables()
    monkeypatch.setattr(register, "Variable", fake)
    return fake


@pytest.fixture
def endpoint() -> TokenEndpoint:
    """TikTok's token endpoint."""
    return TokenEndpoint()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Claims that take a tenth of a second, and turns of the test's own."""
    monkeypatch.setenv("AIRFLOW__TIKTOK__CLAIM_WRITE_SECONDS", str(QUICK))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between a renewal's tries are cut short; what they would have been."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(min(seconds, 0.002))

    monkeypatch.setattr(renewal, "time", SimpleNamespace(time=time.time, sleep=sleep))
    return slept
