"""The record of a task's publishes: what is written is read, and no failed read looks like nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.account import Account
from airflow_provider_tiktok.exceptions import TikTokStoreError
from airflow_provider_tiktok.publishing.identity import (
    TaskKey,
    bytes_identity,
    digests,
    episode,
    task_key,
)
from airflow_provider_tiktok.publishing.ledger import OPEN, Ledger, Record, Stage, open_ledger
from tests.airflow_tasks import FakeTi, FakeVariables, context_of

KEY = TaskKey("dag", "manual__2026-11-26T00:00:00+00:00", "group.task", 3)
ACCOUNT = Account("tiktok_default", "key", "a client secret")
URL = "https://open-upload.tiktokapis.com/upload/?upload_id=1&upload_token=" + "t" * 40


class FakeStore:
    """A task's state store as Airflow 3.3 gives it to the task that runs."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.retentions: list[Any] = []
        self.superseded = self.broken = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.broken:
            raise RuntimeError("500")
        return default if self.superseded else self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if self.superseded or self.broken:
            raise RuntimeError("404: no such task instance")
        self.retentions.append(retention)
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@pytest.fixture(params=["variables", "state store"])
def ledger(request: pytest.FixtureRequest, variables: FakeVariables) -> Ledger:
    if request.param == "variables":
        return Ledger(KEY, register.VARIABLES, f"tiktok_post__{KEY.digest}")
    pytest.importorskip("airflow.sdk")
    if not hasattr(__import__("airflow.sdk").sdk, "NEVER_EXPIRE"):
        pytest.skip("this Airflow has no state store")
    return Ledger(KEY, register.TaskState(FakeStore()), "tiktok_post")


def made(generation: int = 1, stage: Stage = Stage.PUBLISH, **more: Any) -> Record:
    given: dict[str, Any] = {"publish_id": f"v_pub_file~{generation}", "began": 1_764_000_000.5, **more}
    return Record(generation, stage, **given)


class TestRecords:
    def test_what_is_written_is_read(self, ledger: Ledger) -> None:
        record = made(
            episode=2,
            request={"title": "ab12"},
            media="cd34",
            submitted=1.5,
            code="internal",
            log_id="2026",
            cancels=True,
            size=10,
            chunk_size=5,
            chunks=2,
        )
        ledger.write(record)
        assert ledger.read(1) == record
        assert ledger.latest() == [record]

    def test_nothing(self, ledger: Ledger) -> None:
        assert ledger.latest() == []
        assert ledger.peek(1) is None

    @pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in OPEN])
    def test_after_an_end_another_generation_may_follow(self, ledger: Ledger, stage: Stage) -> None:
        first, second = ledger.write(made(1, stage)), ledger.write(made(2))
        ledger.write(made(3))  # what is open is the latest, whatever there is behind it
        assert ledger.latest() == [first, second]

    def test_a_person_can_tell_whose_it_is(self, ledger: Ledger) -> None:
        ledger.write(made())
        told = json.loads(ledger.values.peek(f"{ledger._prefix}__1") or "")
        assert told["task"] == {
            "dag_id": "dag",
            "run_id": KEY.run_id,
            "task_id": "group.task",
            "map_index": 3,
        }

    @pytest.mark.parametrize(
        "text", ["", "null", "[]", "{}", '{"stage": "new"}', '{"stage": "publish"}', "x"]
    )
    def test_what_is_no_record_is_not_nothing(self, ledger: Ledger, text: str) -> None:
        ledger.values.put(f"{ledger._prefix}__1", text)
        with pytest.raises(TikTokStoreError, match="cannot be read"):
            ledger.latest()
        assert ledger.peek(1) is None

    def test_a_field_of_a_newer_release_is_left_alone(self, ledger: Ledger) -> None:
        ledger.write(made())
        name = f"{ledger._prefix}__1"
        ledger.values.put(name, json.dumps({**json.loads(ledger.values.peek(name) or ""), "colour": "red"}))
        assert ledger.read(1) == made()


class TestSealing:
    def test_is_kept_apart(self, ledger: Ledger) -> None:
        """A late write of the record cannot take it away."""
        record = ledger.write(made())
        assert ledger.sealed(1) is None
        ledger.seal(record)
        ledger.write(record)
        assert ledger.sealed(1) == record.publish_id
        assert ledger.sealed(2) is None


class TestUrl:
    def test_is_kept_encrypted(self, ledger: Ledger, variables: FakeVariables) -> None:
        record = made()
        ledger.keep_url(ACCOUNT, record, URL)
        assert ledger.url(ACCOUNT, record) == URL
        assert "upload_token" not in json.dumps(variables.values)
        assert "t" * 40 not in json.dumps(variables.values)

    def test_never_lies_in_the_tasks_state(self) -> None:
        store = FakeStore()
        kept = Ledger(KEY, register.TaskState(store), "tiktok_post")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(register, "Variable", FakeVariables())
            kept.keep_url(ACCOUNT, made(), URL)
        assert store.values == {}

    def test_of_another_publish_is_none(self, ledger: Ledger) -> None:
        ledger.keep_url(ACCOUNT, made(publish_id="another"), URL)
        assert ledger.url(ACCOUNT, made()) == ""

    def test_of_another_secret_is_none(self, ledger: Ledger) -> None:
        ledger.keep_url(ACCOUNT, made(), URL)
        assert ledger.url(Account("tiktok_default", "key", "another"), made()) == ""

    def test_is_forgotten(self, ledger: Ledger) -> None:
        ledger.keep_url(ACCOUNT, made(), URL)
        ledger.forget_url(made())
        assert ledger.url(ACCOUNT, made()) == ""


