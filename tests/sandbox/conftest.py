"""One sandbox for all tests of this folder, without a memory of the test before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.sandbox.caller import Caller, Host

FAST = {"processing_seconds": 0.0, "moderation_seconds": 0.0}


@pytest.fixture(scope="session")
def _running() -> Iterator[Sandbox]:
    with Sandbox(**FAST) as running:
        yield running


@pytest.fixture
def sandbox(_running: Sandbox) -> Sandbox:
    """A sandbox without memory: knobs as they come but for processing, which takes no time."""
    _running.knobs.update(Knobs().shown())
    _running.knobs.update(FAST)
    _running._in_loop(_running._world.accounts.creators.clear)
    _running._in_loop(_running._world.accounts.codes.clear)
    _running.reset()
    return _running


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture
def caller(sandbox: Sandbox, http: httpx.Client) -> Callable[..., Caller]:
    """Makes clients: ``caller("creator1", scopes=...)``."""

    def make(username: str = "creator1", **options: Any) -> Caller:
        return Caller(sandbox, http, sandbox.grant(username, **options))

    return make


@pytest.fixture
def alice(caller: Callable[..., Caller]) -> Caller:
    return caller("alice")


@pytest.fixture
def host() -> Iterator[Host]:
    served = Host()
    yield served
    served.close()
