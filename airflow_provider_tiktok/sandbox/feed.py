"""The feed: what was posted, what waits in inboxes, what failed, and what is under way; newest first."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_tiktok.api.models import PrivacyLevel, PublishState, Source
from airflow_provider_tiktok.sandbox import pages
from airflow_provider_tiktok.sandbox.publishes import Post, Publish
from airflow_provider_tiktok.sandbox.wire import json_response
from airflow_provider_tiktok.sandbox.world import World

MOST_CARDS = 200
_TAGS = re.compile(r"([#@]\w[\w.]*)")

PRIVACY = {
    "": "creator decides",
    PrivacyLevel.PUBLIC_TO_EVERYONE: "everyone",
    PrivacyLevel.MUTUAL_FOLLOW_FRIENDS: "friends",
    PrivacyLevel.FOLLOWER_OF_CREATOR: "followers",
    PrivacyLevel.SELF_ONLY: "only the creator",
}

#: Why it failed, for people (Get Post Status reference); an unknown reason is shown as it is.
REASONS = {
    "file_format_check_failed": "TikTok does not take this file format",
    "duration_check_failed": "too long, or too short, for this creator",
    "frame_rate_check_failed": "outside 23 to 60 frames a second",
    "picture_size_check_failed": "too many, or too few, pixels",
    "internal": "TikTok's own trouble",
    "video_pull_failed": "the video could not be fetched from its URL",
    "photo_pull_failed": "a photo could not be fetched from its URL",
    "publish_cancelled": "cancelled by the app",
    "auth_removed": "the creator removed the app",
    "spam_risk_too_many_posts": "more posts than a day allows",
    "spam_risk_user_banned_from_posting": "the creator is banned from posting",
    "spam_risk_text": "the caption looks like spam",
    "spam_risk": "the request looks risky",
}


class Feed:
    """The feed's pages and the pieces from which they keep themselves up to date."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """The pages."""
        return [
            Route("/", self.index, methods=["GET"]),
            Route("/feed/cards", self.cards, methods=["GET"]),
            Route("/avatar/{username}.svg", self.avatar, methods=["GET"]),
            Route("/@{username}", self.profile, methods=["GET"]),
            Route("/@{username}/{kind}/{post_id}", self.post, methods=["GET"]),
        ]

    async def index(self, request: Request) -> Response:  # noqa: ARG002 - a handler
        """
        Everybody's feed.

        :param request: the request.
        """
        return self._page("", "Sandbox feed")

    async def profile(self, request: Request) -> Response:
        """
        One creator's feed.

        :param request: with the username.
        """
        username = request.path_params["username"]
        if username not in self._world.accounts.creators:
            raise HTTPException(404)
        return self._page(username, f"@{username}")

    async def post(self, request: Request) -> Response:
        """
        One post by its address, as TikTok has it.

        :param request: with username, kind and post id.
        """
        wanted = tuple(request.path_params[name] for name in ("username", "kind", "post_id"))
        found = [each for each in self._world.posts if (each.creator, each.kind, each.post_id) == wanted]
        if not found:
            raise HTTPException(404)
        card = self._card(self._world.publishes.by_id[found[0].publish_id], self._world.now())
        return pages.page(
            f"@{found[0].creator}", f'{_header()}<main class="single">{card}</main>', live=False
        )

    async def cards(self, request: Request) -> Response:
        """
        The pieces, for the page's own script.

        :param request: may name a creator.
        """
        publishes, now = self._shown(request.query_params.get("creator", "")), self._world.now()
        return json_response(
            {
                "cards": [{"id": _anchor(each), "html": self._card(each, now)} for each in publishes],
                "summary": _summary(publishes),
                "busy": self._busy(publishes, now),
            }
        )

    async def avatar(self, request: Request) -> Response:
        """
        A creator's picture.

        :param request: with the username.
        """
        return Response(pages.avatar_svg(request.path_params["username"]), media_type="image/svg+xml")

    def _page(self, username: str, title: str) -> Response:
        publishes, now = self._shown(username), self._world.now()
        cards = "".join(self._card(each, now) for each in publishes)
        refresh = (
            '<noscript><meta http-equiv="refresh" content="3"></noscript>'
            if self._busy(publishes, now)
            else ""
        )
        body = (
            f'{refresh}{_header()}<div id="summary" class="summary">{_summary(publishes)}</div>'
            f'<main id="feed" class="feed" data-creator="{escape(username)}">{cards}</main>'
            f'<section id="empty" class="empty"{" hidden" if cards else ""}>{self._hint()}</section>'
        )
        return pages.page(title, body, live=True)

    def _shown(self, username: str) -> list[Publish]:
        self._world.now()
        mine = [each for each in self._world.publishes if username in ("", each.creator.username)]
        return list(reversed(mine))[:MOST_CARDS]

    def _busy(self, publishes: list[Publish], now: float) -> bool:
        return any(each.in_progress or _waits_for_moderation(each, now) for each in publishes)

    def _hint(self) -> str:
        return (
            "<h2>Nothing posted yet</h2><p>Point an Airflow connection of type <code>tiktok</code> at "
            f"<code>{escape(self._world.url)}</code> and run a DAG that publishes. "
            "This page shows it at once.</p>"
            "<p class=muted>A connection with a fresh grant, as JSON:</p>"
            f"<pre>curl -X POST {escape(self._world.url)}/_sandbox/grants</pre>"
        )

    def _card(self, publish: Publish, now: float) -> str:
        state, chip = _chip(publish)
        name = escape(publish.creator.username)
        return (
            f'<article class="card {state}" id="{_anchor(publish)}">'
            f'{_media(publish)}<div class="text"><header>{pages.avatar(publish.creator.username)}'
            f'<div class="who"><a href="/@{name}">@{name}</a><small>{_when(publish.created)}</small></div>'
            f'<span class="chip {state}">{chip}</span></header>'
            f"{_failure(publish)}{_caption(publish)}{_labels(publish)}{self._facts(publish, now)}"
            "</div></article>"
        )

    def _facts(self, publish: Publish, now: float) -> str:
        rows = [
            ("publish_id", f"<code>{escape(publish.publish_id)}</code>"),
            ("mode", f"{publish.mode} &middot; {publish.source}"),
            ("visible to", PRIVACY[publish.privacy_level or _chosen(publish)]),
        ]
        rows += [("post", self._address(post, now)) for post in publish.posts]
        cells = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
        return f"<dl>{cells}</dl>"

    def _address(self, post: Post, now: float) -> str:
        path = f"/@{escape(post.creator)}/{post.kind}/{post.post_id}"
        link = f'<a href="{path}">{path}</a>'
        if post.public_at is None:
            return f"{link} <small>no public id: not for everyone</small>"
        return link if post.public_at <= now else f"{link} <small>in moderation</small>"