class TestFailedReads:
    def test_a_broken_variable_is_not_nothing(self, variables: FakeVariables) -> None:
        ledger = Ledger(KEY, register.VARIABLES, "tiktok_post__x")
        variables.broken = True
        for read in (ledger.latest, lambda: ledger.sealed(1), lambda: ledger.url(ACCOUNT, made())):
            with pytest.raises(TikTokStoreError):
                read()

    def test_a_broken_state_store_is_not_nothing(self) -> None:
        store = FakeStore()
        store.broken = True
        with pytest.raises(TikTokStoreError, match="task's state"):
            Ledger(KEY, register.TaskState(store), "tiktok_post").latest()

    def test_a_look_is_no_proof_but_one_that_fails_is_not_nothing(self, variables: FakeVariables) -> None:
        ledger = Ledger(KEY, register.VARIABLES, "tiktok_post__x")
        assert ledger.latest(proven=False) == []
        assert variables.reads == ["tiktok_post__x__1"]
        assert ledger.latest(proven=False) == [] != [ledger.write(made())] == ledger.latest(proven=False)
        variables.broken = True
        with pytest.raises(TikTokStoreError):
            ledger.latest(proven=False)

    def test_to_a_superseded_try_nothing_is_nothing(self) -> None:
        """Airflow shows it an empty store; that it cannot write is what tells."""
        store = FakeStore()
        ledger = Ledger(KEY, register.TaskState(store), "tiktok_post")
        store.superseded = True
        with pytest.raises(TikTokStoreError):
            ledger.latest()


class TestWhereItIsKept:
    def test_in_the_tasks_state(self, variables: FakeVariables) -> None:
        pytest.importorskip("airflow.sdk")
        if not hasattr(__import__("airflow.sdk").sdk, "NEVER_EXPIRE"):
            pytest.skip("this Airflow has no state store")
        from airflow.sdk import NEVER_EXPIRE

        store = FakeStore()
        open_ledger(context_of(task_state_store=store)).write(made())
        assert [key for key in store.values if "probe" not in key] == ["tiktok_post__1"]
        assert all(each is NEVER_EXPIRE for each in store.retentions)
        assert variables.values == {}

    def test_below_in_variables(self, variables: FakeVariables) -> None:
        ledger = open_ledger(context_of())
        ledger.write(made())
        (name,) = variables.values
        assert name == f"tiktok_post__{ledger.key.digest}__1"

    def test_where_airflow_forgets_with_success_in_variables(
        self, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else a task that has posted, and is cleared, would post again."""
        monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
        store = FakeStore()
        open_ledger(context_of(task_state_store=store)).write(made())
        assert store.values == {}
        assert len(variables.values) == 1

    def test_outside_airflow_nobody_is_remembered(self, variables: FakeVariables) -> None:
        assert open_ledger({}).key != open_ledger({}).key


class TestIdentity:
    def test_task_instances_differ(self) -> None:
        keys = [
            TaskKey("a", "b", "c", 1),
            TaskKey("a", "b", "c", 11),
            TaskKey("a", "b", "c1", 1),
            TaskKey("a,b", "", "c", 1),
        ]
        assert len({key.digest for key in keys}) == len(keys)

    def test_a_task_instance(self) -> None:
        assert task_key(context_of()) == TaskKey("dag", "run", "task", -1)

    def test_an_episode_is_what_a_person_begins(self) -> None:
        """Airflow raises max_tries when a task is cleared, and not when it is retried."""
        ti = FakeTi()
        before = episode(context_of(ti))
        ti.try_number = 2
        assert episode(context_of(ti)) == before
        ti.max_tries = 3
        assert episode(context_of(ti)) != before
        assert episode({}) == 0

    def test_arguments(self) -> None:
        one = digests({"title": "a", "photos": ["x", "y"], "n": None})
        assert one == digests({"n": None, "photos": ["x", "y"], "title": "a"})
        assert one != digests({"title": "a", "photos": ["y", "x"], "n": None})
        assert all(len(each) == 12 for each in one.values()), "no text is kept"

    @pytest.mark.parametrize("size", [1, 100, 65536, 65537, 200_000, 10_000_000])
    def test_bytes(self, size: int) -> None:
        """Beginning, middle, end and size tell files apart, at the cost of three short reads."""
        data = bytes(index % 251 for index in range(size))
        asked: list[int] = []

        def read(start: int, length: int) -> bytes:
            asked.append(length)
            return data[start : start + length]

        one = bytes_identity(size, read)
        assert one == bytes_identity(size, read)
        assert sum(asked) <= 2 * 3 * 65536
        for place in (0, size // 2, size - 1):
            data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            assert bytes_identity(size, read) != one
            data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
