"""A Connection made on Airflow's page, as the README says: through the calls that the page makes."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_tiktok.get_provider_info import get_provider_info
from tests.cli.program import environment

pytestmark = pytest.mark.integration

_PAGE = """
import json
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient

made = {"connection_id": "tiktok_default", "conn_type": "tiktok", "login": "key", "password": "secret",
        "extra": json.dumps({"refresh_token": "rft.1"})}
with TestClient(create_app(), base_url="http://127.0.0.1:8080") as page:
    page.headers["authorization"] = "Bearer " + page.get("/auth/token").json()["access_token"]
    forms = page.get("/ui/connections/hook_meta").json()
    answer = page.post("/api/v2/connections", json=made)
print("told:", json.dumps({"forms": forms, "status": answer.status_code}))
"""


def _told(home: Path, *command: str) -> str:
    more = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    more |= {
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment(home) | more, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.stdout


def test_every_field_has_a_box_and_what_is_saved_can_be_used(home: Path) -> None:
    pytest.importorskip("airflow.sdk", reason="Airflow 2 has another page")
    told: dict[str, Any] = json.loads(_told(home, "-c", _PAGE).rpartition("told:")[2])
    assert told["status"] == 201
    (form,) = (each for each in told["forms"] if each["connection_type"] == "tiktok")
    fields = get_provider_info()["connection-types"][0]["conn-fields"]
    assert form["extra_fields"].keys() == fields.keys()
    assert form["standard_fields"]["login"]["title"] == "Client key"
    assert form["standard_fields"]["port"]["hidden"]

    told = json.loads(_told(home, "-m", "airflow_provider_tiktok.cli", "status", "--offline", "--json"))
    (account,) = told["accounts"]
    assert (account["conn_id"], account["source"]) == ("tiktok_default", "database")
