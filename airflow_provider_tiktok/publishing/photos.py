"""
A photo carousel, which TikTok can only pull.

Every photo is fetched and made right before TikTok is asked anything, since one bad photo fails a whole
carousel without being named. What is not seen under the public prefix, or had to be changed, is staged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from airflow_provider_tiktok.api import endpoints
from airflow_provider_tiktok.api.client import Guard
from airflow_provider_tiktok.api.models import PhotoPost, PostMode, PublishInit
from airflow_provider_tiktok.exceptions import TikTokMediaError
from airflow_provider_tiktok.media.carousel import prepare_pictures
from airflow_provider_tiktok.media.hosting import Stageable
from airflow_provider_tiktok.media.image import Picture
from airflow_provider_tiktok.media.public import check_pullable
from airflow_provider_tiktok.media.source import open_source
from airflow_provider_tiktok.publishing.checks import check_scope, fit_photos_to_creator
from airflow_provider_tiktok.publishing.pull import Pulled, check_hosting, is_shown, media_access
from airflow_provider_tiktok.publishing.request import PhotosRequest

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)


class PhotoCarousel(Pulled):
    """
    A carousel; see :class:`~airflow_provider_tiktok.publishing.post.Post`.

    :param hook: of the account
    :param request: read and checked already
    """

    what = "these photos"

    def __init__(self, hook: TikTokHook, request: PhotosRequest) -> None:
        super().__init__(hook, request.post_mode)
        self._request = request
        self._post: PhotoPost | None = None
        self._photos: list[tuple[str, Picture, bool]] = []

    def media(self) -> str:
        """Give the addresses."""
        return "\n".join(self._request.photos)

    def check(self) -> str:
        """Make every photo right, name every one that cannot be used, and check what only TikTok can tell."""
        photos = self._photos = self._photos or self._prepared()
        self._post = _checked_post(self._hook, self._request)
        count = f"{len(photos)} photos, {sum(is_staged for _, _, is_staged in photos)} of them staged"
        return f"a {self._request.post_mode} of {count}, with {self._post}"

    def _prepared(self) -> list[tuple[str, Picture, bool]]:
        """Make every photo right; gives each with its address, and whether it has to be staged."""
        hook, request = self._hook, self._request
        if not all(is_shown(hook, photo) for photo in request.photos):
            check_hosting(hook, "A photo that is not under media_public_base_url")
        # a folder that cannot be emptied must not fail a task whose post is out
        folder = self._stack.enter_context(
            TemporaryDirectory(prefix="tiktok-photos-", ignore_cleanup_errors=True)
        )
        opener = partial(open_source, access=media_access(hook))
        pictures = prepare_pictures(request.photos, opener, Path(folder), request.style)
        staged = [
            not is_shown(hook, uri) or bool(picture.changes) for uri, picture in _both(request, pictures)
        ]
        _tell(pictures, staged)
        if any(staged):
            check_hosting(hook, "A photo that had to be changed")
        _check_shown(hook, request, pictures, staged)
        return [*zip(request.photos, pictures, staged, strict=True)]

    def _files(self) -> Sequence[Stageable]:
        return [
            Stageable(picture.name, picture.content_type, picture.size, partial(FileIO, picture.path))
            for _, picture, is_staged in self._photos
            if is_staged
        ]

    def _call(self, urls: tuple[str, ...], guard: Guard) -> PublishInit:
        if self._post is None:
            self.check()
        assert self._post is not None  # noqa: S101 - check() has set it
        fresh = iter(urls)
        images = tuple(next(fresh) if is_staged else uri for uri, _, is_staged in self._photos)
        call = endpoints.content_init(replace(self._post, photo_images=images), self._request.post_mode)
        return self._hook.guarded(call, guard)


def _both(request: PhotosRequest, pictures: Sequence[Picture]) -> list[tuple[str, Picture]]:
    return list(zip(request.photos, pictures, strict=True))


def _tell(pictures: Sequence[Picture], staged: Sequence[bool]) -> None:
    for number, (picture, is_staged) in enumerate(zip(pictures, staged, strict=True), 1):
        log.info(
            "Photo %d: %s, %dx%d, %d bytes: %s%s.",
            number,
            picture.name,
            picture.width,
            picture.height,
            picture.size,
            ", ".join(picture.changes) or "untouched",
            "" if is_staged else ", pulled from where it lies",
        )


def _check_shown(
    hook: TikTokHook, request: PhotosRequest, pictures: Sequence[Picture], staged: Sequence[bool]
) -> None:
    """See that TikTok can pull what is to be pulled from where it lies; name every photo that it cannot."""
    faults = []
    for (uri, picture), is_staged in zip(_both(request, pictures), staged, strict=True):
        if is_staged:
            continue
        try:
            check_pullable(
                uri, picture.name, media_access(hook), kind=picture.content_type, size=picture.size
            )
        except TikTokMediaError as error:
            faults.append(str(error))
    if faults:
        raise TikTokMediaError(" ".join(faults))


def _checked_post(hook: TikTokHook, request: PhotosRequest) -> PhotoPost:
    """Check against what grant and creator allow right now."""
    check_scope(hook.granted_scope(), request.post_mode)
    if request.post_mode is PostMode.MEDIA_UPLOAD:
        return request.post
    creator = hook.creator_info()
    post = fit_photos_to_creator(request.post, creator, disable_comment=request.disable_comment)
    log.info("Creator %s (@%s), privacy_level %s.", creator.nickname, creator.username, post.privacy_level)
    return post
