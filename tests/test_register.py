"""The register's three answers, over a Variable that fails, lies, loses, hides and is late."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_tiktok import register
from airflow_provider_tiktok.exceptions import TikTokStoreError

KEY = "tiktok_grant__tiktok_default"


class FakeVariable:
    """Airflow's Variable before 3.3, with the faults that were seen or read in Airflow's source."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.hidden: dict[str, Any] = {}  # by an environment variable or a secrets backend
        self.get_fails = self.set_fails = self.delete_fails = False
        self.reads_empty = False  # a failed read that looks like absence
        self.loses_writes = False  # a write that returned, and did not land
        self.calls: list[tuple[str, str]] = []

    def get(self, key: str) -> Any:
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


class Listing:
    """What ``Variable.keys`` gives: asked for only when it is used."""

    def __init__(self, keys: Callable[[], Iterable[str]]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())


class ListingVariable(FakeVariable):
    """Airflow's Variable since 3.3, which lists its keys, or raises."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_fail = False

    def keys(self, prefix: str | None = None) -> Listing:
        return Listing(lambda: self._listed(prefix or ""))

    def _listed(self, prefix: str) -> list[str]:
        self.calls.append(("keys", prefix))
        if self.keys_fail:
            raise RuntimeError("500")
        return [key for key in self.kept if key.startswith(prefix)]


KINDS = [FakeVariable, ListingVariable]


def use(monkeypatch: pytest.MonkeyPatch, fake: Any) -> None:
    monkeypatch.setattr(register, "Variable", fake)


@pytest.fixture(params=KINDS)
def variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeVariable:
    fake: FakeVariable = request.param()
    use(monkeypatch, fake)
    return fake


# --- reading ---


def test_value(variable: FakeVariable) -> None:
    variable.kept[KEY] = "v"
    assert register.read(KEY) == "v"
    assert variable.calls == [("get", KEY)]


def test_empty_text_is_a_value(variable: FakeVariable) -> None:
    variable.kept[KEY] = ""
    assert register.read(KEY) == ""


def test_proven_absent(variable: FakeVariable) -> None:
    """Values never used before were read back around each further look, and nothing is left behind."""
    nonces = []

    def written(key: str, value: str) -> None:
        nonces.append(value)
        FakeVariable.set(variable, key, value)

    variable.set = written  # type: ignore[method-assign]
    assert register.read(KEY) is None
    assert variable.kept == {}
    (probe,) = {key for what, key in variable.calls if what == "set"}
    assert probe.startswith("tiktok_probe__")
    proof = [("set", probe), ("get", KEY), ("get", probe)]
    if isinstance(variable, ListingVariable):
        expected = [("get", KEY), *proof, ("keys", KEY), *proof, ("delete", probe)]
    else:
        expected = [("get", KEY), *proof * 6, ("delete", probe)]
    assert variable.calls == expected
    assert len(set(nonces)) == len(nonces)


def test_before_is_called_at_each_look(variable: FakeVariable) -> None:
    """Whoever writes next counts from the last look on: only a probe's read and its removal follow."""
    assert register.read(KEY, lambda: variable.calls.append(("now", KEY))) is None
    looks = [index for index, call in enumerate(variable.calls) if call == ("get", KEY)]
    assert [variable.calls[index - 1] for index in looks] == [("now", KEY)] * len(looks)
    assert variable.calls.count(("now", KEY)) == len(looks)
    assert [what for what, _ in variable.calls[looks[-1] + 1 :]] == ["get", "delete"]


def test_no_two_reads_share_a_probe(variable: FakeVariable) -> None:
    for _ in range(50):
        register.read(KEY)
    assert len({key for what, key in variable.calls if what == "set"}) == 50


@pytest.mark.parametrize("fault", ["get_fails", "set_fails", "reads_empty", "loses_writes"])
@pytest.mark.parametrize("there", [False, True])
def test_failed_read_is_never_absence(variable: FakeVariable, fault: str, there: bool) -> None:
    """With the database away a read answers "there is none": taking that for the truth spends a grant."""
    setattr(variable, fault, True)
    if there and fault in ("get_fails", "reads_empty"):
        variable.kept[KEY] = "v"
    with pytest.raises(TikTokStoreError, match=KEY):
        register.read(KEY)


