"""The hook: from an Airflow Connection of type ``tiktok`` to typed calls of TikTok's API."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import AsyncClient, Client, Guard, Policy
from airflow_provider_tiktok.api.endpoints import Call, T, VideoSource
from airflow_provider_tiktok.api.models import (
    CreatorInfo,
    PhotoPost,
    PostMode,
    PublishInit,
    PublishStatus,
    UserInfo,
    VideoPage,
    VideoPost,
)
from airflow_provider_tiktok.auth.account import Account, read_account
from airflow_provider_tiktok.auth.grant import State
from airflow_provider_tiktok.auth.keeper import SETTLE_SECONDS, TokenKeeper
from airflow_provider_tiktok.auth.reading import Readings, masking
from airflow_provider_tiktok.auth.trial import try_account
from airflow_provider_tiktok.exceptions import TikTokError, TikTokStoreError, name_connection
from airflow_provider_tiktok.publishing.budget import Budget, shared_budget
from airflow_provider_tiktok.publishing.monitor import Monitor

#: How many of TikTok's minutes a task may wait where a minute's limit was hit.
PATIENCE = 3


class TikTokHook(BaseHook):
    """
    Talk to TikTok as one creator.

    The access token is refreshed when its end is near, and the rotated grant is kept in the Airflow Variable
    ``tiktok_grant__<conn_id>``, encrypted. Each call has a twin for event loops, whose name begins with
    ``a``; a trigger gets its hook from :meth:`shared`.

    All calls raise a :class:`~airflow_provider_tiktok.exceptions.TikTokError` that says what happened and
    what to do.

    .. seealso:: https://developers.tiktok.com/doc/content-posting-api-get-started

    :param tiktok_conn_id: Connection of type ``tiktok``
    """

    conn_name_attr = "tiktok_conn_id"
    default_conn_name = "tiktok_default"
    conn_type = "tiktok"
    hook_name = "TikTok"

    def __init__(self, tiktok_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tiktok_conn_id = tiktok_conn_id
        self.creator_username = ""  # as creator_info told it last
        self._masks = True
        self._opening = asyncio.Lock()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Name the form's fields, for Airflow below 3.2; above it takes them from the provider's metadata."""
        return {
            "hidden_fields": ["schema", "port"],
            "relabeling": {"login": "Client key", "password": "Client secret", "host": "API base URL"},
            "placeholders": {
                "host": "https://open.tiktokapis.com",
                "extra": '{"refresh_token": "rft..."}',
            },
        }

    # --- from Connection to clients ---

    @cached_property
    def account(self) -> Account:
        """What the Connection says."""
        connection = self.get_connection(self.tiktok_conn_id)
        return read_account(connection, connection.extra_dejson)

    async def aaccount(self) -> Account:
        """
        Read what the Connection says without blocking the event loop.

        In a thread, though Airflow could read it here: what it does to mask the secrets takes long. The
        thread is asgiref's, which every Airflow lets talk to the triggerer.

        :raises TikTokStoreError: it could not be read just now, which in a triggerer looks like absence
        """
        if "account" not in self.__dict__:
            from asgiref.sync import sync_to_async

            try:
                await sync_to_async(self._read_account, thread_sensitive=False)()
            except TikTokError:
                raise
            except Exception as error:  # each Airflow raises something of its own
                raise TikTokStoreError(
                    f"Connection {self.tiktok_conn_id} could not be read ({type(error).__name__}): see that "
                    "it is there and that the metadata database answers."
                ) from error
        return self.account

    def _read_account(self) -> Account:
        with masking(self.tiktok_conn_id):
            return self.account

    async def _aopen(self) -> AsyncClient:
        """Make the client, in a thread: to load the certificates takes 50 ms and more."""
        await self.aaccount()
        async with self._opening:
            if "_aclient" not in self.__dict__:
                await asyncio.to_thread(getattr, self, "_aclient")
        return self._aclient

    @cached_property
    def _keeper(self) -> TokenKeeper:
        keeper = TokenKeeper(self.account, masks=self._masks)
        # a hook that nobody closes must not leave while TikTok's answer is on its way. No close(), since its
        # client may live on; nor for ever, since the garbage collector comes in the middle of anything
        weakref.finalize(self, keeper.settle, SETTLE_SECONDS)
        return keeper

    @cached_property
    def _client(self) -> Client:
        policy = Policy(self.account.base_url, rate_window=self.account.rate_window, patience=PATIENCE)
        return Client(policy, self._keeper)

    @cached_property
    def _aclient(self) -> AsyncClient:
        return AsyncClient(Policy(self.account.base_url, rate_window=self.account.rate_window), self._keeper)

    @cached_property
    def budget(self) -> Budget:
        """What all who wait for this account's publishes in this process have in common."""
        return shared_budget((self.account.base_url, self.account.conn_id), self.account.rate_window)

    @cached_property
    def monitor(self) -> Monitor:
        """Where all who wait for this account's publishes in this event loop stand in line."""
        return Monitor(self.acall, self.budget)

    def get_conn(self) -> Client:
        """Give the client that the calls of this hook go through."""
        return self._client

    def call(self, call: Call[T]) -> T:
        """
        Carry out a call.

        :param call: from :mod:`airflow_provider_tiktok.api.endpoints`
        """
        return self._named(call, None)

    def guarded(self, call: Call[T], guard: Guard) -> T:
        """
        Carry out a call whose every request asks first; a minute's limit is raised at once.

        :param call: from :mod:`airflow_provider_tiktok.api.endpoints`
        :param guard: gives the seconds that a request may take, or raises where it must not be made any more
        """
        return self._named(call, guard)

    def _named(self, call: Call[T], guard: Guard | None) -> T:
        try:
            return self._client.call(call, guard)
        except TikTokError as error:
            name_connection(error, self.tiktok_conn_id)
            raise

    async def acall(self, call: Call[T]) -> T:
        """Carry out a call from an event loop; a minute's limit is raised at once, for the loop to wait."""
        client = await self._aopen()
        try:
            return await client.call(call)
        except TikTokError as error:
            name_connection(error, self.tiktok_conn_id)
            raise

    def close(self) -> None:
        """Close the connections of the calls."""
        for name in ("_client", "_keeper"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    async def aclose(self) -> None:
        """Close the connections of all calls."""
        self.__dict__.pop("monitor", None)  # it holds this hook
        if "_aclient" in self.__dict__:
            await self.__dict__.pop("_aclient").aclose()
        await asyncio.to_thread(self.close)  # it may have to wait for a refresh in another thread

    @classmethod
    @asynccontextmanager
    async def shared(cls, tiktok_conn_id: str) -> AsyncIterator[TikTokHook]:
        """
        Give the one hook that this event loop has for an account; closed when its last user leaves.

        It masks no tokens: the log masker of a triggerer would grow with every refresh, and nothing here logs
        one.

        :param tiktok_conn_id: Connection of type ``tiktok``, read anew without blocking the loop
        """
        here = _here.setdefault(asyncio.get_running_loop(), _Here())
        account = await here.readings.account(tiktok_conn_id, cls(tiktok_conn_id).aaccount)
        shared = here.hooks.get(account)
        if shared is None:
            shared = here.hooks[account] = _Shared(cls._of(account))
        shared.users += 1
        try:
            yield shared.hook
        finally:
            shared.users -= 1
            if not shared.users:
                del here.hooks[account]
                here.readings.forget(tiktok_conn_id)
                await shared.hook.aclose()

    @classmethod
    def _of(cls, account: Account) -> TikTokHook:
        hook = cls(account.conn_id)
        hook._masks = False
        hook.__dict__["account"] = account
        return hook

    # --- calls: limits and parameters stand in api/endpoints.py ---

    def creator_info(self) -> CreatorInfo:
        """Ask what the creator may do right now; TikTok wants it before each direct post."""
        creator = self.call(endpoints.creator_info())
        self.creator_username = creator.username
        return creator

    async def acreator_info(self) -> CreatorInfo:
        """Ask what the creator may do right now."""
        return await self.acall(endpoints.creator_info())

    def video_init(self, post: VideoPost, source: VideoSource) -> PublishInit:
        """Start a direct video post."""
        return self.call(endpoints.video_init(post, source))

    async def avideo_init(self, post: VideoPost, source: VideoSource) -> PublishInit:
        """Start a direct video post."""
        return await self.acall(endpoints.video_init(post, source))

    def inbox_init(self, source: VideoSource) -> PublishInit:
        """Start a video draft in the creator's inbox."""
        return self.call(endpoints.inbox_init(source))

    async def ainbox_init(self, source: VideoSource) -> PublishInit:
        """Start a video draft in the creator's inbox."""
        return await self.acall(endpoints.inbox_init(source))

    def content_init(self, post: PhotoPost, post_mode: PostMode) -> PublishInit:
        """Start a photo carousel, posted or as a draft."""
        return self.call(endpoints.content_init(post, post_mode))

    async def acontent_init(self, post: PhotoPost, post_mode: PostMode) -> PublishInit:
        """Start a photo carousel, posted or as a draft."""
        return await self.acall(endpoints.content_init(post, post_mode))

    def publish_status(self, publish_id: str) -> PublishStatus:
        """Ask how far a publish is."""
        return self.call(endpoints.publish_status(publish_id))

    async def apublish_status(self, publish_id: str) -> PublishStatus:
        """Ask how far a publish is."""
        return await self.acall(endpoints.publish_status(publish_id))

    def cancel(self, publish_id: str) -> None:
        """Stop a pull that is still downloading, if TikTok can."""
        self.call(endpoints.cancel(publish_id))

    async def acancel(self, publish_id: str) -> None:
        """Stop a pull that is still downloading, if TikTok can."""
        await self.acall(endpoints.cancel(publish_id))

    def user_info(self, fields: str = "open_id,display_name") -> UserInfo:
        """Ask whose token this is."""
        return self.call(endpoints.user_info(fields))

    async def auser_info(self, fields: str = "open_id,display_name") -> UserInfo:
        """Ask whose token this is."""
        return await self.acall(endpoints.user_info(fields))

    def video_list(self, *, cursor: int | None = None, max_count: int = 20) -> VideoPage:
        """List the creator's public videos, newest first."""
        return self.call(endpoints.video_list(cursor=cursor, max_count=max_count))

    async def avideo_list(self, *, cursor: int | None = None, max_count: int = 20) -> VideoPage:
        """List the creator's public videos, newest first."""
        return await self.acall(endpoints.video_list(cursor=cursor, max_count=max_count))

    def video_query(self, video_ids: tuple[str, ...]) -> VideoPage:
        """Ask for some of the creator's public videos."""
        return self.call(endpoints.video_query(video_ids))

    async def avideo_query(self, video_ids: tuple[str, ...]) -> VideoPage:
        """Ask for some of the creator's public videos."""
        return await self.acall(endpoints.video_query(video_ids))

    # --- around a call ---

    def granted_scope(self) -> str:
        """Tell which scopes the creator has allowed, comma-separated; empty = not known."""
        return self._keeper.state().scope

    async def agranted_scope(self) -> str:
        """Tell which scopes the creator has allowed, comma-separated; empty = not known."""
        await self._aopen()
        return (await self._keeper.astate()).scope

    def renew_grant(self) -> State:
        """
        Refresh the grant now, whether or not its end is near, and tell what is known of it.

        A refresh token dies when it rests too long (180 days as of 2026-11-02); the example DAG
        ``tiktok_keep_accounts_fresh`` calls this for each account. Safe at any time and anywhere: it is done
        under the same claim as every refresh.

        :raises TikTokConsentError: TikTok does not accept the grant: the creator has to allow the app again
        """
        return self._keeper.renew()

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the Connection, for the "Test" button and ``airflow connections test``.

        Spends no refresh token: Airflow tests under a name made up for the occasion, under which the rotated
        grant would be lost. Where there is no live access token to try, the client key and secret are tried.
        """
        try:
            return True, try_account(self.account)
        except TikTokError as error:
            return False, str(error)
        except Exception as error:  # Airflow wants an answer here, whatever has happened
            return False, f"The Connection could not be read: {type(error).__name__}."


@dataclass
class _Shared:
    hook: TikTokHook
    users: int = 0


@dataclass
class _Here:
    """What those have in common who run in one event loop."""

    hooks: dict[Account, _Shared] = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)


_here: WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = WeakKeyDictionary()
