"""The record of a publish and its state machine. Knows nothing of HTTP; the time is passed in."""

from __future__ import annotations

import heapq
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_tiktok.api.models import PostMode, PrivacyLevel, PublishState, Source
from airflow_provider_tiktok.sandbox.accounts import Creator

#: publish_id by kind, mode and source (Get started pages, ids seen). Photos have one for both modes.
ID_PREFIXES: dict[tuple[str, PostMode, Source], str] = {
    ("video", PostMode.DIRECT_POST, Source.FILE_UPLOAD): "v_pub_file~v2-1.",
    ("video", PostMode.DIRECT_POST, Source.PULL_FROM_URL): "v_pub_url~v2.",
    ("video", PostMode.MEDIA_UPLOAD, Source.FILE_UPLOAD): "v_inbox_file~v2.",
    ("video", PostMode.MEDIA_UPLOAD, Source.PULL_FROM_URL): "v_inbox_url~v2.",
    ("photo", PostMode.DIRECT_POST, Source.PULL_FROM_URL): "p_pub_url~v2.",
    ("photo", PostMode.MEDIA_UPLOAD, Source.PULL_FROM_URL): "p_pub_url~v2.",
}

# Steps, so that neighbouring ids differ as TikTok's do: a float would keep some of them and round others.
_ids = itertools.count(7_600_000_000_000_000_001 + secrets.randbelow(10**17), 7919)


def new_id() -> int:
    """A 19-digit id: too large for a JSON reader that takes numbers for floats, as TikTok's are."""
    return next(_ids)


@dataclass(frozen=True)
class Post:
    """What the creator's followers (or the creator alone) can see: the outcome of a publish."""

    publish_id: str
    creator: str
    kind: str
    title: str
    description: str
    privacy_level: str
    post_id: str
    media: tuple[Path, ...]
    sha256: tuple[str, ...]
    mode: PostMode
    created: float
    public_at: float | None


@dataclass(eq=False)
class Publish:
    """
    One publish, from init to its end.

    While bytes are missing or processed the status is PROCESSING_UPLOAD or PROCESSING_DOWNLOAD, by source;
    then SEND_TO_USER_INBOX (drafts), PUBLISH_COMPLETE or FAILED (Get Post Status reference, 2026-08-04).
    """

    publish_id: str
    creator: Creator
    kind: str
    mode: PostMode
    source: Source
    created: float
    options: dict[str, object] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    size: int = 0
    status: PublishState = PublishState.PROCESSING_UPLOAD
    fail_reason: str = ""
    planned_failure: str = ""
    received: int = 0
    bytes_in_at: float | None = None
    ends_at: float | None = None
    finished_at: float | None = None
    media: list[Path] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.source is Source.PULL_FROM_URL:
            self.status = PublishState.PROCESSING_DOWNLOAD

    @property
    def direct(self) -> bool:
        """Whether it is posted without the creator's hand."""
        return self.mode is PostMode.DIRECT_POST

    @property
    def in_progress(self) -> bool:
        """Whether bytes are missing or being processed."""
        return self.status in (PublishState.PROCESSING_UPLOAD, PublishState.PROCESSING_DOWNLOAD)

    @property
    def receiving(self) -> bool:
        """Whether bytes are missing."""
        return self.in_progress and self.bytes_in_at is None

    @property
    def title(self) -> str:
        """The caption of a video, the title of a carousel."""
        return str(self.options.get("title", ""))

    @property
    def description(self) -> str:
        """The caption of a carousel."""
        return str(self.options.get("description", ""))

    @property
    def privacy_level(self) -> str:
        """As asked for; empty for a draft."""
        return str(self.options.get("privacy_level", ""))

    def complete_bytes(self, now: float, processing: float) -> None:
        """
        All bytes are here; processing begins.

        :param now: the time.
        :param processing: how long it will take.
        """
        if self.receiving:
            self.bytes_in_at, self.ends_at = now, now + processing

    def fail(self, reason: str, now: float) -> None:
        """
        It ends FAILED, if it has not ended yet.

        :param reason: TikTok's ``fail_reason``.
        :param now: the time.
        """
        if self.in_progress:
            self.status, self.fail_reason, self.finished_at = PublishState.FAILED, reason, now

    def finish_processing(self, fail_reason: str, moderation: float) -> None:
        """
        Processing is over, at :attr:`ends_at`.

        :param fail_reason: why it fails; empty if it does not.
        :param moderation: seconds until a public post's id is told.
        """
        if not self.in_progress or self.ends_at is None:
            return
        if fail_reason:
            self.fail(fail_reason, self.ends_at)
        elif self.direct:
            self._publish(self.ends_at, self.privacy_level, moderation)
        else:
            self.status, self.finished_at = PublishState.SEND_TO_USER_INBOX, self.ends_at

    def finish_by_creator(self, now: float, privacy_level: str, moderation: float, posts: int = 1) -> None:
        """
        The creator opens the draft and posts it in the app.

        :param now: the time.
        :param privacy_level: what the creator chose there.
        :param moderation: seconds until a public post's id is told.
        :param posts: how many posts the creator makes of it.
        """
        if self.status is not PublishState.SEND_TO_USER_INBOX:
            raise ValueError(f"{self.publish_id} is not a draft in the inbox: {self.status}")
        for _ in range(posts):
            self._publish(now, privacy_level, moderation)

    def _publish(self, now: float, privacy_level: str, moderation: float) -> None:
        public = privacy_level == PrivacyLevel.PUBLIC_TO_EVERYONE
        self.status, self.finished_at = PublishState.PUBLISH_COMPLETE, now
        self.posts.append(
            Post(
                publish_id=self.publish_id,
                creator=self.creator.username,
                kind=self.kind,
                title=self.title,
                description=self.description,
                privacy_level=privacy_level,
                post_id=str(new_id()),
                media=tuple(self.media),
                sha256=tuple(self.sha256),
                mode=self.mode,
                created=now,
                public_at=now + moderation if public else None,
            )
        )

    def public_ids(self, now: float) -> list[int]:
        """
        Ids of posts that are public and through moderation; others never get one.

        :param now: the time.
        """
        return [
            int(post.post_id) for post in self.posts if post.public_at is not None and post.public_at <= now
        ]

    def answer(self, now: float, shape: str, *, tell_progress: bool = True) -> dict[str, object]:
        """
        ``data`` of status/fetch.

        :param now: the time.
        :param shape: of the post ids: ``list``, ``scalar``, ``absent`` or ``empty``.
        :param tell_progress: whether the bytes are told.
        """
        data: dict[str, object] = {"status": str(self.status)}
        if tell_progress:
            counter = "uploaded_bytes" if self.source is Source.FILE_UPLOAD else "downloaded_bytes"
            data[counter] = self.received
        if self.status is PublishState.FAILED:
            data["fail_reason"] = self.fail_reason
        ids = [] if shape == "empty" else self.public_ids(now)
        if shape in ("list", "empty"):
            data["publicaly_available_post_id"] = ids
        elif shape == "scalar" and ids:
            data["publicaly_available_post_id"] = ids[0]
        return data