def test_list_that_fails_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ListingVariable()
    fake.keys_fail = True
    use(monkeypatch, fake)
    with pytest.raises(TikTokStoreError, match=f"{KEY} could not be listed.*database answer"):
        register.read(KEY)
    assert fake.kept == {}
    fake.kept[KEY] = "v"
    assert register.read(KEY) == "v"


@pytest.mark.parametrize("kept", [None, 7])
def test_listed_without_a_value(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that Airflow cannot decrypt reads as if there were none."""
    fake = ListingVariable()
    fake.kept[KEY] = kept
    use(monkeypatch, fake)
    with pytest.raises(TikTokStoreError, match=f"{KEY} holds.*Fernet key"):
        register.read(KEY)


def test_list_of_others_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ListingVariable()
    fake.kept[f"{KEY}_2"] = "v"
    use(monkeypatch, fake)
    assert register.read(KEY) is None


class CodedError(Exception):
    """As the task SDK raises it."""

    def __init__(self, value: str) -> None:
        self.error = SimpleNamespace(error=SimpleNamespace(value=value))


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("code", ["VARIABLE_NOT_FOUND", "PERMISSION_DENIED"])
def test_supervisor_answers(code: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeVariable()
    real = fake.get

    def answer(key: str) -> Any:
        try:
            return real(key)
        except KeyError:
            raise CodedError(code) from None

    fake.get = answer  # type: ignore[method-assign]
    fake.kept.update({KEY: "v"} if there else {})
    use(monkeypatch, fake)
    if there:
        assert register.read(KEY) == "v"
    elif code == "VARIABLE_NOT_FOUND":
        assert register.read(KEY) is None
    else:
        with pytest.raises(TikTokStoreError, match=r"\(CodedError\)"):
            register.read(KEY)


def test_read_that_gives_nothing_without_an_error(variable: FakeVariable) -> None:
    """So answers the task SDK if it is asked in an event loop."""
    variable.get = lambda key: None  # type: ignore[method-assign]
    with pytest.raises(TikTokStoreError):
        register.read(KEY)


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


def test_probe_that_is_late_is_no_proof(variable: FakeVariable, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older value of the probe comes over the newer one: so much for what is read just now."""
    values: list[str] = []

    def one_behind(key: str, value: str) -> None:
        values.append(value)
        variable.kept[key] = values[-2:][0]

    monkeypatch.setattr(variable, "set", one_behind)
    with pytest.raises(TikTokStoreError, match="not there"):
        register.read(KEY)


def test_task_timeout_is_not_swallowed(variable: FakeVariable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow ends a task by raising in it; that is no failed read."""

    class Stopped(BaseException):
        pass

    def stopped(key: str) -> str:
        raise Stopped

    monkeypatch.setattr(variable, "get", stopped)
    with pytest.raises(Stopped):
        register.read(KEY)


# --- reading while things fail ---


class Unsteady:
    """
    A Variable whose operations go wrong as planned, in a world where others write, too.

    :param plan: what becomes of each operation in turn; when it is over all goes well
    :param lists: whether it has ``keys``
    :param silent: a read that fails looks like absence; a list and a write that fail never do
    :param others: what others do to KEY, by the number of the operation before which they do it
    """

    def __init__(
        self,
        plan: Iterable[str] = (),
        *,
        lists: bool = False,
        silent: bool = False,
        others: dict[int, str | None] | None = None,
    ) -> None:
        self.kept: dict[str, str] = {}
        self.made = 0
        self.history: list[str | None] = []  # of KEY, after each thing that happened
        self.silent = silent
        self._plan = iter(plan)
        self._others = others or {}
        self._late: list[tuple[int, str, str]] = []
        if lists:
            self.keys = lambda prefix: Listing(lambda: self._listed(prefix))

    def __enter__(self) -> Self:
        self._real, register.Variable = register.Variable, self
        return self

    def __exit__(self, *_: object) -> None:
        register.Variable = self._real

    def _next(self) -> str:
        self.made += 1
        for at, key, value in list(self._late):
            if at <= self.made:
                self._late.remove((at, key, value))
                self.kept[key] = value
        if self.made in self._others:
            other = self._others[self.made]
            self.kept.pop(KEY, None)
            if other is not None:
                self.kept[KEY] = other
        self.history.append(self.kept.get(KEY))
        return next(self._plan, "well")

    def get(self, key: str) -> str:
        if self._next() != "well":
            raise KeyError(key) if self.silent else RuntimeError("500")
        return self.kept[key]

    def set(self, key: str, value: str) -> None:
        what = self._next()
        if what in ("well", "lands, but raises"):
            self.kept[key] = value
        if what == "lands later":
            self._late.append((self.made + 3, key, value))
        if what not in ("well", "is lost"):
            raise TimeoutError

    def delete(self, key: str) -> None:
        if self._next() != "well":
            raise RuntimeError("500")
        self.kept.pop(key, None)

    def _listed(self, prefix: str) -> list[str]:
        if self._next() != "well":
            raise RuntimeError("500")
        return [key for key in self.kept if key.startswith(prefix)]


OUTCOMES = ["well", "well", "fails", "lands, but raises", "lands later", "is lost"]
#: Where a failed read can always be told from absence, in one way or the other.
CERTAIN = [
    {"lists": True, "silent": True},
    {"lists": True, "silent": False},
    {"lists": False, "silent": False},
]


@pytest.mark.parametrize("kind", CERTAIN)
@settings(max_examples=1000, deadline=None)
@given(plan=st.lists(st.sampled_from(OUTCOMES), max_size=25))
def test_value_that_is_there_is_found_or_it_failed(kind: dict[str, bool], plan: list[str]) -> None:
    """Whatever fails, in whatever way: never "there is none"."""
    with Unsteady(plan, **kind) as fake, suppress(TikTokStoreError):
        fake.kept[KEY] = "v"
        assert register.read(KEY) == "v"


@pytest.mark.parametrize("kind", CERTAIN)
@settings(max_examples=600, deadline=None)
@given(
    plan=st.lists(st.sampled_from(OUTCOMES), max_size=25),
    there=st.sampled_from([None, "v0"]),
    others=st.dictionaries(st.integers(1, 22), st.sampled_from([None, "v1", "v2"]), max_size=4),
)
def test_answer_was_true_while_it_was_asked_for(
    kind: dict[str, bool], plan: list[str], there: str | None, others: dict[int, str | None]
) -> None:
    looks: list[int] = []
    with Unsteady(plan, **kind, others=others) as fake, suppress(TikTokStoreError):
        fake.kept.update({KEY: there} if there is not None else {})
        answer = register.read(KEY, lambda: looks.append(fake.made))
        # a failed look that nothing shows falls back on the list, which was asked a few operations before
        assert answer in (fake.history if fake.silent else [fake.history[looks[-1]]])


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("silent", [False, True])
def test_database_away_for_a_while(lists: bool, silent: bool) -> None:
    for first, count in itertools.product(range(25), range(1, 30)):
        with Unsteady(["well"] * first + ["fails"] * count, lists=lists, silent=silent) as fake:
            fake.kept[KEY] = "v"
            with suppress(TikTokStoreError):
                assert register.read(KEY) == "v"


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("of", [2, 3, 4, 5])
def test_one_server_of_some_is_without_its_database(lists: bool, of: int) -> None:
    """They are asked in turn."""
    for which in range(of):
        plan = ("fails" if number % of == which else "well" for number in itertools.count())
        with Unsteady(plan, lists=lists, silent=True) as fake:
            fake.kept[KEY] = "v"
            with suppress(TikTokStoreError):
                assert register.read(KEY) == "v"


@pytest.mark.parametrize("share", [1 / 3, 1 / 2])
def test_reads_that_fail_at_random_where_nothing_is_listed(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most that can be had before Airflow 3.3: all seven looks have to fail, and none of the probes."""
    dice = random.Random(20261102)

    class Unlucky(FakeVariable):
        def get(self, key: str) -> Any:
            if dice.random() < share:
                raise KeyError(key)
            return super().get(key)

    fake = Unlucky()
    fake.kept[KEY] = "v"
    use(monkeypatch, fake)
    wrong = 0
    for _ in range(10_000):
        with suppress(TikTokStoreError):
            wrong += register.read(KEY) is None
    assert wrong <= 4, "one in 25,000 and in 8192"


# --- writing ---


def test_write(variable: FakeVariable) -> None:
    register.write(KEY, "v")
    assert variable.kept == {KEY: "v"}
    assert variable.calls == [("set", KEY), ("get", KEY)]


def test_put_does_not_look(variable: FakeVariable) -> None:
    register.put(KEY, "v")
    assert variable.kept == {KEY: "v"}
    assert variable.calls == [("set", KEY)]


def test_put_that_raised(variable: FakeVariable, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(key: str, value: str) -> None:
        raise RuntimeError(f"[parameters: {value}]")

    monkeypatch.setattr(variable, "set", raises)
    with pytest.raises(TikTokStoreError, match=rf"{KEY} could not be written \(RuntimeError\)") as caught:
        register.put(KEY, "sealed value")
    assert "sealed value" not in str(caught.value)
    assert caught.value.__suppress_context__


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


@pytest.mark.parametrize("silent", [False, True])
@settings(max_examples=1000, deadline=None)
@given(plan=st.lists(st.sampled_from(OUTCOMES), max_size=4), before=st.sampled_from([None, "v", "old"]))
def test_write_that_returned_is_there(silent: bool, plan: list[str], before: str | None) -> None:
    with Unsteady(plan, silent=silent) as fake, suppress(TikTokStoreError):
        fake.kept.update({KEY: before} if before is not None else {})
        register.write(KEY, "v")
        assert fake.kept[KEY] == "v"


def test_hidden_key_names_both_causes(variable: FakeVariable) -> None:
    variable.hidden[KEY] = "from elsewhere"
    with pytest.raises(TikTokStoreError, match=r"AIRFLOW_VAR_TIKTOK_GRANT__TIKTOK_DEFAULT.*secrets backend"):
        register.write(KEY, "v")


def test_value_that_is_no_text_is_no_value(variable: FakeVariable) -> None:
    """A backend that gives something else, such as a coroutine or a number, has not answered."""
    variable.hidden[KEY] = 7
    with pytest.raises(TikTokStoreError):
        register.write(KEY, "7")


def test_remove_never_raises(variable: FakeVariable) -> None:
    variable.kept[KEY] = "v"
    register.remove(KEY)
    assert variable.kept == {}
    variable.delete_fails = True
    register.remove(KEY)


# --- names ---

try:
    from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS, should_hide_value_for_key
except ImportError:
    try:
        from airflow.sdk.execution_time.secrets_masker import (  # type: ignore[no-redef]
            DEFAULT_SENSITIVE_FIELDS,
            should_hide_value_for_key,
        )
    except ImportError:
        from airflow.utils.log.secrets_masker import (  # type: ignore[no-redef]
            DEFAULT_SENSITIVE_FIELDS,
            should_hide_value_for_key,
        )

_PIECES = [*register._SENSITIVE, *"_-.~ ", "__", "--", "api", "key", "private", "Ke\u212a", "\u212a"]
CONN_IDS = st.one_of(
    st.text(min_size=1, max_size=300),
    st.from_regex(r"[A-Za-z0-9_.-]{1,260}", fullmatch=True),
    st.lists(st.sampled_from([*_PIECES, *(each.upper() for each in _PIECES)]), min_size=1).map("".join),
)


@pytest.mark.parametrize("conn_id", ["tiktok_default", "TikTok.Brand-1", "a__b", "x", "tiktok~2"])
def test_ordinary_name(conn_id: str) -> None:
    assert register.name("grant", conn_id) == f"tiktok_grant__{conn_id}"
    assert register.name("claim", conn_id, "0a1b", "3") == f"tiktok_claim__{conn_id}__0a1b__3"


@settings(max_examples=600, deadline=None)
@given(conn_id=CONN_IDS, rest=st.sampled_from([(), ("0123456789abcdef" * 2, "12")]))
@example(conn_id="api-key", rest=())
@example(conn_id="api", rest=("key",))
@example(conn_id="\u212aeyfile_dict to\u212aen", rest=())
@example(conn_id="\ud800", rest=())
@example(conn_id="a#b", rest=())
@example(conn_id="\u0130" * 190, rest=())
def test_name_is_neutral_and_fits(conn_id: str, rest: tuple[str, ...]) -> None:
    for kind in ("grant", "claim"):
        name = register.name(kind, conn_id, *rest)
        assert not should_hide_value_for_key(name)
        assert not register._looks_sensitive(name)
        assert len(name) <= 200
        assert name == register.name(kind, conn_id, *rest)
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.~-")
        assert name.startswith(f"tiktok_{kind}__")
        assert name.endswith("__".join(("", *rest)))


@settings(max_examples=600, deadline=None)
@given(one=CONN_IDS, other=CONN_IDS)
def test_names_of_two_differ(one: str, other: str) -> None:
    names = {register.name("claim", each, "0a1b", "3") for each in (one, other)}
    assert len(names) == len({one, other})


def test_digest_taken_for_a_conn_id() -> None:
    """Somebody who calls a Connection what stands for another's does not get that one's grant."""
    mine = register.name("grant", "my_token")
    assert mine.startswith("tiktok_grant__sha256-")
    assert register.name("grant", mine.removeprefix("tiktok_grant__")) != mine


def test_name_stays_the_same() -> None:
    """Whoever changes this loses every grant that is kept under such a name."""
    expected = "tiktok_grant__sha256-bc14369a0a9823350ecfefa8467ee656"
    assert register.name("grant", "my_token") == expected


def test_all_sensitive_words_are_known() -> None:
    """A new Airflow may have new ones; to add one changes the names of the Connections that contain it."""
    assert not [word for word in DEFAULT_SENSITIVE_FIELDS if not register._looks_sensitive(word)]
    assert should_hide_value_for_key("my_token")


def test_probe_looks_harmless(variable: FakeVariable) -> None:
    """What is read under a name that does not stays in the log masker of the process for ever."""
    register.read(KEY)
    assert not [key for _, key in variable.calls if should_hide_value_for_key(key)]


# --- which Variable ---

TASK_RUNNER = "airflow.sdk.execution_time.task_runner"


def test_where_a_supervisor_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import Variable

    monkeypatch.setitem(sys.modules, TASK_RUNNER, SimpleNamespace(SUPERVISOR_COMMS=object()))
    assert register._variable() is Variable


@pytest.mark.parametrize("runner", [None, SimpleNamespace()])
def test_where_none_listens(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable

    monkeypatch.setitem(sys.modules, TASK_RUNNER, runner)
    assert register._variable() is Variable


_PROGRAM = """
import sys, threading
from airflow_provider_tiktok import register
from airflow_provider_tiktok.exceptions import TikTokStoreError
assert "airflow.models.variable" not in sys.modules, "importing the register is cheap"

import contextlib, os
from airflow import settings
from airflow.models.variable import Variable
with contextlib.suppress(ImportError):
    import airflow.models.team  # since 3.1 a Variable may belong to one
settings.initialize()
for key in Variable.__table__.foreign_keys:
    key.column.table.create(settings.engine)
Variable.__table__.create(settings.engine)

def use(key):
    assert register.read(key) is None
    register.write(key, "1")
    register.put(key, "2")
    assert register.read(key) == "2"
    os.environ["AIRFLOW_VAR_" + key.upper()] = "hides it"
    try:
        register.write(key, "3")
    except TikTokStoreError as error:
        assert "AIRFLOW_VAR_" in str(error)
    else:
        raise AssertionError
    del os.environ["AIRFLOW_VAR_" + key.upper()]
    register.remove(key)
    assert register.read(key) is None
    done.append(key)

done = []
use("tiktok_a")
thread = threading.Thread(target=use, args=("tiktok_b",))
thread.start()
thread.join()
assert len(done) == 2

Variable.__table__.drop(settings.engine)
try:
    register.read("tiktok_a")
except TikTokStoreError as error:
    print(error)
else:
    raise AssertionError
"""


@pytest.mark.integration
def test_without_a_supervisor_on_a_real_database(tmp_path: Path) -> None:
    """As the command line uses it, and all of Airflow 2."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "tiktok_a" in done.stdout
