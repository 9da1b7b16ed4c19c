"""The README's example of a token store works as printed."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from airflow_provider_tiktok.auth.store import configured_store

README = Path(__file__).parents[2] / "README.md"


def test_parameter_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a real client and a stand-in of AWS; values of the size that a grant has."""
    moto = pytest.importorskip("moto")
    (code,) = re.findall(r"```python\n(# my_company/airflow\.py.*?)```", README.read_text(), re.DOTALL)
    module = types.ModuleType("my_company_airflow")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "my_company_airflow", module)
    monkeypatch.setenv("AIRFLOW__TIKTOK__TOKEN_STORE", "my_company_airflow.ParameterStore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with moto.mock_aws():
        store = configured_store()
        assert store.load("tiktok_default") is None
        for text in ("a" * 1500, "b" * 1500):
            store.save("tiktok_default", text)
            assert configured_store().load("tiktok_default") == text