@dataclass
class Publishes:
    """All publishes, and the moments at which their processing ends, in order."""

    by_id: dict[str, Publish] = field(default_factory=dict)
    _due: list[tuple[float, int, Publish]] = field(default_factory=list)
    _serial: Iterator[int] = field(default_factory=itertools.count)

    def __iter__(self) -> Iterator[Publish]:
        return iter(self.by_id.values())

    def create(
        self,
        *,
        creator: Creator,
        kind: str,
        mode: PostMode,
        source: Source,
        created: float,
        options: dict[str, object] | None = None,
        urls: tuple[str, ...] = (),
        size: int = 0,
    ) -> Publish:
        """
        A new publish with a new id.

        :param creator: whose.
        :param kind: ``video`` or ``photo``.
        :param mode: direct or draft.
        :param source: how the bytes come.
        :param created: the time.
        :param options: what post_info said, as far as this mode keeps it.
        :param urls: what is to be pulled.
        :param size: bytes to be uploaded.
        """
        publish = Publish(
            publish_id=f"{ID_PREFIXES[kind, mode, source]}{new_id()}",
            creator=creator,
            kind=kind,
            mode=mode,
            source=source,
            created=created,
            options=options or {},
            urls=urls,
            size=size,
        )
        self.by_id[publish.publish_id] = publish
        return publish

    def bytes_in(self, publish: Publish, now: float, processing: float) -> None:
        """
        All bytes of a publish are here.

        :param publish: which.
        :param now: the time.
        :param processing: how long processing takes.
        """
        publish.complete_bytes(now, processing)
        if publish.ends_at is not None:
            heapq.heappush(self._due, (publish.ends_at, next(self._serial), publish))

    def settle(self, now: float, finish: Callable[[Publish], None]) -> None:
        """
        Bring every publish up to this time, in the order in which their processing ends.

        :param now: the time.
        :param finish: decides how each ends.
        """
        while self._due and self._due[0][0] <= now:
            finish(heapq.heappop(self._due)[2])
