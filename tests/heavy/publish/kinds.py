"""Every kind of publish, and how many posts or drafts TikTok has of it in the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_tiktok.api.models import PublishState
from airflow_provider_tiktok.sandbox.server import Sandbox
from tests.airflow_tasks import SAMPLE, longer

PHOTO = SAMPLE.with_name("photo_2.jpg")
#: Long enough for the ranges of 10 MiB that are tried where TikTok refuses to take a video in one.
IN_RANGES = 2 * 10 * 1024 * 1024 + 4321
DRAFT = {"post_mode": "MEDIA_UPLOAD"}
POST = {"privacy_level": "PUBLIC_TO_EVERYONE"}


@dataclass(frozen=True)
class Media:
    """
    What is posted, on this machine and as TikTok sees it.

    :param folder: shown by the sandbox
    :param url: of that folder
    """

    folder: Path
    url: str

    @property
    def video(self) -> str:
        return str(self.folder / "sample.mp4")

    @property
    def long_video(self) -> str:
        return str(self.folder / "long.mp4")


def put_media(folder: Path) -> None:
    """Fill a folder with what is posted."""
    shutil.copy(SAMPLE, folder / "sample.mp4")
    shutil.copy(PHOTO, folder / "photo.jpg")
    longer(SAMPLE, IN_RANGES, folder / "long.mp4")


#: Of the sandbox: no limits, no waiting, and the long video is taken in ranges only.
KNOBS: dict[str, Any] = {
    "limits": False,
    "processing_seconds": 0.0,
    "moderation_seconds": 0.0,
    "refuse_chunk_sizes": (IN_RANGES,),
}


@dataclass(frozen=True, eq=False)
class Kind:
    """
    A kind of publish.

    :param name: in tables
    :param operator: ``video`` or ``photos``
    :param fenced: whether it can be made exactly once: all tries work on the same publish
    :param media: gives the argument that names the media
    :param arguments: the operator's others
    :param released: its account's queue has let the first try go, of whose record one look is enough
    """

    name: str
    operator: str
    fenced: bool
    media: Callable[[Media], dict[str, Any]] = field(repr=False)
    arguments: dict[str, Any] = field(default_factory=dict)
    released: bool = False

    @property
    def second(self) -> int:
        """The number of the try of a second process: Airflow may resume a deferred task twice."""
        return 1 if self.released else 2

    def given(self, media: Media) -> dict[str, Any]:
        """Give the operator's arguments."""
        return {**self.media(media), **self.arguments}


def _uploaded(media: Media) -> dict[str, Any]:
    return {"video": media.video}


def _in_ranges(media: Media) -> dict[str, Any]:
    return {"video": media.long_video}


def _pulled(media: Media) -> dict[str, Any]:
    return {"video": f"{media.url}sample.mp4", "source": "PULL_FROM_URL"}


def _photos(media: Media) -> dict[str, Any]:
    return {"photos": [f"{media.url}photo.jpg"]}


KINDS = (
    Kind("upload, post", "video", fenced=True, media=_uploaded, arguments=POST),
    Kind("upload, draft", "video", fenced=True, media=_uploaded, arguments=DRAFT),
    Kind("upload in ranges, post", "video", fenced=True, media=_in_ranges, arguments=POST),
    Kind("pull, post", "video", fenced=False, media=_pulled, arguments=POST),
    Kind("pull, draft", "video", fenced=False, media=_pulled, arguments=DRAFT),
    Kind("photos, post", "photos", fenced=False, media=_photos, arguments=POST),
    Kind("photos, draft", "photos", fenced=False, media=_photos, arguments=DRAFT),
)
DEFERRED = (
    Kind("upload, deferred", "video", fenced=True, media=_uploaded, arguments={**POST, "deferrable": True}),
    Kind("pull, deferred", "video", fenced=False, media=_pulled, arguments={**POST, "deferrable": True}),
)
RELEASED = (
    Kind("upload, released", "video", fenced=True, media=_uploaded, arguments=POST, released=True),
    Kind("pull, released", "video", fenced=False, media=_pulled, arguments=POST, released=True),
)


@dataclass(frozen=True)
class Made:
    """
    What TikTok has of one creator, who has one task instance of his own.

    :param posts: posts and drafts that came to their end
    :param inits: publishes that were begun
    """

    posts: int
    inits: int


def made_by_creator(sandbox: Sandbox, seconds: float = 20.0) -> dict[str, Made]:
    """Count for each creator, once TikTok has pulled what it has begun to pull."""
    end = time.monotonic() + seconds
    while any(each.in_progress and each.urls for each in sandbox.publishes) and time.monotonic() < end:
        time.sleep(0.2)
    ended = (PublishState.PUBLISH_COMPLETE, PublishState.SEND_TO_USER_INBOX)
    made: dict[str, Made] = {}
    for publish in sandbox.publishes:
        before = made.get(publish.creator.username, Made(0, 0))
        made[publish.creator.username] = Made(before.posts + (publish.status in ended), before.inits + 1)
    return made
