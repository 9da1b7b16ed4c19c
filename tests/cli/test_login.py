"""``airflow-tiktok login``, with the local TikTok and a creator at a browser."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from click.testing import Result

from airflow_provider_tiktok.auth.account import read_account
from airflow_provider_tiktok.cli import database
from airflow_provider_tiktok.cli.terminal import Terminal
from airflow_provider_tiktok.exceptions import TikTokStoreError
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import secrets_in
from tests.cli.airflow_database import FakeDatabase
from tests.cli.browser import Browser
from tests.cli.conftest import SECRET

Login = Callable[..., Result]


def printed_json(result: Result) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    return json.loads(line)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Somebody at the keyboard; gives the questions that were asked. Answers are CliRunner's input."""
    asked: list[str] = []
    monkeypatch.setattr(Terminal, "has_person", property(lambda _: True))
    prompt, confirm = click.prompt, click.confirm

    def note(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asks(text: str, **options: Any) -> Any:
            asked.append(text)
            return ask(text, **options)

        return asks

    monkeypatch.setattr(click, "prompt", note(prompt))
    monkeypatch.setattr(click, "confirm", note(confirm))
    return asked


@pytest.fixture
def own_secret(tiktok: Sandbox) -> Iterator[str]:
    """An app whose secret is not every sandbox's."""
    tiktok.knobs.update({"client_secret": "our-own-secret"})
    yield "our-own-secret"
    tiktok.knobs.update({"client_secret": SECRET})


class TestStored:
    def test_it_is_a_connection_that_a_task_can_use(
        self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox
    ) -> None:
        before = time.time()

        result = login()

        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert "Hello, Creator1!" in result.stderr
        assert "Stored as Connection tiktok_default" in result.stderr
        row = airflow_database.rows["tiktok_default"]
        account = read_account(row, row.extra_dejson)
        assert (account.client_key, account.client_secret) == ("sandbox-client-key", SECRET)
        assert account.base_url == tiktok.url
        assert account.seed.refresh_token.startswith("rft.")
        assert account.seed.access_token.startswith("act.")
        assert before + 7199 <= account.seed.expires_at <= time.time() + 7200
        assert account.seed.open_id == tiktok.creator("creator1").open_id
        assert account.seed.scope == "user.info.basic,video.publish,video.upload"

    def test_nothing_secret_is_shown_or_logged(
        self, login: Login, tiktok: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("httpx").disabled = True  # the browser's own

        result = login()

        logging.getLogger("httpx").disabled = False
        assert secrets_in([result.stdout, result.stderr, caplog.text], *tiktok.secrets) == []

    def test_the_rest_of_a_connection_stays(
        self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox, run: Callable[..., Result]
    ) -> None:
        extra = {"refresh_token": "rft.old", "media_bucket": "b", "rate_window": 5, "scope": "video.list"}
        airflow_database.put(
            "shop",
            conn_type="tiktok",
            host=tiktok.url,
            login="sandbox-client-key",
            password=SECRET,
            extra=json.dumps(extra),
        )

        result = run("login", "--conn-id", "shop", "--timeout", "20")

        assert result.exit_code == 0, result.stderr
        kept = airflow_database.extra("shop")
        assert (kept["media_bucket"], kept["rate_window"]) == ("b", 5)
        assert kept["refresh_token"] != "rft.old"
        assert kept["scope"] == "user.info.basic,video.publish,video.upload"
        assert airflow_database.rows["shop"].host == tiktok.url

    def test_fewer_scopes_are_told_by_what_will_not_work(
        self, login: Login, browser: Browser, airflow_database: FakeDatabase
    ) -> None:
        browser.how = {"without": ("video.publish", "user.info.basic")}

        result = login()

        assert result.exit_code == 0
        assert "Not allowed, so it will not work: video.publish: direct posts." in result.stderr
        assert "user.info.basic: the creator's name" in result.stderr
        assert "Hello" not in result.stderr
        assert airflow_database.extra()["scope"] == "video.upload"

    def test_a_grant_without_any_publishing_is_told(self, login: Login, browser: Browser) -> None:
        browser.how = {"without": ("video.publish", "video.upload")}

        assert "nothing can be published" in login().stderr

    def test_without_user_info_the_name_comes_from_creator_info(self, login: Login, browser: Browser) -> None:
        browser.how = {"without": ("user.info.basic",)}

        assert "Hello, Creator1!" in login().stderr

    def test_other_scopes_may_be_asked_for(self, login: Login, browser: Browser) -> None:
        result = login("--scopes", "video.list user.info.basic")

        assert "scope=video.list%2Cuser.info.basic&" in browser.urls[0]
        assert "Allowed: video.list, user.info.basic" in result.stderr

    def test_a_registered_port_and_path(self, login: Login, browser: Browser) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        assert login("--redirect-uri", f"http://localhost:{port}/done").exit_code == 0
        assert browser.redirects[0].startswith(f"http://localhost:{port}/done?code=")
        assert login("--port", str(port)).exit_code == 0
        assert browser.redirects[1].startswith(f"http://127.0.0.1:{port}/callback/?code=")


class TestApp:
    def test_key_and_secret_come_from_the_environment(
        self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox, own_secret: str
    ) -> None:
        tiktok.knobs.update({"client_key": "ours"})

        result = login(env={"TIKTOK_CLIENT_KEY": "ours", "TIKTOK_CLIENT_SECRET": own_secret})

        assert result.exit_code == 0, result.stderr
        assert airflow_database.rows["tiktok_default"].login == "ours"
        assert airflow_database.rows["tiktok_default"].password == own_secret

    def test_or_are_asked_for(
        self, login: Login, airflow_database: FakeDatabase, own_secret: str, person: list[str]
    ) -> None:
        result = login("--client-key", "sandbox-client-key", input=f"{own_secret}\n")

        assert result.exit_code == 0, result.stderr
        assert person == ["Client secret of your app (not shown)"]
        assert own_secret not in result.output
        assert airflow_database.rows["tiktok_default"].password == own_secret

    def test_where_nobody_can_be_asked_it_says_what_to_set(self, login: Login, browser: Browser) -> None:
        result = login("--client-key", "another")

        assert result.exit_code == 1
        assert "TIKTOK_CLIENT_SECRET" in result.stderr
        assert browser.urls == []

    def test_the_secret_is_no_option(self, login: Login) -> None:
        assert login("--client-secret", "x").exit_code == 2

    def test_a_secret_is_not_sent_to_another_host(
        self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox
    ) -> None:
        airflow_database.put("tiktok_default", conn_type="tiktok", login="real", password="real-secret")

        refused = login()
        allowed = login("--yes")

        assert refused.exit_code == 1
        assert "for another host" in refused.stderr
        assert allowed.exit_code == 0, allowed.stderr
        assert airflow_database.rows["tiktok_default"].login == "sandbox-client-key"
        assert airflow_database.rows["tiktok_default"].host == tiktok.url

    def test_http_to_another_machine_is_refused(
        self, run: Callable[..., Result], airflow_database: FakeDatabase
    ) -> None:
        result = run("login", "--host", "http://tiktok.example.com", "--client-key", "k")

        assert result.exit_code == 1
        assert "plain http" in result.stderr

    def test_a_wrong_secret(self, login: Login, airflow_database: FakeDatabase) -> None:
        result = login(
            env={"TIKTOK_CLIENT_KEY": "sandbox-client-key", "TIKTOK_CLIENT_SECRET": "wrong-secret"}
        )

        assert result.exit_code == 1
        assert "invalid_client" in result.stderr
        assert "client secret (password)" in result.stderr
        assert "wrong-secret" not in result.output
        assert airflow_database.rows == {}


class TestRefused:
    def test_cancel(self, login: Login, browser: Browser, airflow_database: FakeDatabase) -> None:
        browser.how = {"decision": "deny"}

        result = login()

        assert result.exit_code == 1
        assert "The creator has not allowed the app. Nothing was changed." in result.stderr
        browser.close()
        assert "Nothing was changed" in browser.pages[0].text
        assert airflow_database.rows == {}

    def test_an_app_without_the_scope(self, login: Login) -> None:
        result = login("--scopes", "video.unheard")

        assert result.exit_code == 1
        assert "invalid_scope" in result.stderr
        assert "developer portal" in result.stderr

    def test_an_expired_code(self, login: Login, tiktok: Sandbox) -> None:
        tiktok.knobs.update({"code_seconds": 0.0})

        result = login()

        assert result.exit_code == 1
        assert "a code works once and for minutes only" in result.stderr
        assert "log in again" in result.stderr

    @pytest.mark.parametrize("status", [200, 400, 401])
    def test_an_error_with_any_http_status(self, login: Login, tiktok: Sandbox, status: int) -> None:
        tiktok.knobs.update({"code_seconds": 0.0, "oauth_error_status": status})

        assert "invalid_grant" in login().stderr

    def test_a_lost_answer(self, login: Login, tiktok: Sandbox, airflow_database: FakeDatabase) -> None:
        fault = tiktok.fault("token", action="drop", when="after", times=1)

        result = login()

        assert result.exit_code == 1
        assert "The code may be spent now" in result.stderr
        assert fault.hits == 1
        assert airflow_database.rows == {}

    def test_another_type_of_connection_is_left_alone(
        self, login: Login, airflow_database: FakeDatabase, browser: Browser
    ) -> None:
        airflow_database.put("tiktok_default", conn_type="http", host="example.com")

        result = login()

        assert result.exit_code == 1
        assert "of type http already" in result.stderr
        assert "--conn-id" in result.stderr
        assert browser.urls == []
        assert airflow_database.rows["tiktok_default"].conn_type == "http"

    @pytest.mark.parametrize("conn_id", ["", "a b", "ü", "a/b", "x" * 201])
    def test_an_id_that_airflow_does_not_take(self, login: Login, conn_id: str, browser: Browser) -> None:
        assert "The id of a Connection" in login("--conn-id", conn_id).stderr
        assert browser.urls == []

    def test_no_scopes(self, login: Login) -> None:
        assert "--scopes is empty" in login("--scopes", " ").stderr

    def test_a_port_in_use(self, login: Login) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as taken:
            result = login("--port", str(taken.getsockname()[1]))

        assert result.exit_code == 1
        assert "cannot be listened on" in result.stderr


class TestAnotherCreator:
    """A Connection that changes its creator would let its tasks post to somebody else's account."""

    def test_is_not_stored_unasked(
        self, login: Login, browser: Browser, airflow_database: FakeDatabase
    ) -> None:
        login()
        before = airflow_database.extra()
        browser.how = {"creator": "creator2"}

        result = login()

        assert result.exit_code == 1
        assert "stays with the creator" in result.stderr
        assert airflow_database.extra() == before
        assert "rft." in result.stdout, "the grant is not lost"

    def test_is_stored_when_asked_for(
        self,
        login: Login,
        browser: Browser,
        airflow_database: FakeDatabase,
        tiktok: Sandbox,
        person: list[str],
    ) -> None:
        login()
        browser.how = {"creator": "creator2"}

        result = login(input="y\n")

        assert result.exit_code == 0
        assert "let its tasks post as Creator2 now?" in person[0]
        assert airflow_database.extra()["open_id"] == tiktok.creator("creator2").open_id

    def test_the_same_creator_is_never_asked_about(self, login: Login, person: list[str]) -> None:
        login()
        assert login().exit_code == 0
        assert person == []


class TestPrinted:
    def test_as_json(self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox) -> None:
        result = login("--print", "json")

        made = printed_json(result)
        assert result.exit_code == 0
        assert (made["conn_type"], made["login"], made["password"]) == (
            "tiktok",
            "sandbox-client-key",
            SECRET,
        )
        assert made["host"] == tiktok.url
        assert made["extra"]["refresh_token"].startswith("rft.")
        assert "SECRETS" in result.stderr
        assert airflow_database.rows == {}

    @pytest.mark.parametrize("form", ["uri", "env"])
    def test_as_what_airflow_reads_back(
        self, login: Login, form: str, tiktok: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        text = login("--print", form, "--conn-id", "shop").stdout.strip()
        if form == "env":
            (text,) = shlex.split(text.removeprefix("export AIRFLOW_CONN_SHOP="))
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", text)

        account = TikTokHook("shop").account
        assert account.base_url == tiktok.url
        assert account.client_secret == SECRET
        assert account.seed.refresh_token in tiktok.secrets

    def test_where_there_is_no_database(self, login: Login, airflow_database: FakeDatabase) -> None:
        airflow_database.why = "it does not answer (OperationalError)"

        result = login()

        assert result.exit_code == 0
        assert "cannot be used: it does not answer (OperationalError)" in result.stderr
        for form in ("# json\n{", "# uri\ntiktok://", "# env\nexport AIRFLOW_CONN_TIKTOK_DEFAULT="):
            assert form in result.stdout
        assert "act." not in result.stderr

    def test_where_the_environment_would_hide_it(
        self, login: Login, airflow_database: FakeDatabase, tiktok: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = tiktok.connection("creator1", media_bucket="b")
        monkeypatch.setenv("AIRFLOW_CONN_TIKTOK_DEFAULT", json.dumps(connection))

        result = login()

        assert result.exit_code == 0
        assert "environment variable AIRFLOW_CONN_TIKTOK_DEFAULT holds" in result.stderr
        assert '"media_bucket": "b"' in result.stdout
        assert connection["extra"]["refresh_token"] not in result.stdout
        assert airflow_database.rows == {}

    def test_where_a_secrets_backend_does_not_answer(
        self, login: Login, airflow_database: FakeDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.secrets.environment_variables import EnvironmentVariablesBackend

        def fail(*_: Any, **__: Any) -> None:
            raise PermissionError("with a secret in its text")

        monkeypatch.setattr(EnvironmentVariablesBackend, "get_connection", fail)

        result = login()

        assert result.exit_code == 0
        assert "PermissionError" in result.stderr
        assert "with a secret" not in result.output
        assert "# json" in result.stdout

    def test_what_a_variable_holds_that_is_no_connection(
        self, login: Login, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_TIKTOK_DEFAULT", "{not json: secret")

        result = login()

        assert "environment variable AIRFLOW_CONN_TIKTOK_DEFAULT" in result.stderr
        assert "not json" not in result.output

    def test_an_id_that_no_shell_can_set(self, login: Login) -> None:
        assert login("--print", "env", "--conn-id", "a-b").stdout.startswith("env AIRFLOW_CONN_A-B='{")


class TestNeverLost:
    """A code works once: from its exchange on, whatever goes wrong, the grant is shown."""

    @pytest.mark.parametrize(
        "failure", [TikTokStoreError("the database is gone"), RuntimeError("anything"), MemoryError()]
    )
    def test_storing_fails(self, login: Login, airflow_database: FakeDatabase, failure: Exception) -> None:
        airflow_database.breaks = failure

        result = login()

        assert result.exit_code == 1
        assert "is not lost" in result.stderr
        assert '"refresh_token": "rft.' in result.stdout

    def test_ctrl_c(self, login: Login, airflow_database: FakeDatabase) -> None:
        airflow_database.breaks = KeyboardInterrupt()

        result = login()

        assert result.exit_code != 0
        assert '"refresh_token": "rft.' in result.stdout

    def test_the_name_cannot_be_asked(
        self, login: Login, tiktok: Sandbox, airflow_database: FakeDatabase
    ) -> None:
        tiktok.fault("user_info", action="error", code="internal_error", status=500, times=9)

        result = login()

        assert result.exit_code == 0
        assert "name could not be asked" in result.stderr
        assert "tiktok_default" in airflow_database.rows

    def test_no_answer_to_the_name(
        self, login: Login, monkeypatch: pytest.MonkeyPatch, airflow_database: FakeDatabase
    ) -> None:
        from airflow_provider_tiktok.cli import login as module

        def fail(*_: Any) -> str:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(module, "name_of", fail)

        result = login()

        assert result.exit_code == 1
        assert '"refresh_token": "rft.' in result.stdout


def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(database, "missing_file", lambda: None)
    monkeypatch.setattr(database, "_fault", lambda: time.sleep(1))

    assert "does not answer" in database.fault()
