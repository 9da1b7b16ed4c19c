"""What tests of the command line start with: a local TikTok, a browser, and a database in memory."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from click.testing import CliRunner, Result

from airflow_provider_tiktok.cli.commands import tiktok as commands
from airflow_provider_tiktok.sandbox.knobs import Knobs
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import forget_masks
from tests.cli.airflow_database import FakeDatabase
from tests.cli.browser import Browser

SECRET = Knobs().client_secret


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the developer's own."""
    for name in list(os.environ):
        if name.startswith(("TIKTOK_CLIENT_", "AIRFLOW_CONN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DISPLAY", ":0")  # a browser may be opened
    yield
    with suppress(ImportError):  # Airflow 3.0 keeps them elsewhere
        forget_masks()


@pytest.fixture
def airflow_database(monkeypatch: pytest.MonkeyPatch) -> FakeDatabase:
    fake = FakeDatabase()
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A creator who allows the app; set ``browser.how`` for another one."""
    browser = Browser()
    monkeypatch.setattr(webbrowser, "open", browser.open)
    yield browser
    browser.close()


@pytest.fixture
def run(tiktok: Sandbox, quick_tls: None) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(commands, arguments, catch_exceptions=False, **options)

    return run


@pytest.fixture
def login(
    run: Callable[..., Result], tiktok: Sandbox, airflow_database: FakeDatabase, browser: Browser
) -> Callable[..., Result]:
    """Log in at the local TikTok."""

    def login(*arguments: str, **options: Any) -> Result:
        return run("login", "--host", tiktok.url, "--timeout", "20", *arguments, **options)

    return login
