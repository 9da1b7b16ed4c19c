"""What tests of grants share: a token endpoint that rotates at once, and Variables that can be disturbed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx

from airflow_provider_tiktok import register
from airflow_provider_tiktok.api.client import Client, Policy
from airflow_provider_tiktok.api.transport import Transport
from airflow_provider_tiktok.auth.account import Account, Seed
from airflow_provider_tiktok.auth.grant import Grant, read_back, written
from tests.airflow_tasks import FakeVariables

SEED = Seed("rft.0", open_id="o", scope="video.publish")
ACCOUNT = Account("tiktok_default", "ck", "cs", "https://open.tiktokapis.com", SEED)
KEY = register.name("grant", ACCOUNT.conn_id)
#: Seconds of L; a renewal takes a bit longer than that.
QUICK = 0.1


class TokenEndpoint:
    """TikTok's: a refresh token works once, and one that comes again burns the grant."""

    def __init__(self) -> None:
        self.live = "rft.0"
        self.count = 0
        self.spent: list[str] = []
        self.burned = False
        self.answer: dict[str, Any] = {
            "expires_in": 7200,
            "refresh_expires_in": 15552000,
            "open_id": "o",
            "scope": "video.publish,video.upload",
        }
        self.faults: list[Callable[[], httpx.Response] | Exception] = []
        self.before_answer: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert form["client_key"] == "ck"
        assert form["client_secret"] == "cs"
        assert form["grant_type"] == "refresh_token"
        with self._lock:
            given = form["refresh_token"]
            self.spent.append(given)
            if self.faults:
                fault = self.faults.pop(0)
                if isinstance(fault, Exception):
                    raise fault
                return fault()
            if self.burned or given != self.live:
                self.burned = True
                return refused()
            self.count += 1
            self.live = f"rft.{self.count}"
            answer = {"access_token": f"act.{self.count}", "refresh_token": self.live} | self.answer
        self.before_answer()
        return httpx.Response(200, json={name: value for name, value in answer.items() if value is not None})

    def client(self) -> Client:
        """A client that reaches nothing but this."""
        return Client(Policy(ACCOUNT.base_url), transport=Transport(httpx.MockTransport(self)))


def refused() -> httpx.Response:
    return httpx.Response(
        200, json={"error": "invalid_grant", "error_description": "Refresh token is invalid", "log_id": "L"}
    )


class Variables(FakeVariables):
    """Variables that can be disturbed: ``disturb(what, key)`` is called before each access, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.disturb: Callable[[str, str], None] = lambda what, key: None
        self.calls: list[tuple[str, str]] = []

    def get(self, key: str) -> str:
        self._disturbed("get", key)
        return super().get(key)

    def set(self, key: str, value: str) -> None:
        self._disturbed("set", key)
        super().set(key, value)

    def _disturbed(self, what: str, key: str) -> None:
        self.calls.append((what, key))
        self.disturb(what, key)

    def refuse(self, what: str, key: str = "") -> None:
        """From now on one kind of access fails, to one key or all."""

        def disturb(done: str, touched: str) -> None:
            if done == what and key in ("", touched):
                raise RuntimeError("500")

        self.disturb = disturb

    def heal(self) -> None:
        """From now on all is well."""
        self.disturb = lambda what, key: None


def put(variables: FakeVariables, account: Account = ACCOUNT, **fields: Any) -> Grant:
    """Have a grant in the store, alive and not due unless told otherwise."""
    given: dict[str, Any] = {
        "access_token": "act.stored",
        "refresh_token": "rft.0",
        "expires_at": time.time() + 7200,
        "seed": account.seed.fingerprint,
        "generation": 5,
    }
    grant = Grant(**given | fields)
    variables.values[register.name("grant", account.conn_id)] = written(grant, account)
    return grant


def kept(variables: FakeVariables, account: Account = ACCOUNT) -> Grant:
    """The grant that is in the store."""
    return read_back(variables.values[register.name("grant", account.conn_id)], account)


def claim_key(generation: int, seed: Seed = SEED) -> str:
    return register.name("claim", ACCOUNT.conn_id, seed.fingerprint, str(generation))


def refusal_key(generation: int, seed: Seed = SEED) -> str:
    return register.name("refusal", ACCOUNT.conn_id, seed.fingerprint, str(generation))


def due(**more: Any) -> dict[str, Any]:
    return {"expires_at": time.time() + 300, "access_token": "act.due"} | more


def dead(**more: Any) -> dict[str, Any]:
    return {"expires_at": time.time() - 1, "access_token": "act.dead"} | more


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)
