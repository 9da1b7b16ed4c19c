"""What is read of a Connection, and what is refused."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_tiktok.api.endpoints import API_HOST
from airflow_provider_tiktok.api.upload import check_upload_url
from airflow_provider_tiktok.auth import account as account_module
from airflow_provider_tiktok.auth.account import EXTRAS, Account, Seed, read_account
from airflow_provider_tiktok.exceptions import TikTokConfigError


def read(extra: dict[str, Any] | None = None, **fields: Any) -> Account:
    given = {"conn_id": "tiktok_default", "login": "ck", "password": "SECRETCS", "host": None, "port": None}
    return read_account(SimpleNamespace(**given | fields), extra or {})


def test_every_field() -> None:
    got = read(
        {
            "refresh_token": "rft.SECRET",
            "access_token": "act.SECRET",
            "expires_at": 1_800_000_000,
            "refresh_expires_at": "1900000000",
            "open_id": "o",
            "scope": "video.publish,video.upload",
            "media_conn_id": "aws_media",
            "rate_window": 6,
            "cap_window": "60.5",
        },
        host="http://127.0.0.1:8765",
    )
    assert got == Account(
        conn_id="tiktok_default",
        client_key="ck",
        client_secret="SECRETCS",
        base_url="http://127.0.0.1:8765",
        seed=Seed("rft.SECRET", "act.SECRET", 1.8e9, 1.9e9, "o", "video.publish,video.upload"),
        media_conn_id="aws_media",
        rate_window=6.0,
        cap_window=60.5,
    )
    assert hash(got)
    assert "SECRET" not in repr(got)


def test_defaults() -> None:
    assert read() == Account("tiktok_default", "ck", "SECRETCS", API_HOST)
    assert read(dict.fromkeys(EXTRAS)) == read()
    assert read(dict.fromkeys(EXTRAS, "")) == read()


@pytest.mark.parametrize("fields", [{"login": None}, {"login": ""}, {"password": None}, {"password": ""}])
def test_key_and_secret_are_needed(fields: dict[str, Any]) -> None:
    with pytest.raises(TikTokConfigError, match=r"tiktok_default.*login.*password"):
        read(**fields)


@pytest.mark.parametrize("name", ["refresh_token", "access_token"])
def test_what_pasting_adds_to_a_token_is_dropped(name: str) -> None:
    """A newline at the end is invisible in the form, and cannot be sent in a header."""
    assert getattr(read({name: "  x.1\n"}).seed, name) == "x.1"


@pytest.mark.parametrize("name", ["refresh_token", "access_token"])
@pytest.mark.parametrize("value", ["act.\u2026", "act.1 act.2", "act.1\nact.2", "act.\u200b1"], ids=ascii)
def test_token_that_cannot_be_one(name: str, value: str) -> None:
    with pytest.raises(TikTokConfigError, match=f"tiktok_default.*{name}") as caught:
        read({name: value})
    assert "act." not in str(caught.value)


# --- host ---


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        (None, None, API_HOST),
        ("", None, API_HOST),
        ("  ", None, API_HOST),
        ("/", None, API_HOST),
        ("open.tiktokapis.com", None, API_HOST),
        ("https://open.tiktokapis.com", None, API_HOST),
        ("https://open.tiktokapis.com/", None, API_HOST),
        ("HTTPS://Open.TikTokAPIs.com", None, API_HOST),
        (" https://open.tiktokapis.com ", None, API_HOST),
        ("https://open.tiktokapis.com:443", None, API_HOST),
        ("https://open.tiktokapis.com", 443, API_HOST),
        ("tiktok.corp.example", None, "https://tiktok.corp.example"),
        ("tiktok.corp.example", 8443, "https://tiktok.corp.example:8443"),
        ("tiktok.corp.example:8443", None, "https://tiktok.corp.example:8443"),
        ("tiktok.corp.example:8443", 9, "https://tiktok.corp.example:8443"),
        ("http://127.0.0.1:8765", None, "http://127.0.0.1:8765"),
        ("http://127.0.0.1", 8765, "http://127.0.0.1:8765"),
        ("http://127.8.9.1:80", None, "http://127.8.9.1"),
        ("http://localhost:8765", None, "http://localhost:8765"),
        ("http://a.localhost:8765", None, "http://a.localhost:8765"),
        ("http://[::1]:8765", None, "http://[::1]:8765"),
        ("https://[2001:db8::1]", None, "https://[2001:db8::1]"),
    ],
)
def test_host(host: str | None, port: int | None, base_url: str) -> None:
    assert read(host=host, port=port).base_url == base_url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://open.tiktokapis.com",
        "://open.tiktokapis.com",
        "https://",
        "https://:8080",
        "https://SECRET@open.tiktokapis.com",
        "https://u:SECRET@open.tiktokapis.com",
        "https://:SECRET@open.tiktokapis.com",
        "https://@open.tiktokapis.com",
        "https://u:SECRET@open.tiktokapis.com:x",
        "https://open.tiktokapis.com/v2",
        "https://open.tiktokapis.com?x=1",
        "https://open.tiktokapis.com#x",
        "https://open.tiktokapis.com:x",
        "https://open.tiktokapis.com:99999",
        "https://[::1",
        "https://open tiktokapis.com",
        "https://tikt\u00f6k.example",
        "https://evil.com\\.tiktokapis.com",
        "https://open.tiktokapis.com\nx",
        "::1",
    ],
)
def test_host_that_is_none(host: str) -> None:
    with pytest.raises(TikTokConfigError, match="tiktok_default") as caught:
        read(host=host)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["http://tiktok.corp.example", "http://10.0.0.1:80", "http://localhost.evil.com"]
)
def test_plain_http_elsewhere_must_be_wanted(host: str) -> None:
    with pytest.raises(TikTokConfigError, match="allow_insecure_host"):
        read(host=host)
    for no in (False, "false", "0", "no", None, ""):
        with pytest.raises(TikTokConfigError):
            read({"allow_insecure_host": no}, host=host)
    for yes in (True, "true", "True", "1", 1):
        assert read({"allow_insecure_host": yes}, host=host).base_url == host.removesuffix(":80")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("", False),
        ("https://open.tiktokapis.com", False),
        ("http://127.0.0.1:1", True),
        ("https://localhost", True),
        ("http://[::1]:1", True),
        ("https://127.0.0.1.evil.com", False),
        ("https://localhost.evil.com", False),
    ],
)
def test_local(host: str, local: bool) -> None:
    assert read(host=host).is_local is local


def test_tiktoks_own_host_however_written_uploads_to_tiktok() -> None:
    """An upload goes to another host of TikTok's; that is allowed for TikTok's own API only."""
    for host in ("", "open.tiktokapis.com", "https://open.tiktokapis.com:443/"):
        check_upload_url("https://open-upload.tiktokapis.com/u", read(host=host).base_url)


# --- numbers and dates ---


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (1_800_000_000, 1_800_000_000.0),
        ("1800000000", 1_800_000_000.0),
        (1_800_000_000.5, 1_800_000_000.5),
        ("2027-01-15T08:00:00+00:00", 1_800_000_000.0),
        ("2027-01-15T08:00:00Z", 1_800_000_000.0),
        ("2027-01-15T08:00:00", 1_800_000_000.0),
        ("2027-01-15 10:00:00+02:00", 1_800_000_000.0),
        (None, 0.0),
        ("", 0.0),
        (0, 0.0),
    ],
)
def test_expires_at(given: object, moment: float) -> None:
    assert read({"expires_at": given}).seed.expires_at == moment


@pytest.mark.parametrize(
    "given", ["soon", "nan", "inf", "-inf", float("nan"), float("inf"), "15/01/2027", True, [1], {}]
)
def test_expires_at_that_is_no_moment(given: object) -> None:
    with pytest.raises(TikTokConfigError, match=r"tiktok_default.*expires_at"):
        read({"expires_at": given})


@pytest.mark.parametrize("name", ["rate_window", "cap_window"])
@pytest.mark.parametrize("given", [0, -1, "0", "x", "nan", "inf", float("inf"), True, []])
def test_windows_that_are_none(name: str, given: object) -> None:
    with pytest.raises(TikTokConfigError, match=f"tiktok_default.*{name}"):
        read({name: given})


# --- the rest ---


def test_unknown_extras_are_warned_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "_warned", set())
    monkeypatch.setattr(account_module, "log", logging.getLogger("test_unknown_extras"))
    with caplog.at_level(logging.WARNING, "test_unknown_extras"):
        for _ in range(3):
            read({"b_unknown": "SECRET", "a_unknown": 1, "refresh_token": "r"})
    (record,) = caplog.records
    assert "a_unknown, b_unknown" in record.getMessage()
    assert "SECRET" not in record.getMessage()


def test_fingerprint_tells_logins_apart_and_no_token() -> None:
    first, second = Seed(refresh_token="rft.1"), Seed(refresh_token="rft.2")
    assert first.fingerprint != second.fingerprint
    assert first.fingerprint == Seed(refresh_token="rft.1", access_token="a", scope="s").fingerprint
    assert Seed(access_token="a").fingerprint != Seed(access_token="b").fingerprint
    assert "rft" not in first.fingerprint
    assert "rft.1" not in repr(first)
