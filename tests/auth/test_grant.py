"""A grant: when it is due, what comes after it, and how it is kept from curious eyes."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.api.models import Token
from airflow_provider_tiktok.auth.account import Account, Seed
from airflow_provider_tiktok.auth.grant import Grant, State, clear_fields, read_back, seed_grant, written
from airflow_provider_tiktok.exceptions import TikTokConfigError

NOW = 1_800_000_000.0
SEED = Seed("rft.0", "act.0", NOW + 3600, NOW + 9e6, "o", "video.publish")
ACCOUNT = Account("tiktok_default", "ck", "cs", seed=SEED)
GRANT = Grant(
    "act.SECRET",
    "rft.SECRET",
    expires_at=NOW + 7200,
    lifetime=7200.0,
    refresh_expires_at=NOW + 9e6,
    open_id="o",
    scope="video.publish",
    seed="f",
    past_seeds=("d", "e"),
    generation=3,
)

lifetimes = st.floats(1, 1e7)
jitters = st.floats(0, 1)


# --- due ---


@given(lifetime=lifetimes, jitter=jitters, left=st.floats(-1e4, 1e7))
def test_due(lifetime: float, jitter: float, left: float) -> None:
    """Never with over a tenth (and a minute) left, always at the end; a short life is at least half used."""
    grant = Grant("a", "r", expires_at=NOW + left, lifetime=lifetime)
    margin = max(lifetime / 10, 60.0)
    if left > 1.1 * margin + 1 or left > 0.55 * lifetime + 1:
        assert not grant.due(NOW, jitter)
    if left < 0.9 * min(margin, lifetime / 2) - 1 or left <= 0:
        assert grant.due(NOW, jitter)


@given(lifetime=st.floats(1, 100), jitter=jitters)
def test_new_short_lived_token_is_not_due_at_once(lifetime: float, jitter: float) -> None:
    """A sandbox with a fast clock must not refresh at each call."""
    assert not Grant("a", "r", expires_at=NOW + lifetime, lifetime=lifetime).due(NOW, jitter)


@given(jitter=jitters)
def test_two_hours(jitter: float) -> None:
    grant = Grant("a", "r", expires_at=NOW + 7200, lifetime=7200.0)
    assert not grant.due(NOW + 7200 - 800, jitter)
    assert grant.due(NOW + 7200 - 640, jitter)


def test_jitter_spreads() -> None:
    grant = Grant("a", "r", expires_at=NOW + 720, lifetime=7200.0)
    assert [grant.due(NOW, jitter) for jitter in (0.0, 0.9)] == [False, True]


def test_without_a_known_end_it_lives_until_refused() -> None:
    assert Grant("a", "r").lives(NOW)
    assert not Grant("a", "r").due(NOW, 0.5)


@pytest.mark.parametrize("expires_at", [0.0, NOW + 100])
def test_without_an_access_token_it_is_due(expires_at: float) -> None:
    assert Grant("", "r", expires_at=expires_at).due(NOW, 0.5)
    assert not Grant("", "r", expires_at=expires_at).lives(NOW)


def test_ends_at_its_moment() -> None:
    assert Grant("a", "r", expires_at=NOW).lives(NOW - 0.001)
    assert not Grant("a", "r", expires_at=NOW).lives(NOW)


# --- refreshed ---


@given(
    expires_in=st.integers(1, 10**9),
    refresh_expires_in=st.integers(0, 10**9),
    refresh_token=st.sampled_from(["", "rft.new"]),
    open_id=st.sampled_from(["", "p"]),
    scope=st.sampled_from(["", "video.upload"]),
)
def test_refreshed(
    expires_in: int, refresh_expires_in: int, refresh_token: str, open_id: str, scope: str
) -> None:
    """What an answer leaves out stays as it was; above all the refresh token."""
    token = Token("act.new", expires_in, refresh_token, refresh_expires_in, open_id, scope)
    fresh = GRANT.refreshed(token, NOW)
    assert fresh.access_token == "act.new"
    assert fresh.refresh_token == (refresh_token or "rft.SECRET")
    assert (fresh.expires_at, fresh.lifetime) == (NOW + expires_in, expires_in)
    assert fresh.refresh_expires_at == (NOW + refresh_expires_in if refresh_expires_in else NOW + 9e6)
    assert (fresh.open_id, fresh.scope) == (open_id or "o", scope or "video.publish")
    assert (fresh.seed, fresh.past_seeds, fresh.generation) == ("f", ("d", "e"), 4)


# --- the Connection's ---


def test_seed() -> None:
    got = seed_grant(ACCOUNT)
    assert (got.access_token, got.refresh_token, got.expires_at) == ("act.0", "rft.0", NOW + 3600)
    assert got.refresh_expires_at == NOW + 9e6
    assert (got.open_id, got.scope, got.generation) == ("o", "video.publish", 0)
    assert got.seed == ACCOUNT.seed.fingerprint
    assert got.past_seeds == ()


def test_no_seed_says_how_to_get_one() -> None:
    with pytest.raises(
        TikTokConfigError, match=r"tiktok_default.*airflow-tiktok login --conn-id tiktok_default"
    ):
        seed_grant(replace(ACCOUNT, seed=Seed()))


def test_logins_of_long_ago_are_forgotten() -> None:
    """A grant must not grow for ever."""
    past = tuple(str(number) for number in range(100))
    assert seed_grant(ACCOUNT, past).past_seeds == past[-20:]


@pytest.mark.parametrize("left", [5.0, 50.0, 300.0, 600.0])
def test_seed_near_its_end_is_due(left: float) -> None:
    """Its whole lifetime is not known; what is left of it must not be taken for that, or it is never due."""
    account = replace(ACCOUNT, seed=replace(ACCOUNT.seed, expires_at=time.time() + left))
    assert seed_grant(account).due(time.time(), 0.5)


@pytest.mark.parametrize("left", [1000.0, 7200.0, 80000.0])
def test_seed_far_from_its_end_is_not_due(left: float) -> None:
    account = replace(ACCOUNT, seed=replace(ACCOUNT.seed, expires_at=time.time() + left))
    assert not seed_grant(account).due(time.time(), 0.5)


def test_seed_of_a_refresh_token_alone_is_due() -> None:
    got = seed_grant(replace(ACCOUNT, seed=Seed("rft.0")))
    assert got.due(time.time(), 0.5)
    assert got.refresh_token == "rft.0"


# --- written down ---

# lone surrogates too: Python's JSON lets them through
texts = st.text(st.characters(), max_size=30)
seconds = st.floats(-1e11, 1e11)
grants = st.builds(
    Grant,
    access_token=texts,
    refresh_token=texts,
    expires_at=seconds,
    lifetime=seconds,
    refresh_expires_at=seconds,
    open_id=texts,
    scope=texts,
    seed=texts,
    past_seeds=st.lists(texts, max_size=5).map(tuple),
    generation=st.integers(0, 10**9),
)


@given(grant=grants)
def test_round_trip(grant: Grant) -> None:
    text = written(grant, ACCOUNT)
    assert text.isascii(), "so that any database and any store keeps it"
    assert read_back(text, ACCOUNT) == grant
    assert clear_fields(text, "tiktok_default") == grant.state


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    other=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
)
def test_any_client_secret_is_a_key_and_no_other_fits(secret: str, other: str) -> None:
    account = replace(ACCOUNT, client_secret=secret)
    text = written(GRANT, account)
    assert read_back(text, account) == GRANT
    if other != secret:
        with pytest.raises(TikTokConfigError):
            read_back(text, replace(ACCOUNT, client_secret=other))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def _no_other_error(text: str) -> None:
    for read in (lambda: read_back(text, ACCOUNT), lambda: clear_fields(text, "tiktok_default")):
        told = ""
        try:
            assert isinstance(read(), State)
        except TikTokConfigError as error:
            told = str(error)
        assert not told or "tiktok_default" in told
        assert "SECRET" not in told


@given(text=st.text(max_size=200) | json_values.map(json.dumps))
def test_any_text_is_a_grant_or_told_to_be_none(text: str) -> None:
    """Somebody else has written to its place."""
    _no_other_error(text)


@given(name=st.sampled_from([*json.loads(written(GRANT, ACCOUNT))]), value=json_values)
def test_any_field_may_be_anything(name: str, value: object) -> None:
    """Somebody has edited it by hand."""
    _no_other_error(json.dumps(json.loads(written(GRANT, ACCOUNT)) | {name: value}))


@given(data=st.data())
def test_any_cut_or_flip(data: st.DataObject) -> None:
    text = written(GRANT, ACCOUNT)
    at = data.draw(st.integers(0, len(text) - 1))
    _no_other_error(text[:at] + data.draw(st.characters()) + text[at + data.draw(st.integers(0, 5)) :])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generation", "Infinity"),
        ("generation", "NaN"),
        ("expires_at", "1" + "0" * 400),
        ("generation", "1" * 5000),
        ("past_seeds", "[" * 100_000),
        ("open_id", "{" * 100_000),
    ],
    ids=["infinite", "no number", "too large", "too long", "deep", "deep too"],
)
def test_numbers_and_depths_that_python_stumbles_over(name: str, value: str) -> None:
    text = written(GRANT, ACCOUNT)
    fields = json.loads(text)
    garbled = text.replace(f'"{name}": {json.dumps(fields[name])}', f'"{name}": {value}')
    assert garbled != text
    with pytest.raises(TikTokConfigError):
        read_back(garbled, ACCOUNT)


def test_what_the_first_release_wrote_is_read() -> None:
    """It knew no past logins."""
    fields = json.loads(written(GRANT, ACCOUNT))
    del fields["past_seeds"]
    assert read_back(json.dumps(fields), ACCOUNT) == replace(GRANT, past_seeds=())


def test_written_text_tells_no_token_and_what_a_person_wants_to_know() -> None:
    text = written(GRANT, ACCOUNT)
    assert "SECRET" not in text
    fields = json.loads(text)
    assert fields["generation"] == 3
    assert fields["expires_at"] == NOW + 7200
    assert fields["refresh_expires_at"] == NOW + 9e6
    assert (fields["open_id"], fields["scope"], fields["seed"]) == ("o", "video.publish", "f")


def test_written_text_is_another_each_time() -> None:
    assert written(GRANT, ACCOUNT) != written(GRANT, ACCOUNT)


def test_another_client_secret_cannot_read_it() -> None:
    with pytest.raises(TikTokConfigError, match=r"tiktok_default.*client secret.*has changed"):
        read_back(written(GRANT, ACCOUNT), replace(ACCOUNT, client_secret="other"))


@pytest.mark.parametrize("drop", ["sealed", "generation", "expires_at", "seed"])
def test_part_that_is_missing(drop: str) -> None:
    fields = json.loads(written(GRANT, ACCOUNT))
    del fields[drop]
    with pytest.raises(TikTokConfigError):
        read_back(json.dumps(fields), ACCOUNT)


@pytest.mark.parametrize(
    "text",
    ["", "x", "null", "[]", "{}", "7", '"x"', '{"sealed": 7}', '{"sealed": ""}', '{"sealed": "\\u2026"}'],
)
def test_what_is_no_grant(text: str) -> None:
    with pytest.raises(TikTokConfigError, match="cannot be read"):
        read_back(text, ACCOUNT)
    with pytest.raises(
        TikTokConfigError, match=r"airflow-tiktok login --conn-id tiktok_default.*tiktok_grant__"
    ):
        clear_fields(text, "tiktok_default")


@pytest.mark.parametrize("at", [0, 10, 60, 100])
def test_tampered(at: int) -> None:
    fields = json.loads(written(GRANT, ACCOUNT))
    sealed = list(fields["sealed"])
    sealed[at] = "A" if sealed[at] != "A" else "B"
    with pytest.raises(TikTokConfigError):
        read_back(json.dumps(fields | {"sealed": "".join(sealed)}), ACCOUNT)


@pytest.mark.parametrize(
    ("name", "value"),
    [("expires_at", "x"), ("expires_at", None), ("generation", "x"), ("lifetime", [])],
)
def test_clear_part_of_another_type(name: str, value: object) -> None:
    """Somebody edited the Variable: an error that says so, not a TypeError at the next comparison."""
    fields = json.loads(written(GRANT, ACCOUNT))
    with pytest.raises(TikTokConfigError):
        read_back(json.dumps(fields | {name: value}), ACCOUNT)


def test_nothing_secret_in_its_repr_or_state() -> None:
    assert "SECRET" not in repr(GRANT)
    assert "SECRET" not in repr(GRANT.state)
    assert not {"access_token", "refresh_token"} & set(vars(GRANT.state))
    assert type(GRANT.state) is State
