"""The register's three answers, over a Variable that fails, lies, loses and hides."""

from __future__ import annotations

from contextlib import suppress

import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.exceptions import TikTokStoreError

KEY = "tiktok_grant__tiktok_default"


class FakeVariable:
    """Airflow's Variable, with the faults that were seen or read in Airflow's source."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.hidden: dict[str, str] = {}  # by an environment variable or a secrets backend
        self.get_fails = self.set_fails = self.delete_fails = False
        self.reads_empty = False  # a failed read that looks like absence
        self.loses_writes = False  # a write that returned, and did not land
        self.calls: list[tuple[str, str]] = []

    def get(self, key: str) -> str:
        self.calls.append(("get", key))
        if self.get_fails:
            raise RuntimeError("500")
        if key in self.hidden:
            return self.hidden[key]
        if self.reads_empty or key not in self.kept:
            raise KeyError(key)
        return self.kept[key]

    def set(self, key: str, value: str) -> None:
        self.calls.append(("set", key))
        if self.set_fails:
            raise RuntimeError("500")
        if not self.loses_writes:
            self.kept[key] = value

    def delete(self, key: str) -> None:
        self.calls.append(("delete", key))
        if self.delete_fails:
            raise RuntimeError("500")
        self.kept.pop(key, None)


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> FakeVariable:
    fake = FakeVariable()
    monkeypatch.setattr(register, "Variable", fake)
    return fake


def test_value(variable: FakeVariable) -> None:
    variable.kept[KEY] = "v"
    assert register.read(KEY) == "v"
    assert variable.calls == [("get", KEY)]


def test_empty_text_is_a_value(variable: FakeVariable) -> None:
    variable.kept[KEY] = ""
    assert register.read(KEY) == ""


def test_proven_absent(variable: FakeVariable) -> None:
    """Twice a probe was read back around a look at the key; and no probe is left."""
    assert register.read(KEY) is None
    assert variable.kept == {}
    probes = [key for what, key in variable.calls if what == "set"]
    assert len(set(probes)) == 2
    assert all(key.startswith("tiktok_probe__") for key in probes)
    reads = [key for what, key in variable.calls if what == "get"]
    assert reads == [KEY, probes[0], KEY, probes[0], probes[1], KEY, probes[1]]


@pytest.mark.parametrize("fault", ["get_fails", "set_fails", "reads_empty", "loses_writes"])
@pytest.mark.parametrize("there", [False, True])
def test_failed_read_is_never_absence(variable: FakeVariable, fault: str, there: bool) -> None:
    """With the database away a read answers "there is none": taking that for the truth spends a grant."""
    setattr(variable, fault, True)
    if there and fault in ("get_fails", "reads_empty"):
        variable.kept[KEY] = "v"
    with pytest.raises(TikTokStoreError):
        register.read(KEY)


class Failing(FakeVariable):
    """Fails from one call on, for so many calls."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__()
        self.failing = range(first, first + count)
        self.made = 0

    def _next(self) -> None:
        self.made += 1
        if self.made - 1 in self.failing:
            raise RuntimeError("500")

    def get(self, key: str) -> str:
        self._next()
        return super().get(key)

    def set(self, key: str, value: str) -> None:
        self._next()
        super().set(key, value)


@pytest.mark.parametrize("first", range(10))
@pytest.mark.parametrize("count", range(1, 12))
def test_value_that_is_there_is_found_or_it_failed(
    first: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database away at any time for any while: never "there is none"."""
    fake = Failing(first, count)
    fake.kept[KEY] = "v"
    monkeypatch.setattr(register, "Variable", fake)
    with suppress(TikTokStoreError):
        assert register.read(KEY) == "v"


def test_value_that_turns_up_meanwhile_is_taken(
    variable: FakeVariable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write of another host that lands while absence is being proven."""
    real = variable.set

    def set_and_land(key: str, value: str) -> None:
        real(key, value)
        variable.kept[KEY] = "late"

    monkeypatch.setattr(variable, "set", set_and_land)
    assert register.read(KEY) == "late"


def test_probe_that_cannot_be_removed_is_only_untidy(variable: FakeVariable) -> None:
    variable.delete_fails = True
    assert register.read(KEY) is None


def test_probe_is_removed_after_a_failure_too(variable: FakeVariable) -> None:
    variable.reads_empty = True
    with pytest.raises(TikTokStoreError):
        register.read(KEY)
    assert variable.kept == {}


def test_write(variable: FakeVariable) -> None:
    register.write(KEY, "v")
    assert variable.kept == {KEY: "v"}


def test_write_that_raised_but_landed_counts(variable: FakeVariable, monkeypatch: pytest.MonkeyPatch) -> None:
    def lands_and_raises(key: str, value: str) -> None:
        variable.kept[key] = value
        raise TimeoutError

    monkeypatch.setattr(variable, "set", lands_and_raises)
    register.write(KEY, "v")


@pytest.mark.parametrize("fault", ["set_fails", "loses_writes", "get_fails", "reads_empty"])
@pytest.mark.parametrize("before", [None, "old"])
def test_write_that_does_not_read_back_does_not_count(
    variable: FakeVariable, fault: str, before: str | None
) -> None:
    if before:
        variable.kept[KEY] = before
    setattr(variable, fault, True)
    with pytest.raises(TikTokStoreError, match=KEY) as caught:
        register.write(KEY, "sealed value")
    assert "sealed value" not in str(caught.value)


def test_hidden_key_names_both_causes(variable: FakeVariable) -> None:
    variable.hidden[KEY] = "from elsewhere"
    with pytest.raises(TikTokStoreError, match=r"AIRFLOW_VAR_TIKTOK_GRANT__TIKTOK_DEFAULT.*secrets backend"):
        register.write(KEY, "v")


def test_value_that_is_no_text_is_no_value(variable: FakeVariable) -> None:
    """A backend that gives something else, such as a coroutine or a number, has not answered."""
    variable.hidden[KEY] = 7  # type: ignore[assignment]
    with pytest.raises(TikTokStoreError):
        register.write(KEY, "7")


def test_remove_never_raises(variable: FakeVariable) -> None:
    variable.kept[KEY] = "v"
    register.remove(KEY)
    assert variable.kept == {}
    variable.delete_fails = True
    register.remove(KEY)


def test_task_timeout_is_not_swallowed(variable: FakeVariable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow ends a task by raising in it; that is no failed read."""

    class Stopped(BaseException):
        pass

    def stopped(key: str) -> str:
        raise Stopped

    monkeypatch.setattr(variable, "get", stopped)
    with pytest.raises(Stopped):
        register.read(KEY)


def test_no_name_of_ours_looks_sensitive() -> None:
    """What is read under such a name stays in the log masker of the process for ever."""
    from airflow.providers.common.compat.sdk import mask_secret  # noqa: F401  # loads the masker

    try:
        from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS as SENSITIVE
    except ImportError:
        from airflow.utils.log.secrets_masker import DEFAULT_SENSITIVE_FIELDS as SENSITIVE
    for name in (KEY, "tiktok_probe__0123456789abcdef"):
        assert not [word for word in SENSITIVE if word in name]
