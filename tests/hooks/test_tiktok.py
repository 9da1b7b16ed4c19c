"""The hook: from a Connection to typed calls, each of them twice; and the "Test" button."""

from __future__ import annotations

import asyncio
import gc
import inspect
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    FileUpload,
    PhotoPost,
    PostMode,
    PublishStatus,
    PullFromUrl,
    VideoPost,
)
from airflow_provider_tiktok.auth import keeper
from airflow_provider_tiktok.exceptions import (
    TikTokConsentError,
    TikTokError,
    TikTokRateLimitError,
    TikTokStoreError,
)
from airflow_provider_tiktok.hooks.tiktok import TikTokHook
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import FakeClock, FakeVariables, endpoints_of, publish_connection, secrets_in

Connect = Callable[..., dict[str, Any]]
GRANT = "tiktok_grant__tiktok_default"

CALLS = (
    "creator_info",
    "video_init",
    "inbox_init",
    "content_init",
    "publish_status",
    "cancel",
    "user_info",
    "video_list",
    "video_query",
)
OF_TOKENS = {"exchange_code", "refresh_token", "client_token", "revoke"}


class TestTwins:
    def test_every_endpoint_has_its_call(self) -> None:
        made = {
            name
            for name, function in inspect.getmembers(endpoints, inspect.isfunction)
            if function.__module__ == endpoints.__name__ and not name.startswith("_")
        }
        assert made - OF_TOKENS == set(CALLS)

    @pytest.mark.parametrize("name", [*CALLS, "call", "account", "close", "granted_scope"])
    def test_every_call_has_its_twin(self, name: str) -> None:
        """With the same parameters and result, so that neither drifts away from the other."""
        sync = inspect.getattr_static(TikTokHook, name)
        sync = getattr(sync, "func", sync)
        twin = inspect.getattr_static(TikTokHook, f"a{name}")
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(sync)

    def test_no_twin_is_alone(self) -> None:
        own = {name for name in vars(TikTokHook) if not name.startswith("_")}
        alone = {name for name in own if inspect.iscoroutinefunction(vars(TikTokHook)[name])} - {
            f"a{name}" for name in own
        }
        assert alone == set()

    async def test_both_answer_the_same(self, tiktok: Sandbox, connect: Connect) -> None:
        scopes = "user.info.basic,video.publish,video.upload,video.list"
        connect(scopes=scopes)
        hook = TikTokHook()
        upload, post = FileUpload(100, 100, 1), VideoPost("SELF_ONLY")
        url = f"{tiktok.url}/public/sample.mp4"
        photos = PhotoPost((url,), privacy_level="SELF_ONLY")
        arguments: dict[str, tuple[Any, ...]] = {
            "creator_info": (),
            "user_info": (),
            "video_list": (),
            "video_query": (("1",),),
            "video_init": (post, upload),
            "inbox_init": (PullFromUrl(url),),
            "content_init": (photos, PostMode.DIRECT_POST),
        }
        tiktok.knobs.hang_pulls = True
        try:
            for name, given in arguments.items():
                one = await asyncio.to_thread(getattr(hook, name), *given)
                two = await getattr(hook, f"a{name}")(*given)
                assert type(one) is type(two), name
                if not name.endswith("init"):
                    assert one == two
            first, second = tiktok.publishes[2:4]
            assert isinstance(await hook.apublish_status(first.publish_id), PublishStatus)
            await asyncio.to_thread(hook.cancel, first.publish_id)
            await hook.acancel(second.publish_id)
            assert {first.fail_reason, second.fail_reason} == {"publish_cancelled"}
            assert isinstance(hook.creator_info(), CreatorInfo)
        finally:
            await hook.aclose()


