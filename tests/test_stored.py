"""What is read back from where others can write, too: whatever lies there, a typed error or a value."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api.models import PublishStatus
from airflow_provider_tiktok.auth import refusal
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.auth.cipher import seal
from airflow_provider_tiktok.auth.grant import Grant, State, clear_fields, read_back, written
from airflow_provider_tiktok.claim import stamp_of
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokConsentError, TikTokStoreError
from airflow_provider_tiktok.publishing.decision import found, seen
from airflow_provider_tiktok.publishing.identity import TaskKey
from airflow_provider_tiktok.publishing.ledger import Fence, Ledger, Record, Stage
from airflow_provider_tiktok.publishing.leftovers import leftovers
from airflow_provider_tiktok.publishing.pace import Windows
from airflow_provider_tiktok.publishing.trail import Cap, Circuit, Entry, Trail, read_trail
from tests import fuzz

MANY = settings(
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOW = 1_800_000_000.0
ACCOUNT = Account("tiktok_default", client_key="k", client_secret="s")
GRANT = Grant(
    "act.1", "rft.1", expires_at=NOW, scope="video.publish", seed="f", past_seeds=("e",), generation=3
)
RECORD = Record(
    1,
    Stage.FAILED,
    request={"title": "0a"},
    media="m",
    began=NOW,
    publish_id="v_pub_file~v2-1.7",
    code="internal",
    fence=Fence.PUBLISH_ID,
    size=5,
)
TRAIL = Trail(
    (Entry(NOW, "t1", "ok", "DIRECT_POST"), Entry(NOW + 1, "t2", "spam_risk_too_many_posts", "DIRECT_POST")),
    (("DIRECT_POST", Cap(15, NOW)),),
    Circuit("scope_not_authorized", "DIRECT_POST", "g", NOW, "detail", "log", 401),
)


class Values:
    """A register that holds one text under every name."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def read(self, _: str) -> str:
        return self.text

    peek = read

    def write(self, _: str, text: str) -> None:
        self.text = text


def _written(record: Record) -> str:
    values = Values()
    Ledger(TaskKey("d", "r", "t", -1), values, "p").write(record)  # type: ignore[arg-type]
    return values.text


@MANY
@given(text=fuzz.documents(json.loads(_written(RECORD))))
def test_a_record(text: str) -> None:
    """One that cannot be understood is never taken for none: nothing is posted on a guess."""
    ledger = Ledger(TaskKey("d", "r", "t", -1), Values(text), "p")  # type: ignore[arg-type]
    try:
        record = ledger.read(1)
    except TikTokStoreError:
        return
    assert record is not None
    found(record)
    for status in ("FAILED", "PROCESSING_UPLOAD", "PROCESSING_DOWNLOAD"):
        seen(PublishStatus(status, record.code, (), 3, None, ""), record, now=NOW)
    ledger.write(record)
    assert ledger.read(1) == record
    record.publish_id.encode()


def test_a_right_record_is_read() -> None:
    ledger = Ledger(TaskKey("d", "r", "t", -1), Values(_written(RECORD)), "p")  # type: ignore[arg-type]
    assert ledger.read(1) == RECORD


@MANY
@given(text=fuzz.documents(json.loads(written(GRANT, ACCOUNT))))
def test_a_grant(text: str) -> None:
    with suppress(TikTokConfigError):
        state = clear_fields(text, "tiktok_default")
        assert isinstance(state, State)
    with suppress(TikTokConfigError):
        grant = read_back(text, ACCOUNT)
        grant.due(NOW, 0.5)
        assert isinstance(grant.state, State)


@MANY
@given(tokens=fuzz.documents({"access_token": "act.1", "refresh_token": "rft.1"}))
def test_the_tokens_of_a_grant(tokens: str) -> None:
    """Encrypted by somebody who has the key."""
    with suppress(UnicodeEncodeError):
        whole = {**json.loads(written(GRANT, ACCOUNT)), "sealed": seal(ACCOUNT, "grant", tokens)}
        with suppress(TikTokConfigError):
            grant = read_back(json.dumps(whole), ACCOUNT)
            assert isinstance(grant.access_token, str)
            assert isinstance(grant.refresh_token, str)


@MANY
@given(text=fuzz.documents(json.loads(TRAIL.dumped())))
def test_a_trail(text: str) -> None:
    trail, windows = read_trail(text), Windows()
    trail.is_crowded("DIRECT_POST", windows, NOW)
    trail.with_entry(Entry(NOW + 2, "t3", "ok", "DIRECT_POST"), windows)
    if trail.circuit:
        trail.circuit.holds("DIRECT_POST", NOW)
        assert trail.circuit.error().code == trail.circuit.code
    assert read_trail(trail.dumped()).dumped() == trail.dumped()


def test_a_right_trail_is_read() -> None:
    assert read_trail(TRAIL.dumped()) == TRAIL


_REFUSAL = {"said": "no", "code": "invalid_grant", "log_id": "L", "at": NOW}


@MANY
@given(text=fuzz.documents(_REFUSAL))
def test_a_refusal(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(register, "peek", lambda _: text)
    got = refusal.recall("tiktok_default", GRANT, within=float("inf"))
    assert got is None or isinstance(got, TikTokConsentError)


@MANY
@given(text=fuzz.documents({"stamp": NOW}))
def test_a_claim(text: str) -> None:
    stamp = stamp_of(text)
    assert stamp is None or isinstance(stamp, float)


@MANY
@given(text=fuzz.documents(json.loads(_written(RECORD))), key=st.sampled_from(["", "__sealing", "__claim"]))
def test_what_a_sweep_looks_at(text: str, key: str) -> None:
    values: dict[str, Any] = {f"tiktok_post__0a__1{key}": text, "tiktok_upload__0a__0b": text}
    assert list(leftovers(values, now=NOW, older_than=1.0)) is not None
