"""``airflow-tiktok sweep``: what publishes have left in Variables goes when it is needed no more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.cipher import seal
from airflow_provider_tiktok.cli import database, sweep
from airflow_provider_tiktok.publishing.identity import TaskKey
from airflow_provider_tiktok.publishing.ledger import Ledger, Record, Stage
from airflow_provider_tiktok.publishing.leftovers import leftovers
from tests.airflow_tasks import FakeVariables
from tests.cli.airflow_database import FakeDatabase

Run = Callable[..., Result]
DAY = 24 * 3600.0


@pytest.fixture
def kept(airflow_database: FakeDatabase, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch) -> Any:
    def listed(prefixes: tuple[str, ...]) -> dict[str, str]:
        return {key: value for key, value in variables.values.items() if key.startswith(prefixes)}

    monkeypatch.setattr(database, "variables", listed)
    monkeypatch.setattr(sweep, "PROBE_SECONDS", 0.0)
    return variables


def posted(run_id: str, *, days: float, stage: Stage = Stage.COMPLETE) -> Ledger:
    """A task that has posted some days ago, with all that it leaves."""
    key = TaskKey("dag", run_id, "publish", -1)
    ledger = Ledger(key, register.VARIABLES, f"tiktok_post__{key.digest}")
    record = ledger.write(Record(1, stage, publish_id="p", began=time.time() - days * DAY))
    ledger.seal(record)
    register.put(ledger.claim_key(1), json.dumps({"nonce": "n", "stamp": record.began}))
    return ledger


def test_old_records_go_with_all_that_is_theirs(run: Run, kept: FakeVariables) -> None:
    posted("old", days=100)
    young = posted("young", days=10)
    kept.values["somebody_elses"] = "x"
    done = run("sweep")
    assert done.exit_code == 0, done.output
    assert "dag.publish, run old" in done.stdout
    assert {key for key in kept.values if key != "somebody_elses"} == {
        f"tiktok_post__{young.key.digest}__1{end}" for end in ("", "__sealing", "__claim")
    }
    assert "somebody_elses" in kept.values


def test_a_dry_run_removes_nothing(run: Run, kept: FakeVariables) -> None:
    posted("old", days=100)
    before = dict(kept.values)
    assert "would remove" in run("sweep", "--dry-run").stdout
    assert kept.values == before


def test_the_age_is_a_choice(run: Run, kept: FakeVariables) -> None:
    posted("young", days=10)
    run("sweep", "--older-than", "9")
    assert kept.values == {}


def test_addresses_go_after_two_hours(kept: FakeVariables) -> None:
    address = seal(Account("c", "k", "secret"), "upload", "https://...")
    values = {"tiktok_upload__d__1": address}
    now = time.time()
    assert list(leftovers(values, now=now + 3600, older_than=90 * DAY)) == []
    (found,) = leftovers(values, now=now + 3 * 3600, older_than=90 * DAY)
    assert found.key == "tiktok_upload__d__1"


def test_probes_and_claims_of_dead_processes_go(run: Run, kept: FakeVariables) -> None:
    kept.values["tiktok_probe__ab"] = "nonce"
    kept.values["tiktok_post__x__1__claim"] = json.dumps({"stamp": time.time() - 2 * DAY})
    kept.values["tiktok_post__y__1__claim"] = json.dumps({"stamp": time.time()})
    run("sweep")
    assert set(kept.values) == {"tiktok_post__y__1__claim"}


def test_a_probe_that_lives_stays(run: Run, kept: FakeVariables, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.values["tiktok_probe__ab"] = "nonce"

    def meanwhile(_: float) -> None:
        kept.values["tiktok_probe__ab"] = "another nonce"

    monkeypatch.setattr(sweep.time, "sleep", meanwhile)
    run("sweep")
    assert "tiktok_probe__ab" in kept.values


@pytest.mark.parametrize("text", ["", "x", "[]", '{"began": "long ago"}', '{"began": true}'])
def test_what_is_no_record_stays(kept: FakeVariables, text: str) -> None:
    assert (
        list(leftovers({"tiktok_post__x__1": text, "tiktok_upload__x__1": "%%"}, now=5.0, older_than=1)) == []
    )


def test_without_a_database(run: Run, airflow_database: FakeDatabase) -> None:
    airflow_database.why = "it does not answer"
    done = run("sweep")
    assert (done.exit_code, "it does not answer" in done.output) == (1, True)