class TestConnection:
    def test_as_airflow_knows_it(self) -> None:
        assert TikTokHook.conn_name_attr == "tiktok_conn_id"
        assert TikTokHook.default_conn_name == "tiktok_default"
        assert TikTokHook.conn_type == "tiktok"
        assert TikTokHook.hook_name == "TikTok"
        assert TikTokHook().tiktok_conn_id == "tiktok_default"
        assert TikTokHook(tiktok_conn_id="mine").tiktok_conn_id == "mine"

    def test_form_for_airflow_below_3_2(self) -> None:
        assert set(TikTokHook.get_ui_field_behaviour()) == {"hidden_fields", "relabeling", "placeholders"}
        assert "get_connection_form_widgets" not in vars(TikTokHook), "it needs flask-appbuilder"

    def test_nothing_is_read_before_it_is_needed(self) -> None:
        TikTokHook("nowhere").close()

    async def test_both_ways_read_the_same(self, connect: Connect) -> None:
        connect()
        assert await TikTokHook().aaccount() == TikTokHook().account

    async def test_a_connection_that_cannot_be_read(self, variables: FakeVariables) -> None:
        with pytest.raises(TikTokStoreError, match="Connection nowhere could not be read"):
            await TikTokHook("nowhere").aaccount()

    def test_get_conn(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        hook = TikTokHook()
        assert hook.get_conn().call(endpoints.creator_info()).username == "alice"
        hook.close()

    def test_can_be_used_after_it_was_closed(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        hook = TikTokHook()
        for _ in range(2):
            hook.creator_info()
            hook.close()
        hook.close()

    async def test_can_be_used_after_it_was_closed_in_a_loop(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        hook = TikTokHook()
        for _ in range(2):
            await hook.acreator_info()
            await hook.aclose()
        await hook.aclose()

    async def test_makes_one_client_for_many_calls_at_once(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        hook = TikTokHook()
        await asyncio.gather(*(hook.auser_info() for _ in range(20)))
        client = hook._aclient
        assert await hook._aopen() is client
        await hook.aclose()

    async def test_granted_scope(self, tiktok: Sandbox, connect: Connect) -> None:
        connect(scopes="video.upload")
        hook = TikTokHook()
        assert await hook.agranted_scope() == "video.upload"
        assert await asyncio.to_thread(hook.granted_scope) == "video.upload"
        await hook.aclose()

    def test_shows_no_secret(self, tiktok: Sandbox, connect: Connect) -> None:
        extra = connect()["extra"]
        hook = TikTokHook()
        hook.creator_info()
        shown = [repr(each) for each in (hook, hook.account, hook.get_conn(), vars(hook))]
        hook.close()
        assert secrets_in(shown, tiktok.knobs.client_secret, extra["refresh_token"]) == []


class TestGrant:
    """The live grant behind a hook; how it is renewed is tested in tests/auth."""

    @pytest.fixture(autouse=True)
    def beside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whichever Airflow this is: a renewal goes on beside the work."""
        monkeypatch.setattr(keeper, "two_may_ask", lambda: True)

    def test_renew_grant(self, tiktok: Sandbox, connect: Connect, variables: FakeVariables) -> None:
        connect(scopes="video.upload,video.publish")
        with closing(TikTokHook()) as hook:
            first, second = hook.renew_grant(), hook.renew_grant()
            assert hook.creator_info().username == "alice"
        assert (first.generation, second.generation) == (1, 2)
        assert second.scope == "video.upload,video.publish"
        assert second.refresh_expires_at > time.time()
        assert endpoints_of(tiktok) == ["token", "token", "creator_info"]
        assert tiktok.reuses == 0

    def test_renew_grant_whose_access_token_has_ended(self, tiktok: Sandbox, connect: Connect) -> None:
        """As it has in each run of the example DAG: one refresh, and not two."""
        connect(expires_at=1.0)
        with closing(TikTokHook()) as hook:
            assert hook.renew_grant().generation == 1
        assert endpoints_of(tiktok) == ["token"]

    def test_renew_grant_that_needs_a_person(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        tiktok.fault("token", action="error", code="invalid_grant", times=None)
        with closing(TikTokHook()) as hook, pytest.raises(TikTokConsentError) as caught:
            hook.renew_grant()
        assert "of connection tiktok_default" in str(caught.value)
        assert "airflow-tiktok login --conn-id" in str(caught.value)

    def test_client_outlives_its_hook(self, tiktok: Sandbox, connect: Connect) -> None:
        """``TikTokHook().get_conn()`` leaves the hook to the garbage collector at once."""
        connect(expires_at=1.0)
        client = TikTokHook().get_conn()
        gc.collect()
        assert client.call(endpoints.creator_info()).username == "alice"
        assert endpoints_of(tiktok) == ["token", "creator_info"]
        client.close()

    def test_hook_that_nobody_closes(
        self, tiktok: Sandbox, connect: Connect, variables: FakeVariables
    ) -> None:
        """It does not leave while TikTok's answer is on its way: nothing else may wait for that."""
        connect(expires_at=time.time() + 60)
        hook = TikTokHook()
        assert hook.creator_info().username == "alice"
        assert GRANT not in variables.values
        del hook
        gc.collect()
        assert GRANT in variables.values
        assert tiktok.reuses == 0

    async def test_hook_that_nobody_closes_in_an_event_loop(
        self, tiktok: Sandbox, connect: Connect, variables: FakeVariables
    ) -> None:
        """The loop is every trigger's, and Variables are read through it: nobody waits there."""
        connect(expires_at=time.time() + 60)
        hook = TikTokHook()
        assert (await hook.acreator_info()).username == "alice"
        client, gone = hook._aclient, weakref.ref(hook)
        del hook
        assert GRANT not in variables.values
        assert gone() is None
        while GRANT not in variables.values:
            await asyncio.sleep(0.01)
        await client.aclose()

    async def test_closing_in_an_event_loop_waits_beside_it(
        self, tiktok: Sandbox, connect: Connect, variables: FakeVariables
    ) -> None:
        connect(expires_at=time.time() + 60)
        hook = TikTokHook()
        await hook.acreator_info()
        await hook.aclose()
        assert GRANT in variables.values


class TestLimits:
    def test_a_task_waits_for_the_minute(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        tiktok.fault("creator_info", action="status", status=429, times=3)
        hook = TikTokHook()
        assert hook.creator_info().username == "alice"
        assert len(clock.pauses) == 3
        hook.close()

    async def test_a_loop_is_told_at_once(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect()
        tiktok.fault("status", action="status", status=429)
        hook = TikTokHook()
        with pytest.raises(TikTokRateLimitError):
            await hook.apublish_status("p")
        assert clock.pauses == []
        await hook.aclose()


class TestTestConnection:
    """Airflow tests under a made-up name, so that a rotated grant would be lost: none is rotated."""

    def test_a_live_access_token(self, tiktok: Sandbox, connect: Connect) -> None:
        connect()
        assert TikTokHook().test_connection() == (True, "TikTok answers for Alice.")
        assert endpoints_of(tiktok) == ["user_info"]

    def test_a_refresh_token_alone(self, tiktok: Sandbox, connect: Connect, clock: FakeClock) -> None:
        connect(access_token="", expires_at=None)
        good, told = TikTokHook().test_connection()
        assert good
        assert "refresh token was not tried" in told
        assert endpoints_of(tiktok) == ["token"], "the app's own token: key and secret are right"

    @pytest.mark.parametrize("known", [True, False], ids=["known to be dead", "dead by surprise"])
    def test_an_access_token_that_has_ended(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, known: bool
    ) -> None:
        connect(**({"expires_at": 1.0} if known else {}))
        tiktok.clock.advance(7201)
        good, told = TikTokHook().test_connection()
        assert good, told
        assert endpoints_of(tiktok)[-1] == "token"

    def test_a_dead_access_token_and_nothing_else(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock
    ) -> None:
        connect(refresh_token="")
        tiktok.clock.advance(7201)
        good, told = TikTokHook().test_connection()
        assert not good
        assert "access_token_invalid" in told

    def test_a_wrong_secret(
        self,
        tiktok: Sandbox,
        connect: Connect,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection = connect(access_token="")
        publish_connection(monkeypatch, "tiktok_default", {**connection, "password": "wrong-secret-1"})
        good, told = TikTokHook().test_connection()
        assert not good
        assert "invalid_client" in told
        assert "client secret (password)" in told
        assert "wrong-secret-1" not in told

    def test_an_unreachable_host(
        self, connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
        publish_connection(monkeypatch, "tiktok_default", {**connect(), "host": f"http://127.0.0.1:{port}"})
        good, told = TikTokHook().test_connection()
        assert not good
        assert "no connection to 127.0.0.1" in told

    @pytest.mark.parametrize(
        "connection",
        [
            {},
            {"login": "k"},
            {"login": "k", "password": "s", "host": "http://example.com"},
            {"login": "k", "password": "s", "host": "ftp://example.com"},
            {"login": "k", "password": "s", "host": "https://[x"},
            {"login": "k", "password": "s", "extra": {"rate_window": "often"}},
            {"login": "k", "password": "s", "extra": {"expires_at": "tomorrow"}},
            {"login": "k", "password": "s", "extra": "no JSON"},
        ],
        ids=str,
    )
    def test_a_broken_connection_never_raises(
        self,
        *,
        variables: FakeVariables,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
        connection: dict[str, Any],
    ) -> None:
        publish_connection(monkeypatch, "tiktok_default", {"conn_type": "tiktok", **connection})
        monkeypatch.setattr(
            "airflow_provider_tiktok.auth.trial.Client.call",
            lambda *_: (_ for _ in ()).throw(TikTokError("no network in this test")),
        )
        good, told = TikTokHook().test_connection()
        assert not good
        assert told

    def test_no_connection_at_all(self, variables: FakeVariables) -> None:
        good, told = TikTokHook("nowhere").test_connection()
        assert (good, "could not be read" in told) == (False, True)

    @pytest.mark.parametrize(
        "fault", [{"action": "garbage"}, {"status": 500}, {"action": "redirect"}], ids=str
    )
    def test_a_host_that_is_not_tiktok(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, fault: dict[str, Any]
    ) -> None:
        connect()
        tiktok.fault("*", times=None, **fault)
        good, told = TikTokHook().test_connection()
        assert not good
        assert told.startswith("TikTok: user info")

    def test_no_refresh_token_is_ever_spent(
        self, tiktok: Sandbox, connect: Connect, clock: FakeClock, variables: FakeVariables
    ) -> None:
        connection = connect()
        tiktok.clock.advance(7201)
        for _ in range(3):
            TikTokHook().test_connection()
        assert variables.values == {}
        hook = TikTokHook()
        assert hook.creator_info().username == "alice", "the seed still works"
        hook.close()
        assert tiktok.reuses == 0
        assert connection["extra"]["refresh_token"]


async def test_a_refresh_outlives_the_trigger_that_began_it(
    tiktok: Sandbox, connect: Connect, variables: FakeVariables
) -> None:
    """Cancelled in the middle of a refresh: its answer, the only live grant, still arrives and is saved."""
    connect()
    tiktok.clock.advance(7201)
    tiktok.fault("token", action="delay", when="after", seconds=0.3)

    async def use() -> None:
        async with TikTokHook.shared("tiktok_default") as hook:
            await hook.apublish_status("p")

    task = asyncio.create_task(use())
    while "token" not in endpoints_of(tiktok):
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for _ in range(100):
        if "tiktok_grant__tiktok_default" in variables.values:
            break
        await asyncio.sleep(0.02)
    hook = TikTokHook()
    assert (await asyncio.to_thread(hook.creator_info)).username == "alice"
    hook.close()
    assert tiktok.reuses == 0
    assert threading.active_count() < 50
