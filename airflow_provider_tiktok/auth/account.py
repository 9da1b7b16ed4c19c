"""What an Airflow Connection of type ``tiktok`` says, read once and checked."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.endpoints import API_HOST
from airflow_provider_tiktok.exceptions import TikTokConfigError

log = logging.getLogger(__name__)

#: Every extra of the Connection that is read. Others are ignored, with one warning.
EXTRAS = (
    "refresh_token",
    "access_token",
    "expires_at",
    "refresh_expires_at",
    "open_id",
    "scope",
    "media_bucket",
    "media_prefix",
    "media_public_base_url",
    "media_conn_id",
    "rate_window",
    "cap_window",
    "allow_insecure_host",
)
_TOKEN = re.compile(r"[!-~]*")
_HOST = re.compile(r"[\w.:-]+", re.ASCII)
_SPACE = re.compile(r"\s")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_warned: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Seed:
    """
    The grant as the Connection gives it; the live one is kept elsewhere, since TikTok rotates it.

    :param refresh_token: works once
    :param access_token: optional
    :param expires_at: of the access token, seconds since 1970; 0 = not known
    :param refresh_expires_at: of the refresh token, likewise
    :param open_id: the creator
    :param scope: what the creator has allowed, comma-separated
    """

    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    refresh_expires_at: float = 0.0
    open_id: str = ""
    scope: str = ""

    @property
    def given(self) -> bool:
        """Whether there is a grant at all."""
        return bool(self.refresh_token or self.access_token)

    @property
    def fingerprint(self) -> str:
        """Tells one login from the next, without telling the tokens (which are long and random)."""
        given = self.refresh_token or self.access_token
        return hashlib.sha256(f"airflow-provider-tiktok seed {given}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Hosting:
    """
    Where media is put that TikTok has to pull, and where it is seen then; empty = not configured.

    :param bucket: of S3, or of a store that speaks S3's protocol
    :param prefix: of all keys in it; ends with ``/`` where there is one
    :param public_base_url: the URL prefix that is verified with TikTok; ends with ``/``
    """

    bucket: str = ""
    prefix: str = ""
    public_base_url: str = ""


@dataclass(frozen=True)
class Account:
    """
    One TikTok app and one creator's grant for it.

    :param conn_id: of the Connection
    :param client_key: of the app
    :param client_secret: of the app
    :param base_url: scheme, host and port of the API
    :param seed: the grant as first given
    :param media_conn_id: ``aws``-type Connection for ``s3://``; empty = boto3's own credential chain
    :param hosting: where media is put that TikTok has to pull
    :param rate_window: seconds of TikTok's minute
    :param cap_window: seconds of TikTok's day
    """

    conn_id: str
    client_key: str
    client_secret: str = field(repr=False)
    base_url: str = API_HOST
    seed: Seed = Seed()
    media_conn_id: str = ""
    hosting: Hosting = Hosting()
    rate_window: float = 60.0
    cap_window: float = 86400.0

    @property
    def is_local(self) -> bool:
        """Whether the API is on this machine, that is: a sandbox."""
        return _is_loopback(urlsplit(self.base_url).hostname or "")


def read_account(connection: Any, extra: Mapping[str, Any]) -> Account:
    """
    Read a Connection.

    :param connection: an Airflow Connection; its extra is not touched, since that may block
    :param extra: the Connection's extra
    :raises TikTokConfigError: something is missing or cannot be used
    """
    conn_id = str(connection.conn_id)
    _warn_of_unknown(conn_id, extra)
    if not connection.login or not connection.password:
        raise TikTokConfigError(
            f"Connection {conn_id}: client key (login) and client secret (password) are needed; both are on "
            "the app's page in TikTok's developer portal."
        )
    return Account(
        conn_id=conn_id,
        client_key=connection.login,
        client_secret=connection.password,
        base_url=_base_url(conn_id, connection, extra),
        seed=Seed(
            refresh_token=_token(conn_id, extra, "refresh_token"),
            access_token=_token(conn_id, extra, "access_token"),
            expires_at=_moment(conn_id, extra, "expires_at"),
            refresh_expires_at=_moment(conn_id, extra, "refresh_expires_at"),
            open_id=str(extra.get("open_id") or ""),
            scope=str(extra.get("scope") or ""),
        ),
        media_conn_id=str(extra.get("media_conn_id") or ""),
        hosting=_hosting(conn_id, extra),
        rate_window=_seconds(conn_id, extra, "rate_window", 60.0),
        cap_window=_seconds(conn_id, extra, "cap_window", 86400.0),
    )


def _warn_of_unknown(conn_id: str, extra: Mapping[str, Any]) -> None:
    unknown = tuple(sorted(set(extra) - set(EXTRAS)))
    if unknown and (conn_id, *unknown) not in _warned:
        _warned.add((conn_id, *unknown))
        log.warning("Connection %s: extra %s is not known and is ignored.", conn_id, ", ".join(unknown))


def _token(conn_id: str, extra: Mapping[str, Any], name: str) -> str:
    token = str(extra.get(name) or "").strip()  # pasted tokens bring a newline
    if not _TOKEN.fullmatch(token):
        raise TikTokConfigError(
            f"Connection {conn_id}: extra {name} holds characters that no token has, such as spaces or "
            "typographic signs: paste it again, as plain text."
        )
    return token


def _base_url(conn_id: str, connection: Any, extra: Mapping[str, Any]) -> str:
    host = (connection.host or "").strip()
    if not host.strip("/"):
        return API_HOST
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        name, port = parts.hostname or "", parts.port or connection.port
    except ValueError:
        parts, name, port = urlsplit(""), "", None
    extras = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _DEFAULT_PORTS or extras or not _HOST.fullmatch(name) or _SPACE.search(host):
        raise TikTokConfigError(
            f"Connection {conn_id}: host must be like https://open.tiktokapis.com, or empty for that."
        )
    insecure = str(extra.get("allow_insecure_host", "")).lower() in ("true", "1")
    if parts.scheme == "http" and not insecure and not _is_loopback(name):
        raise TikTokConfigError(
            f"Connection {conn_id}: host {name} would get tokens over plain http. Use https, or set the "
            "extra allow_insecure_host to true if the network between is yours."
        )
    name = f"[{name}]" if ":" in name else name
    port = None if port == _DEFAULT_PORTS[parts.scheme] else port
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _hosting(conn_id: str, extra: Mapping[str, Any]) -> Hosting:
    bucket, prefix, url = (
        str(extra.get(name) or "").strip()
        for name in ("media_bucket", "media_prefix", "media_public_base_url")
    )
    bucket, _, below = bucket.removeprefix("s3://").partition("/")
    prefix = "/".join(filter(None, f"{below}/{prefix}".split("/")))
    if url and not _is_base_url(url):
        raise TikTokConfigError(
            f"Connection {conn_id}: extra media_public_base_url must be like "
            "https://media.example.com/tiktok/, the URL prefix that is verified with TikTok."
        )
    if bucket and not url:
        raise TikTokConfigError(
            f"Connection {conn_id}: extra media_bucket needs media_public_base_url beside it: the https URL "
            "prefix, verified with TikTok, under which the bucket's objects are seen."
        )
    return Hosting(bucket, prefix and f"{prefix}/", url and f"{url.rstrip('/')}/")


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    more = "@" in parts.netloc or parts.query or parts.fragment or _SPACE.search(url)
    return parts.scheme in _DEFAULT_PORTS and bool(host) and not more


def _moment(conn_id: str, extra: Mapping[str, Any], name: str) -> float:
    value = extra.get(name)
    if value in (None, ""):
        return 0.0
    text = str(value)
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TikTokConfigError(
            f"Connection {conn_id}: extra {name} must be seconds since 1970, or like "
            "2026-11-02T10:00:00+00:00."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(conn_id: str, extra: Mapping[str, Any], name: str, default: float) -> float:
    value = extra.get(name)
    try:
        seconds = default if value in (None, "") else float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise TikTokConfigError(f"Connection {conn_id}: extra {name} must be a number of seconds above 0.")
    return seconds
