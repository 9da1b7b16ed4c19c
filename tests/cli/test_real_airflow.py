"""The commands as a person runs them: processes, a browser, and Airflow's own database."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.cli.browser import decide
from tests.cli.program import Program, command_lines, environment

pytestmark = pytest.mark.integration

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: As root, in a container, and with nothing that a browser asks the world of its own accord.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def written(home: Path) -> str:
    """Everything that was written below the home but the database, where secrets are encrypted."""
    files = [path for path in home.rglob("*") if path.is_file() and path.suffix not in (".db", ".cfg")]
    return "\n".join(path.read_text(errors="replace") for path in files)


def rows(home: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(home / "airflow.db") as database:
        query = "SELECT conn_id, is_encrypted, is_extra_encrypted FROM connection WHERE conn_type = 'tiktok'"
        return database.execute(query).fetchall()


def leaks(sandbox: Sandbox, *texts: str) -> list[str]:
    assert len(sandbox.secrets) >= 3, "a client secret and a grant at least"
    return [secret for secret in sandbox.secrets for text in texts if secret in text]


def test_from_nothing_to_a_connection_with_a_real_browser(sandbox: Sandbox, tmp_path: Path) -> None:
    """No Airflow home, a person at a terminal who presses Enter, and a creator who presses Allow."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    home, keyboard = tmp_path / "home", pty.openpty()
    arguments = ("login", "--host", sandbox.url, "--no-browser")
    with playwright.sync_playwright() as driver, Program(home, *arguments, stdin=keyboard[1]) as program:
        os.write(keyboard[0], b"\n")  # yes, make the database
        url = program.url()
        context = driver.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        page = context.new_page()
        page.goto(url)
        assert "Allow this app to use your account?" in page.inner_text("body")
        seen = command_lines()
        page.click("#allow")
        page.wait_for_selector("text=You may close this window")
        assert page.title() == "Thank you"
        context.close()
        assert program.ended() == 0, program.err

    for each in keyboard:
        os.close(each)
    assert "Making Airflow's database" in program.err
    assert "Hello, Creator1!" in program.err
    assert program.out == ""
    assert rows(home) == [("tiktok_default", 1, 1)]
    assert leaks(sandbox, program.err, written(home), *seen, *command_lines()) == []

    with Program(home, "status", "--json") as status:
        assert status.ended() == 0, status.err
    (account,) = json.loads(status.out)["accounts"]
    assert (account["creator"], account["live"], account["source"]) == ("Creator1", True, "database")
    assert leaks(sandbox, status.out, status.err) == []


def test_pressing_deny_in_a_real_browser(sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver, Program(home, "login", "--host", sandbox.url) as program:
        url = program.url()
        context = driver.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        page = context.new_page()
        page.goto(url)
        page.click("#deny")
        page.wait_for_selector("text=Nothing was changed")
        context.close()
        assert program.ended() == 1

    assert "has not allowed the app" in program.err
    assert rows(home) == []


def test_printing_gives_nothing_but_the_connection(sandbox: Sandbox, home: Path) -> None:
    """However much Airflow logs."""
    with Program(home, "login", "--host", sandbox.url, "--print", "json") as program:
        location = decide(program.url())
        seen = command_lines()
        assert httpx.get(location).status_code == 200
        assert program.ended() == 0, program.err

    made = json.loads(program.out)
    assert made["extra"]["refresh_token"] in sandbox.secrets
    assert leaks(sandbox, program.err, written(home), *seen) == []
    assert rows(home) == []


def test_a_headless_server_takes_the_pasted_address(sandbox: Sandbox, home: Path) -> None:
    with Program(home, "login", "--host", sandbox.url, stdin=subprocess.PIPE) as program:
        location = decide(program.url())
        assert program.process.stdin is not None
        program.process.stdin.write(f"not this\n{location}\n")
        program.process.stdin.close()
        assert program.ended() == 0, program.err

    assert "This is not the address" in program.err
    assert rows(home) == [("tiktok_default", 1, 1)]


def test_a_web_app(sandbox: Sandbox, home: Path) -> None:
    arguments = ("login", "--host", sandbox.url, "--redirect-uri", "https://airflow.example.com/tiktok/")
    with Program(home, *arguments, stdin=subprocess.PIPE) as program:
        url = program.url()
        assert "code_challenge" not in url
        location = decide(url, creator="creator2")
        assert location.startswith("https://airflow.example.com/tiktok/?code=")
        assert program.process.stdin is not None
        program.process.stdin.write(f"{location}\n")
        program.process.stdin.flush()
        assert program.ended() == 0, program.err

    assert "Hello, Creator2!" in program.err


def test_without_a_database_and_nobody_to_ask_it_prints(sandbox: Sandbox, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Program(home, "login", "--host", sandbox.url) as program:
        httpx.get(decide(program.url()))
        assert program.ended() == 0, program.err

    assert "there is none yet" in program.err
    assert "# env\nexport AIRFLOW_CONN_TIKTOK_DEFAULT=" in program.out
    assert not (home / "airflow.db").exists()


def test_a_database_of_another_airflow_is_said(sandbox: Sandbox, home: Path) -> None:
    with sqlite3.connect(home / "airflow.db") as database:
        database.execute("DROP TABLE connection")

    with Program(home, "login", "--host", sandbox.url) as program:
        httpx.get(decide(program.url()))
        assert program.ended() == 0, program.err

    assert "it is not migrated to this Airflow" in program.err
    assert "# json" in program.out


def test_ctrl_c_while_it_waits(sandbox: Sandbox, home: Path) -> None:
    with Program(home, "login", "--host", sandbox.url) as program:
        program.url()
        program.process.send_signal(signal.SIGINT)
        assert program.ended(10) == 1

    assert "Aborted!" in program.err
    assert "Traceback" not in program.err
    assert rows(home) == []


def test_refresh_status_and_revoke(sandbox: Sandbox, home: Path) -> None:
    """Through Airflow's own Variables, in a process that is no task."""
    with Program(home, "login", "--host", sandbox.url) as program:
        httpx.get(decide(program.url()))
        assert program.ended() == 0, program.err

    with Program(home, "status", "--json", "--refresh") as status:
        assert status.ended() == 0, status.err
    (account,) = json.loads(status.out)["accounts"]
    assert (account["generation"], account["grant"], account["live"]) == (1, "stored", True)

    with Program(home, "revoke", "--conn-id", "tiktok_default", "--yes") as revoke:
        assert revoke.ended() == 0, revoke.err
    with Program(home, "status") as status:
        assert status.ended() == 1
    assert "TikTok does not take it" in status.out
    assert leaks(sandbox, status.out, status.err, revoke.out, revoke.err, written(home)) == []
    assert sandbox.reuses == 0


def test_as_a_command_of_airflow(sandbox: Sandbox, home: Path) -> None:
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager, "cli_command_functions"):
        pytest.skip("providers add commands from Airflow 3.2 on")
    more = {"AIRFLOW_CONN_SHOP": json.dumps(sandbox.connection("carol"))}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "tiktok", "status", "--json", "--conn-id", "shop"],
        env=environment(home, **more) | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accounts"][0]["creator"] == "Carol"
