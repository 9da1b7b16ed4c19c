"""Display API: user info, the list of public videos, a query by id (its pages; video object 2026-08-24)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.responses import Response

from airflow_provider_tiktok.api.models import Scope
from airflow_provider_tiktok.sandbox import fields
from airflow_provider_tiktok.sandbox.gate import Call, answer_ok
from airflow_provider_tiktok.sandbox.publishes import Post
from airflow_provider_tiktok.sandbox.wire import Refusal
from airflow_provider_tiktok.sandbox.world import World

DEFAULT_PAGE, LARGEST_PAGE, MOST_IDS = 10, 20, 20
SHOWN_TEXT = 150

USER_FIELDS: dict[str, Scope] = {
    **dict.fromkeys(
        ("open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"),
        Scope.USER_INFO_BASIC,
    ),
    **dict.fromkeys(
        ("bio_description", "profile_deep_link", "is_verified", "username"), Scope.USER_INFO_PROFILE
    ),
    **dict.fromkeys(
        ("follower_count", "following_count", "likes_count", "video_count"), Scope.USER_INFO_STATS
    ),
}


def post_url(world: World, post: Post) -> str:
    """
    Where the sandbox shows a post; TikTok's own address has the same path.

    :param world: the sandbox.
    :param post: which.
    """
    return f"{world.url}/@{post.creator}/{post.kind}/{post.post_id}"


VIDEO_FIELDS: dict[str, Callable[[World, Post], object]] = {
    "id": lambda _, post: post.post_id,
    "create_time": lambda _, post: int(post.created),
    "cover_image_url": lambda world, post: f"{world.url}/media/{post.publish_id}/0",
    "share_url": post_url,
    "video_description": lambda _, post: (post.title or post.description)[:SHOWN_TEXT],
    "duration": lambda *_: 0,
    "height": lambda *_: 0,
    "width": lambda *_: 0,
    "title": lambda _, post: post.title[:SHOWN_TEXT],
    "embed_html": lambda *_: "",
    "embed_link": post_url,
    "like_count": lambda *_: 0,
    "comment_count": lambda *_: 0,
    "share_count": lambda *_: 0,
    "view_count": lambda *_: 0,
    "is_aigc": lambda world, post: bool(world.publishes.by_id[post.publish_id].options.get("is_aigc", False)),
}


class Display:
    """The handlers of the display endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def user_info(self, call: Call) -> Response:
        """
        The fields asked for, each under its scope.

        :param call: the request.
        """
        wanted = _wanted(call, USER_FIELDS)
        for name in wanted:
            if USER_FIELDS[name] not in call.scopes:
                raise Refusal(
                    "scope_permission_missed", f"The field {name} needs the scope {USER_FIELDS[name]}."
                )
        creator = call.creator
        avatar = f"{self._world.url}/avatar/{creator.username}.svg"
        known: dict[str, object] = {
            "open_id": creator.open_id,
            "union_id": f"union-{creator.open_id}",
            **dict.fromkeys(("avatar_url", "avatar_url_100", "avatar_large_url"), avatar),
            "display_name": creator.nickname,
            "bio_description": "",
            "profile_deep_link": f"{self._world.url}/@{creator.username}",
            "is_verified": False,
            "username": creator.username,
            **dict.fromkeys(("follower_count", "following_count", "likes_count"), 0),
            "video_count": len(self._public(creator.username)),
        }
        return answer_ok({"user": {name: known[name] for name in wanted}})

    async def video_list(self, call: Call) -> Response:
        """
        Public videos, newest first.

        :param call: the request.
        """
        wanted = _wanted(call, VIDEO_FIELDS)
        body = fields.checked("body", call.body, fields.VIDEO_LIST, strict=self._world.knobs.strict_fields)
        most, cursor = int(str(body.get("max_count", DEFAULT_PAGE))), int(str(body.get("cursor", 2**62)))
        if not 1 <= most <= LARGEST_PAGE:
            raise Refusal("invalid_params", f"body.max_count must be 1 to {LARGEST_PAGE}")
        older = [post for post in reversed(self._public(call.creator.username)) if _cursor(post) < cursor]
        page = older[:most]
        return answer_ok(
            {
                "videos": self._objects(page, wanted),
                "cursor": _cursor(page[-1]) if page else 0,
                "has_more": len(older) > len(page),
            }
        )

    async def video_query(self, call: Call) -> Response:
        """
        Public videos by id.

        :param call: the request.
        """
        wanted = _wanted(call, VIDEO_FIELDS)
        strict = self._world.knobs.strict_fields
        body = fields.checked("body", call.body, fields.VIDEO_QUERY, required=("filters",), strict=strict)
        filters = fields.checked(
            "filters", body["filters"], fields.FILTERS, required=("video_ids",), strict=strict
        )
        ids = filters["video_ids"]
        if not isinstance(ids, list) or not 1 <= len(ids) <= MOST_IDS:
            raise Refusal("invalid_params", f"filters.video_ids must hold 1 to {MOST_IDS} ids")
        found = [post for post in self._public(call.creator.username) if post.post_id in ids]
        return answer_ok({"videos": self._objects(found, wanted)})

    def _public(self, username: str) -> list[Post]:
        now = self._world.now()
        return [
            post
            for post in self._world.posts
            if post.creator == username and post.public_at is not None and post.public_at <= now
        ]

    def _objects(self, posts: Iterable[Post], wanted: list[str]) -> list[dict[str, object]]:
        return [{name: VIDEO_FIELDS[name](self._world, post) for name in wanted} for post in posts]


def _cursor(post: Post) -> int:
    return int(post.created * 1000)


def _wanted(call: Call, known: Iterable[str]) -> list[str]:
    wanted = [name.strip() for name in call.request.query_params.get("fields", "").split(",") if name.strip()]
    if not wanted:
        raise Refusal("invalid_params", "The query parameter fields is required")
    for name in wanted:
        if name not in known:
            raise Refusal("invalid_params", f"fields: {name} is not a field of this object")
    return wanted