def _header() -> str:
    return (
        '<nav><a class="brand" href="/"><i></i>TikTok sandbox</a>'
        "<span class=muted>a local server, not TikTok</span></nav>"
    )


def _anchor(publish: Publish) -> str:
    return "p" + publish.publish_id.rsplit(".", 1)[-1]


def _waits_for_moderation(publish: Publish, now: float) -> bool:
    return any(post.public_at is not None and post.public_at > now for post in publish.posts)


_CHIPS = {
    PublishState.PUBLISH_COMPLETE: ("posted", "Posted"),
    PublishState.SEND_TO_USER_INBOX: ("draft", "Draft in inbox"),
    PublishState.FAILED: ("failed", "Failed"),
}


def _chip(publish: Publish) -> tuple[str, str]:
    if publish.status in _CHIPS:
        return _CHIPS[publish.status]
    if not publish.receiving:
        return "busy", "Processing"
    return "busy", "Uploading" if publish.source is Source.FILE_UPLOAD else "Downloading"


def _chosen(publish: Publish) -> str:
    return publish.posts[0].privacy_level if publish.posts else ""


def _summary(publishes: list[Publish]) -> str:
    tests: tuple[tuple[str, Callable[[Publish], bool]], ...] = (
        ("posted", lambda each: each.status is PublishState.PUBLISH_COMPLETE),
        ("in inboxes", lambda each: each.status is PublishState.SEND_TO_USER_INBOX),
        ("in progress", lambda each: each.in_progress),
        ("failed", lambda each: each.status is PublishState.FAILED),
    )
    counts = ((name, sum(1 for each in publishes if test(each))) for name, test in tests)
    return "".join(f"<span><b>{count}</b> {name}</span>" for name, count in counts)


def _media(publish: Publish) -> str:
    if not publish.media or publish.status is PublishState.FAILED:
        return _placeholder(publish)
    address = f"/media/{escape(publish.publish_id)}"
    if publish.kind == "video":
        video = f'<video controls playsinline preload="metadata" src="{address}/0"></video>'
        return f'<div class="media">{video}</div>'
    total = len(publish.media)
    slides = "".join(
        f'<figure><img src="{address}/{index}" alt="photo {index + 1} of {total}" loading="lazy">'
        f"<figcaption>{index + 1}/{total}</figcaption></figure>"
        for index in range(total)
    )
    return f'<div class="media strip" tabindex="0">{slides}</div>'


def _placeholder(publish: Publish) -> str:
    if publish.status is PublishState.FAILED:
        return '<div class="media none"><span class="mark">&times;</span></div>'
    share = publish.received * 100 // publish.size if publish.size else 0
    bar = f'<progress max="100" value="{share}"></progress>' if publish.size else "<progress></progress>"
    amount = (
        f"{_bytes(publish.received)} of {_bytes(publish.size)}" if publish.size else _bytes(publish.received)
    )
    return f'<div class="media none">{bar}<small>{amount}</small></div>'


def _bytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"


def _failure(publish: Publish) -> str:
    if publish.status is not PublishState.FAILED:
        return ""
    meaning = REASONS.get(publish.fail_reason, "")
    return f'<p class="reason"><code>{escape(publish.fail_reason)}</code> {escape(meaning)}</p>'


def _caption(publish: Publish) -> str:
    # A video has one text, its caption; a carousel has a title above its caption.
    title = f"<h2>{_tagged(publish.title)}</h2>" if publish.kind == "photo" and publish.title else ""
    caption = publish.title if publish.kind == "video" else publish.description
    if not title and not caption:
        return '<p class="caption muted">no caption</p>'
    return title + (f'<p class="caption">{_tagged(caption)}</p>' if caption else "")


def _tagged(text: str) -> str:
    """Escaped, with hashtags and mentions set off."""
    # Parted before it is escaped: the # of an escaped quote is no hashtag.
    parts = _TAGS.split(text.encode("utf-8", "replace").decode())
    return "".join(
        f"<b>{escape(part)}</b>" if index % 2 else escape(part) for index, part in enumerate(parts)
    )


_LABELS = {
    "is_aigc": "AI-generated",
    "brand_content_toggle": "Paid partnership",
    "brand_organic_toggle": "Promotional content",
    "disable_comment": "no comments",
    "disable_duet": "no duet",
    "disable_stitch": "no stitch",
    "auto_add_music": "music added",
}


def _labels(publish: Publish) -> str:
    shown = "".join(f"<li>{label}</li>" for name, label in _LABELS.items() if publish.options.get(name))
    return f'<ul class="labels">{shown}</ul>' if shown else ""


def _when(moment: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(moment))
