"""``airflow-tiktok status`` and ``revoke``, with the local TikTok."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result

from airflow_provider_tiktok.auth.account import read_account
from airflow_provider_tiktok.auth.grant import seed_grant, written
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import FakeVariables, endpoints_of, publish_connection, secrets_in
from tests.cli.airflow_database import FakeDatabase

Run = Callable[..., Result]
KEYS = [
    "conn_id",
    "condition",
    "needs_person",
    "problem",
    "fix",
    "creator",
    "open_id",
    "scopes",
    "live",
    "access_expires_at",
    "access_expires_in",
    "refresh_expires_at",
    "refresh_expires_in",
    "generation",
    "grant",
    "newer_login",
    "source",
    "host",
]


@pytest.fixture
def stored(
    airflow_database: FakeDatabase, variables: FakeVariables, tiktok: Sandbox
) -> Callable[..., dict[str, Any]]:
    """Store a Connection with a new grant; ``renewed`` = with a stored grant of some generation, too."""

    def store(
        conn_id: str = "tiktok_default", creator: str = "alice", *, renewed: int = 0, **options: Any
    ) -> dict[str, Any]:
        connection = tiktok.connection(creator, **options)
        fields = {name: connection[name] for name in ("conn_type", "login", "password", "host")}
        airflow_database.put(conn_id, **fields, extra=json.dumps(connection["extra"]))
        if renewed:
            from dataclasses import replace

            account = account_of(airflow_database, conn_id)
            grant = replace(
                seed_grant(account), generation=renewed, refresh_expires_at=time.time() + 86400 * 100
            )
            variables.values[f"tiktok_grant__{conn_id}"] = written(grant, account)
        return connection

    return store


def account_of(airflow_database: FakeDatabase, conn_id: str = "tiktok_default") -> Any:
    row = airflow_database.rows[conn_id]
    return read_account(row, row.extra_dejson)


def told(run: Run, *arguments: str) -> tuple[list[dict[str, Any]], Result]:
    result = run("status", "--json", *arguments)
    return json.loads(result.stdout)["accounts"], result


class TestJson:
    def test_says_all_there_is(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored(renewed=3)
        now = time.time()

        (account,), result = told(run)

        assert result.exit_code == 0
        assert list(account) == KEYS, "the documented ones: programs rely on them"
        moments = {name: account.pop(name) for name in KEYS if "expires" in name}
        assert account == {
            "conn_id": "tiktok_default",
            "condition": "ok",
            "needs_person": False,
            "problem": None,
            "fix": None,
            "creator": "Alice",
            "open_id": tiktok.creator("alice").open_id,
            "scopes": ["user.info.basic", "video.publish", "video.upload"],
            "live": True,
            "generation": 3,
            "grant": "stored",
            "newer_login": False,
            "source": "database",
            "host": tiktok.url,
        }
        assert moments["access_expires_in"] == pytest.approx(7200, abs=20)
        assert moments["refresh_expires_in"] == pytest.approx(8640000, abs=20)
        at = datetime.fromisoformat(moments["access_expires_at"])
        assert at.tzinfo == UTC
        assert at.timestamp() == pytest.approx(now + 7200, abs=20)

    def test_holds_no_secret_nor_does_the_table(
        self, run: Run, stored: Callable[..., Any], tiktok: Sandbox
    ) -> None:
        stored(renewed=1)
        stored("other", "bob")
        texts = [run("status").output, run("status", "--json").output]

        assert secrets_in(texts, *tiktok.secrets) == []

    def test_spends_nothing(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored(expires_in=1, renewed=1)
        stored("other", expires_in=7200)

        told(run)

        assert set(endpoints_of(tiktok)) == {"user_info"}

    def test_offline_asks_nobody(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored()

        (account,), _ = told(run, "--offline")

        assert endpoints_of(tiktok) == []
        assert (account["live"], account["creator"], account["condition"]) == (None, None, "ok")

    def test_none(self, run: Run, airflow_database: FakeDatabase, variables: FakeVariables) -> None:
        accounts, result = told(run)
        assert accounts == []
        assert result.exit_code == 0
        assert "airflow-tiktok login" in run("status").stderr


class TestWhichAccounts:
    def test_database_and_environment(
        self,
        run: Run,
        stored: Callable[..., Any],
        tiktok: Sandbox,
        airflow_database: FakeDatabase,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        stored("b")
        stored("a")
        airflow_database.put("web", conn_type="http")
        publish_connection(monkeypatch, "c", tiktok.connection("carol"))
        monkeypatch.setenv("AIRFLOW_CONN_JUNK", "{")
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "http"}')

        accounts, _ = told(run)

        assert [(each["conn_id"], each["source"]) for each in accounts] == [
            ("a", "database"),
            ("b", "database"),
            ("c", "environment variable AIRFLOW_CONN_C"),
        ]

    def test_the_one_that_hides_the_other(
        self, run: Run, stored: Callable[..., Any], tiktok: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored("a", "alice")
        publish_connection(monkeypatch, "a", tiktok.connection("carol"))

        (account,), _ = told(run)

        assert account["creator"] == "Carol"

    def test_named_ones(self, run: Run, stored: Callable[..., Any]) -> None:
        stored("a")
        stored("b")

        accounts, result = told(run, "--conn-id", "b", "--conn-id", "nope")

        assert [each["conn_id"] for each in accounts] == ["b", "nope"]
        assert accounts[1]["problem"] == "There is no Connection nope."
        assert result.exit_code == 1

    def test_without_a_database_what_is_named_or_in_the_environment(
        self,
        run: Run,
        airflow_database: FakeDatabase,
        variables: FakeVariables,
        tiktok: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        airflow_database.why = "it does not answer (OperationalError)"
        publish_connection(monkeypatch, "a", tiktok.connection("carol"))

        (account,), result = told(run)

        assert account["condition"] == "unknown"
        assert "stored grant is not known" in account["problem"]
        assert "cannot be used: it does not answer" in result.stderr
        assert result.exit_code == 1


class TestWhatIsBroken:
    def check(
        self, run: Run, problem: str, fix: str = "airflow-tiktok login --conn-id tiktok_default"
    ) -> None:
        (account,), result = told(run)
        assert account["condition"] == "broken"
        assert account["needs_person"] is True
        assert problem in account["problem"]
        assert account["fix"].startswith(fix)
        assert result.exit_code == 1
        table = run("status")
        assert table.exit_code == 1
        assert fix in table.stdout

    def test_no_grant(self, run: Run, airflow_database: FakeDatabase, variables: FakeVariables) -> None:
        airflow_database.put("tiktok_default", conn_type="tiktok", login="k", password="s")
        self.check(run, "there is no grant")

    def test_no_client_secret(
        self, run: Run, airflow_database: FakeDatabase, variables: FakeVariables
    ) -> None:
        airflow_database.put(
            "tiktok_default", conn_type="tiktok", login="k", extra='{"refresh_token": "rft.x"}'
        )
        self.check(run, "client secret (password) are needed")

    def test_another_client_secret(
        self, run: Run, stored: Callable[..., Any], airflow_database: FakeDatabase
    ) -> None:
        stored(renewed=2)
        airflow_database.rows["tiktok_default"].set_password("changed")
        self.check(run, "the stored grant cannot be read")

    def test_the_creator_has_removed_the_app(
        self, run: Run, stored: Callable[..., Any], tiktok: Sandbox
    ) -> None:
        stored()
        tiktok.remove_app("alice")
        self.check(
            run, "TikTok does not take", "airflow-tiktok status --refresh --conn-id tiktok_default tells"
        )

    def test_an_access_token_that_ended_alone(
        self, run: Run, stored: Callable[..., Any], airflow_database: FakeDatabase
    ) -> None:
        stored()
        extra = {**airflow_database.extra(), "refresh_token": "", "expires_at": time.time() - 5}
        airflow_database.rows["tiktok_default"].set_extra(json.dumps(extra))
        self.check(run, "there is no refresh token")

    def test_no_scope_to_publish(self, run: Run, stored: Callable[..., Any]) -> None:
        stored(scopes="user.info.basic")
        self.check(run, "nothing can be published")

    def test_a_store_that_does_not_answer_is_not_known(
        self, run: Run, stored: Callable[..., Any], variables: FakeVariables
    ) -> None:
        stored()
        variables.broken = True

        (account,), result = told(run)

        assert account["condition"] == "unknown"
        assert account["needs_person"] is True
        assert result.exit_code == 1

    def test_tiktok_that_does_not_answer(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored()
        tiktok.fault("user_info", action="error", code="internal_error", status=500, times=9)

        (account,), _ = told(run)

        assert account["condition"] == "unknown"
        assert account["live"] is None


def test_what_a_task_was_told_is_told_again(run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
    """Without asking TikTok once more, however long ago that was; a new login ends it."""
    stored(renewed=3, expires_in=1)
    tiktok.remove_app("alice")
    assert run("status", "--refresh").exit_code == 1
    requests = len(tiktok.requests)

    (account,), result = told(run)

    assert (account["condition"], result.exit_code) == ("broken", 1)
    assert "invalid_grant" in account["problem"]
    assert account["fix"] == "airflow-tiktok login --conn-id tiktok_default"
    assert len(tiktok.requests) == requests

    stored()
    assert told(run)[0][0]["condition"] == "ok"


def test_an_access_token_that_ended_is_no_trouble(run: Run, stored: Callable[..., Any]) -> None:
    """The next task refreshes it."""
    stored(expires_in=1)
    time.sleep(1.1)

    (account,), result = told(run)

    assert (account["condition"], account["live"], result.exit_code) == ("ok", None, 0)
    assert account["access_expires_in"] <= 0
    assert "ended" in run("status").stdout


def test_a_login_after_the_stored_grant_is_told(
    run: Run, stored: Callable[..., Any], variables: FakeVariables
) -> None:
    stored(renewed=5)
    stored()

    (account,), _ = told(run)

    assert (account["newer_login"], account["grant"], account["generation"]) == (True, "connection", 0)
    assert account["live"] is True
    assert "newer login" in run("status").stdout


def test_a_login_before_the_stored_grant_counts_no_more(
    run: Run, stored: Callable[..., Any], airflow_database: FakeDatabase, variables: FakeVariables
) -> None:
    from dataclasses import replace

    stored(renewed=5)
    old = airflow_database.rows["tiktok_default"]
    past = account_of(airflow_database).seed.fingerprint
    stored(renewed=1)
    account = account_of(airflow_database)
    grant = replace(seed_grant(account), generation=1, past_seeds=(past,))
    variables.values["tiktok_grant__tiktok_default"] = written(grant, account)
    airflow_database.rows["tiktok_default"] = old

    (told_of,), _ = told(run)

    assert (told_of["newer_login"], told_of["grant"]) == (False, "stored")


def test_a_grant_that_ends_soon_is_told(
    run: Run, stored: Callable[..., Any], airflow_database: FakeDatabase, variables: FakeVariables
) -> None:
    from dataclasses import replace

    stored()
    account = account_of(airflow_database)
    grant = replace(seed_grant(account), refresh_expires_at=time.time() + 86400 * 3)
    variables.values["tiktok_grant__tiktok_default"] = written(grant, account)

    (told_of,), result = told(run)

    assert (told_of["condition"], result.exit_code) == ("ending", 0)
    assert "status --refresh" in told_of["fix"]


def test_refresh(run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
    stored()

    (account,), result = told(run, "--refresh")

    assert result.exit_code == 0, result.output
    assert (account["generation"], account["grant"], account["live"]) == (1, "stored", True)
    assert account["refresh_expires_in"] == pytest.approx(180 * 86400, abs=30)
    assert endpoints_of(tiktok).count("token") == 1
    assert tiktok.reuses == 0


def test_refresh_of_a_removed_app(run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
    stored()
    tiktok.remove_app("alice")

    (account,), result = told(run, "--refresh")

    assert account["condition"] == "broken"
    assert "invalid_grant" in account["problem"]
    assert account["fix"] == "airflow-tiktok login --conn-id tiktok_default"
    assert result.exit_code == 1


class TestRevoke:
    def test_takes_the_permission_away_and_says_what_remains(
        self, run: Run, stored: Callable[..., Any], tiktok: Sandbox
    ) -> None:
        stored()

        result = run("revoke", "--conn-id", "tiktok_default", "--yes")

        assert result.exit_code == 0, result.output
        assert endpoints_of(tiktok) == ["revoke"]
        for remains in ("Connection tiktok_default", "tiktok_grant__tiktok_default", "airflow-tiktok login"):
            assert remains in result.stderr
        (account,), _ = told(run)
        assert account["live"] is False

    def test_refreshes_where_it_must(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored(expires_in=1)
        time.sleep(1.1)

        assert run("revoke", "--conn-id", "tiktok_default", "--yes").exit_code == 0
        assert endpoints_of(tiktok) == ["token", "revoke"]

    def test_does_nothing_unasked(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored()

        result = run("revoke", "--conn-id", "tiktok_default")

        assert result.exit_code == 1
        assert "--yes" in result.stderr
        assert endpoints_of(tiktok) == []

    def test_of_a_dead_grant(self, run: Run, stored: Callable[..., Any], tiktok: Sandbox) -> None:
        stored(expires_in=1)
        tiktok.remove_app("alice")
        time.sleep(1.1)

        result = run("revoke", "--conn-id", "tiktok_default", "--yes")

        assert result.exit_code == 1
        assert "invalid_grant" in result.stderr

    @pytest.mark.parametrize("conn_type", [None, "http"])
    def test_of_none(self, run: Run, airflow_database: FakeDatabase, conn_type: str | None) -> None:
        if conn_type:
            airflow_database.put("x", conn_type=conn_type)

        result = run("revoke", "--conn-id", "x", "--yes")

        assert result.exit_code == 1
        assert "There is no Connection x of type tiktok." in result.stderr
