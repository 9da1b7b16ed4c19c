"""Where the live grant is kept: Variables, a store of the deployment's own, and how that is named."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.store import CheckedStore, VariableStore, configured_store
from airflow_provider_tiktok.exceptions import TikTokConfigError, TikTokConsentError, TikTokStoreError
from tests.auth.grants import KEY, Variables


class TestVariables:
    def test_round_trip(self, variables: Variables) -> None:
        store = VariableStore()
        assert store.load("tiktok_default") is None
        store.save("tiktok_default", "one")
        store.save("tiktok_default", "two")
        assert VariableStore().load("tiktok_default") == "two"
        assert variables.values == {KEY: "two"}

    def test_each_account_has_its_own(self, variables: Variables) -> None:
        store = VariableStore()
        store.save("a", "of a")
        store.save("b", "of b")
        assert (store.load("a"), store.load("b"), store.load("c")) == ("of a", "of b", None)

    def test_a_failed_read_is_no_absence(self, variables: Variables) -> None:
        variables.refuse("get")
        with pytest.raises(TikTokStoreError):
            VariableStore().load("tiktok_default")

    def test_a_write_that_does_not_read_back_does_not_count(self, variables: Variables) -> None:
        variables.refuse("set")
        with pytest.raises(TikTokStoreError) as caught:
            VariableStore().save("tiktok_default", "sealed")
        assert "sealed" not in str(caught.value)

    @pytest.mark.parametrize("value", ["", "{}", "x"])
    def test_an_environment_variable_that_hides_it(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        """Airflow gives its value for ever, whatever is written: told before a refresh token is spent."""
        variables.values[KEY] = "live"
        monkeypatch.setenv("AIRFLOW_VAR_TIKTOK_GRANT__TIKTOK_DEFAULT", value)
        with pytest.raises(TikTokConfigError, match=r"AIRFLOW_VAR_TIKTOK_GRANT__TIKTOK_DEFAULT.*remove it"):
            VariableStore().load("tiktok_default")
        assert variables.calls == []

    def test_an_environment_variable_that_hides_a_name_that_is_a_digest(
        self, variables: Variables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A Connection whose id looks sensitive has its grant under a digest."""
        name = register.name("grant", "my_access_token")
        assert "my_access_token" not in name
        monkeypatch.setenv(f"AIRFLOW_VAR_{name.upper()}", "x")
        with pytest.raises(TikTokConfigError):
            VariableStore().load("my_access_token")


