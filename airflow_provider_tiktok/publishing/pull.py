"""
What TikTok pulls: seen as TikTok would see it, put where it can, and taken away at the end.

Sources: Media Transfer Guide (2026-09-11).
"""

from __future__ import annotations

import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import PostMode, PublishInit
from airflow_provider_tiktok.exceptions import (
    TikTokConfigError,
    TikTokError,
    TikTokInputError,
    TikTokMediaReadError,
)
from airflow_provider_tiktok.media.address import resolve
from airflow_provider_tiktok.media.aws import BRIEF, PATIENT, Patience
from airflow_provider_tiktok.media.hosting import MediaHost, Stageable, Staged
from airflow_provider_tiktok.media.public import check_pullable, url_fault
from airflow_provider_tiktok.media.source import MediaAccess, open_host
from airflow_provider_tiktok.publishing.ledger import Fence, Record, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)


def media_access(hook: TikTokHook) -> MediaAccess:
    """
    Tell how an account's media is reached.

    :param hook: of the account
    """
    return MediaAccess(hook.account.media_conn_id, allow_loopback=hook.account.is_local)


def is_shown(hook: TikTokHook, url: str) -> bool:
    """
    Tell whether a URL lies under the account's public prefix, so that TikTok can pull from it as it is.

    :param hook: of the account
    :param url: any
    """
    base = hook.account.hosting.public_base_url
    return bool(base) and url.startswith(base)


def check_hosting(hook: TikTokHook, what: str) -> None:
    """
    See that there is a bucket from which TikTok can pull, as far as the Connection tells.

    :param hook: of the account
    :param what: has to be put there
    :raises TikTokConfigError: there is none
    """
    hosting = hook.account.hosting
    if not hosting.bucket:
        raise TikTokConfigError(
            f"{what} has to be put where TikTok can pull it, and Connection {hook.tiktok_conn_id} names no "
            "bucket: set its extras media_bucket and media_public_base_url (the https prefix, verified with "
            "TikTok, under which the bucket is seen). A URL that lies under media_public_base_url, and is "
            "right, needs no bucket."
        )
    if fault := url_fault(hosting.public_base_url, is_local=hook.account.is_local):
        raise TikTokConfigError(
            f"{what} has to be put where TikTok can pull it, and Connection {hook.tiktok_conn_id} has a "
            f"media_public_base_url from which it cannot: {fault}."
        )


@contextmanager
def opened_host(hook: TikTokHook, patience: Patience = PATIENT) -> Iterator[MediaHost]:
    """
    Open the account's bucket.

    :param hook: of the account; its Connection names a bucket
    :param patience: how long its store is waited for
    """
    hosting = hook.account.hosting
    access = media_access(hook)
    host = open_host(hosting.bucket, hosting.prefix, hosting.public_base_url, access, patience=patience)
    try:
        yield host
    finally:
        host.close()


def check_pull_url(url: str, *, is_local: bool) -> None:
    """
    See that TikTok could fetch a video from a URL, before anybody looks at it.

    :param url: public, https, with a host name and no address
    :param is_local: the API is a sandbox on this machine, which may fetch from this machine over http
    :raises TikTokInputError: it could not
    """
    if fault := url_fault(url, is_local=is_local):
        raise TikTokInputError(
            f"source PULL_FROM_URL: {fault}. It needs a public https URL with a host name (no address) on a "
            "domain or prefix that is verified with TikTok, without user name and password. Media that lies "
            "elsewhere is put into the Connection's media_bucket, or uploaded with source FILE_UPLOAD."
        )


def check_seen(url: str, access: MediaAccess) -> bool:
    """
    Look at a video's URL as TikTok would; tell whether this worker is let there.

    A worker that is not let out to that server, or cannot look it up, says nothing about TikTok, so that is
    logged only.

    :param url: checked by :func:`check_pull_url`
    :param access: how media is reached
    :raises TikTokMediaError: TikTok could not pull from there
    """
    try:
        check_pullable(url, "The video", access, kind="video/", resolver=_resolve)
    except TikTokMediaReadError as error:
        log.warning("TikTok is told to pull from a URL that this worker does not reach: %s", error)
        return False
    return True


def _resolve(host: str, port: int) -> list[str]:
    try:
        return resolve(host, port)
    except OSError as error:
        raise socket.gaierror(socket.EAI_AGAIN, error.strerror or type(error).__name__) from None


class Pulled(ABC):
    """
    What TikTok pulls, from where it lies or from the account's bucket.

    A :class:`~airflow_provider_tiktok.publishing.post.Post`. What was staged goes as soon as it is known that
    TikTok has not taken it. Once it has, it stays until somebody sees the publish end; what nobody sees to is
    the sweep's.

    :param hook: of the account
    :param post_mode: post, or draft
    """

    what = ""
    fence = Fence.NONE

    def __init__(self, hook: TikTokHook, post_mode: PostMode) -> None:
        self.post_mode = post_mode
        self._hook = hook
        self._stack = ExitStack()
        self._host: MediaHost | None = None
        self._staged: Staged | None = None

    @abstractmethod
    def media(self) -> str:
        """Give the identity of the bytes: the addresses that they were given by."""

    @abstractmethod
    def check(self) -> str:
        """Check what only TikTok and the media can tell."""

    @abstractmethod
    def _files(self) -> Sequence[Stageable]:
        """Give what has to be staged."""

    @abstractmethod
    def _call(self, urls: tuple[str, ...], guard: Guard) -> PublishInit:
        """Begin the publish, with the URLs of what was staged."""

    def stage(self) -> None:
        """
        Put files where TikTok can pull them.

        :raises TikTokMediaError: TikTok could not pull one of them
        """
        if self._staged is None and (files := self._files()):
            self._host = self._host or self._stack.enter_context(opened_host(self._hook))
            self._staged = self._host.stage(files)

    def init(self, guard: Guard) -> PublishInit:
        """Begin the publish."""
        return self._call(self._staged.urls if self._staged else (), guard)

    def planned(self, record: Record) -> Record:
        """Nothing is cut; TikTok has all that it needs."""
        return replace(record, stage=Stage.SUBMITTED, submitted=record.began)

    def send(self, record: Record, url: str, start: int | None, seal: Callable[[], None]) -> NoReturn:
        """Nothing is sent."""
        raise NotImplementedError("TikTok pulls it")

    def accepted(self, publish_id: str) -> None:
        """Note what the publish pulls from, for whoever sees it end."""
        if self._host is None or self._staged is None:
            return
        try:
            self._host.remember(publish_id, self._staged)
        except TikTokError as error:  # the post is on its way, and must not fail for this
            log.warning(
                "Publish %s: only the sweep will remove what was staged for it: %s", publish_id, error
            )

    def unwanted(self) -> None:
        """Take away what was staged."""
        if self._host is not None and self._staged is not None:
            staged, self._staged = self._staged, None
            self._host.remove(staged.folder)

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()


def release(hook: TikTokHook, publish_id: str) -> None:
    """
    Take away what a publish was pulled from, if it was staged; a failure is left to the sweep.

    :param hook: of the account
    :param publish_id: of a publish that has ended
    """
    try:
        if hook.account.hosting.bucket:
            with opened_host(hook, BRIEF) as host:
                host.release(publish_id)
    except Exception as error:  # the publish has ended, and its task must not fail for what is left of it
        log.warning(
            "Publish %s: what was staged for it could not be removed; `airflow-tiktok media sweep` does: %s",
            publish_id,
            error if isinstance(error, TikTokError) else type(error).__name__,
        )
