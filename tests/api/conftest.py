"""What the tests of the client share: one handler for both clients, and misbehaving servers on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airflow_provider_tiktok.api import client as client_module
from airflow_provider_tiktok.api.client import AsyncClient, Client, Policy
from airflow_provider_tiktok.api.endpoints import Call
from airflow_provider_tiktok.api.transport import Answer, AsyncTransport, Request, Transport
from tests.api.server import Behave, Server

Handler = Callable[[httpx.Request], httpx.Response]


class FakeTokens:
    """Gives act.0, and the next one for each that was refused."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def token(self, refused: str = "") -> str:
        self.asked.append(refused)
        return f"act.{sum(map(bool, self.asked))}"

    async def atoken(self, refused: str = "") -> str:
        return self.token(refused)


class Driver:
    """Makes a call through the sync or the async client; ``pauses`` are what it would have slept."""

    def __init__(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kind = kind
        self.pauses: list[float] = []
        self.tokens = FakeTokens()

        async def asleep(seconds: float) -> None:
            self.pauses.append(seconds)

        monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=self.pauses.append))
        monkeypatch.setattr(client_module, "asyncio", SimpleNamespace(sleep=asleep))

    def call(self, call: Call[Any], handler: Handler, tokens: Any = None, **policy: Any) -> Any:
        mock, tokens = httpx.MockTransport(handler), tokens or self.tokens
        rules = Policy(**{"base_url": "https://open.tiktokapis.com"} | policy)
        if self.kind == "sync":
            client = Client(rules, tokens, Transport(mock))
            try:
                return client.call(call)
            finally:
                client.close()

        async def run() -> Any:
            client = AsyncClient(rules, tokens, AsyncTransport(mock))
            try:
                return await client.call(call)
            finally:
                await client.aclose()

        return asyncio.run(run())


class Sender:
    """Sends requests over real sockets, in turn, by one sync or one async transport."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def send(self, *requests: Request) -> list[Answer | Exception]:
        return self._send(requests) if self.kind == "sync" else asyncio.run(self._asend(requests))

    def _send(self, requests: tuple[Request, ...]) -> list[Answer | Exception]:
        transport, got = Transport(), []
        for request in requests:
            try:
                got.append(transport.send(request))
            except Exception as error:
                got.append(error)
        transport.close()
        return got

    async def _asend(self, requests: tuple[Request, ...]) -> list[Answer | Exception]:
        transport, got = AsyncTransport(), []
        for request in requests:
            try:
                got.append(await transport.send(request))
            except Exception as error:
                got.append(error)
        await transport.aclose()
        return got


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(request.param, monkeypatch)


@pytest.fixture(params=["sync", "async"])
def sender(request: pytest.FixtureRequest) -> Sender:
    return Sender(request.param)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throwaway certificate, and its key, for 127.0.0.1 and tiktok.test."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("tiktok.test")]
            ),
            critical=False,
        )
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def serve(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Starts servers that misbehave; clients of this test trust their certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    started: list[Server] = []

    def start(behave: Behave, *, tls: bool = False) -> Server:
        context = None
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        started.append(Server(behave, context))
        return started[-1]

    yield start
    for server in started:
        server.close()