class Shelf:
    """A store of the deployment's own."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.load_fails: Exception | None = None
        self.save_fails: Exception | None = None
        self.loses = False

    def load(self, conn_id: str) -> Any:
        if self.load_fails:
            raise self.load_fails
        return self.kept.get(conn_id)

    def save(self, conn_id: str, text: str) -> None:
        if not self.loses:
            self.kept[conn_id] = text
        if self.save_fails:
            raise self.save_fails


class TestAStoreOfOnesOwn:
    def test_round_trip(self) -> None:
        store = CheckedStore(Shelf())
        assert store.load("a") is None
        store.save("a", "text")
        assert store.load("a") == "text"

    def test_its_errors_are_told_without_their_text(self) -> None:
        """Which may hold what the store holds, or a password of its own."""
        shelf = Shelf()
        shelf.load_fails = RuntimeError("SECRET")
        with pytest.raises(
            TikTokStoreError, match=r"Shelf.*could not load.*tiktok_default.*RuntimeError"
        ) as it:
            CheckedStore(shelf).load("tiktok_default")
        assert "SECRET" not in str(it.value)
        assert it.value.__cause__ is None
        assert it.value.__suppress_context__

    def test_its_error_while_saving(self) -> None:
        shelf = Shelf()
        shelf.save_fails, shelf.loses = PermissionError("SECRET"), True
        with pytest.raises(
            TikTokStoreError, match=r"Shelf.*could not save.*PermissionError.*may write"
        ) as it:
            CheckedStore(shelf).save("a", "SECRET")
        assert "SECRET" not in str(it.value)

    def test_what_is_there_counts_though_saving_raised(self) -> None:
        shelf = Shelf()
        shelf.save_fails = TimeoutError()
        CheckedStore(shelf).save("a", "text")
        assert shelf.kept == {"a": "text"}

    @pytest.mark.parametrize("before", [None, "older"])
    def test_what_is_not_there_does_not_count_though_saving_went_well(self, before: str | None) -> None:
        shelf = Shelf()
        shelf.kept, shelf.loses = {"a": before}, True
        with pytest.raises(TikTokStoreError, match="does not give back what was saved"):
            CheckedStore(shelf).save("a", "text")

    @pytest.mark.parametrize("error", [TikTokStoreError("x"), TikTokConfigError("x")])
    def test_an_error_of_ours_says_enough_itself(self, error: Exception) -> None:
        shelf = Shelf()
        shelf.load_fails = error
        with pytest.raises(type(error)) as caught:
            CheckedStore(shelf).load("a")
        assert caught.value is error

    @pytest.mark.parametrize("value", [b"text", 7, {"format": 1}, ["text"]], ids=repr)
    def test_what_is_no_text_is_told(self, value: Any) -> None:
        """A client that gives bytes would never give back what was saved, and the save never end."""
        shelf = Shelf()
        shelf.kept["a"] = value
        with pytest.raises(
            TikTokStoreError, match=f"Shelf.*as {type(value).__name__}.*must be text"
        ) as caught:
            CheckedStore(shelf).load("a")
        assert repr(value) not in str(caught.value)


class NeedsMore:
    def __init__(self, address: str) -> None:
        """Cannot be made without it."""


class OnlyLoads:
    def load(self, conn_id: str) -> None:
        """Has no save."""


class SaveIsNoMethod(OnlyLoads):
    save = "x"


class Breaks:
    def __init__(self) -> None:
        raise KeyError("SECRET")


class TestConfigured:
    @pytest.fixture
    def named(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        return lambda path: monkeypatch.setenv("AIRFLOW__TIKTOK__TOKEN_STORE", path)

    def test_variables_unless_told_otherwise(self, named: Callable[[str], None]) -> None:
        assert isinstance(configured_store(), VariableStore)
        named("")
        assert isinstance(configured_store(), VariableStore)

    def test_by_its_dotted_path(
        self, named: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, variables: Variables
    ) -> None:
        module, shelf = types.ModuleType("my_company_store"), Shelf()
        module.Made = lambda: shelf  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "my_company_store", module)
        named("my_company_store.Made")
        store = configured_store()
        store.save("a", "text")
        assert shelf.kept == {"a": "text"}
        assert variables.calls == []

    @pytest.mark.parametrize(
        "path",
        [
            "VaultStore",
            ".VaultStore",
            "no_such_module.VaultStore",
            "os.NoSuchClass",
            "os.",
            "os.path",
            "os.sep",
            "my company.Store",
            "my/company.py",
            f"{__name__}.NeedsMore",
            f"{__name__}.OnlyLoads",
            f"{__name__}.SaveIsNoMethod",
            f"{__name__}.Breaks",
        ],
    )
    def test_what_names_no_store(self, named: Callable[[str], None], path: str) -> None:
        """The error says where it stands and what it has to be."""
        named(path)
        with pytest.raises(TikTokConfigError) as caught:
            configured_store()
        told = str(caught.value)
        assert told.startswith(f"[tiktok] token_store = {path}: ")
        assert "load and save" in told or "dotted path" in told
        assert "SECRET" not in told

    def test_an_error_of_the_grant_is_none_of_the_store(self) -> None:
        """A person has to act: that must stay permanent."""
        shelf = Shelf()
        shelf.load_fails = TikTokConsentError("x")
        with pytest.raises(TikTokConsentError):
            CheckedStore(shelf).load("a")
