"""Content Posting API: creator_info, the three inits, status and cancel."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.responses import Response

from airflow_provider_tiktok.api.models import PostMode, PrivacyLevel, Scope, Source
from airflow_provider_tiktok.sandbox import chunks, fields, ownership
from airflow_provider_tiktok.sandbox.accounts import Creator
from airflow_provider_tiktok.sandbox.gate import Call, answer_ok
from airflow_provider_tiktok.sandbox.publishes import Publish
from airflow_provider_tiktok.sandbox.pulls import Pulls
from airflow_provider_tiktok.sandbox.uploads import Uploads
from airflow_provider_tiktok.sandbox.wire import Refusal
from airflow_provider_tiktok.sandbox.world import World

MAX_CAPTION, MAX_PHOTO_TITLE, MAX_PHOTO_DESCRIPTION = 2200, 90, 4000
MAX_PHOTOS = 35
TOGGLES = ("brand_content_toggle", "brand_organic_toggle")


class Posting:
    """The handlers of the posting endpoints."""

    def __init__(self, world: World, uploads: Uploads, pulls: Pulls) -> None:
        self._world, self._uploads, self._pulls = world, uploads, pulls

    async def creator_info(self, call: Call) -> Response:
        """
        Query Creator Info: who posts, with which options; says with HTTP 200 that the creator cannot post.

        :param call: the request.
        """
        creator = call.creator
        try:
            may_post(self._world, creator)
        except Refusal as refusal:
            raise Refusal(refusal.code, refusal.message, status=200) from None
        return answer_ok(
            {
                "creator_avatar_url": f"{self._world.url}/avatar/{creator.username}.svg",
                "creator_username": creator.username,
                "creator_nickname": creator.nickname,
                "privacy_level_options": creator.privacy_options,
                "comment_disabled": creator.comment_disabled,
                "duet_disabled": creator.duet_disabled or creator.private,
                "stitch_disabled": creator.stitch_disabled or creator.private,
                "max_video_post_duration_sec": creator.max_video_post_duration_sec,
            }
        )

    async def video_init(self, call: Call) -> Response:
        """
        Direct Post of a video.

        :param call: the request.
        """
        body = self._checked("body", call.body, fields.VIDEO_INIT, "post_info", "source_info")
        options = self._checked("post_info", body["post_info"], fields.VIDEO_POST_INFO, "privacy_level")
        fields.within("post_info.title", options.get("title", ""), MAX_CAPTION)
        self._check_direct(options)
        source = self._video_source(body["source_info"])
        _may_post_directly(self._world, call.creator, str(options["privacy_level"]))
        return self._begin_video(call, PostMode.DIRECT_POST, options, source)

    async def inbox_init(self, call: Call) -> Response:
        """
        A video as a draft into the creator's inbox; no caption, no settings.

        :param call: the request.
        """
        body = self._checked("body", call.body, fields.INBOX_INIT, "source_info")
        source = self._video_source(body["source_info"])
        _may_draft(self._world, call.creator)
        return self._begin_video(call, PostMode.MEDIA_UPLOAD, {}, source)

    async def content_init(self, call: Call) -> Response:
        """
        A carousel of photos, direct or as a draft; always pulled.

        :param call: the request.
        """
        body = self._checked("body", call.body, fields.CONTENT_INIT, "media_type", "post_mode", "source_info")
        mode = _one_of("post_mode", body["post_mode"], tuple(PostMode))
        _one_of("media_type", body["media_type"], ("PHOTO",))
        direct = mode == PostMode.DIRECT_POST
        call.need_scope(*_SCOPES[mode])
        needed = ("privacy_level",) if direct else ()
        options = self._checked("post_info", body.get("post_info", {}), fields.PHOTO_POST_INFO, *needed)
        fields.within("post_info.title", options.get("title", ""), MAX_PHOTO_TITLE)
        fields.within("post_info.description", options.get("description", ""), MAX_PHOTO_DESCRIPTION)
        if direct:
            self._check_direct(options)
        urls = self._photo_urls(body["source_info"])
        if direct:
            _may_post_directly(self._world, call.creator, str(options["privacy_level"]))
            options |= {"is_aigc": body["is_aigc"]} if "is_aigc" in body else {}
        else:
            _may_draft(self._world, call.creator)
            if call.creator.old_app:
                raise Refusal("app_version_check_failed", "The user's TikTok app must be 31.8 or newer.")
            # A draft keeps only its texts (Photo reference, 2026-09-11).
            options = {name: options[name] for name in ("title", "description") if name in options}
        self._check_ownership(urls)
        publish = self._begin(call, "photo", PostMode(mode), Source.PULL_FROM_URL, options=options, urls=urls)
        self._pulls.start(publish)
        return answer_ok({"publish_id": publish.publish_id})

    async def status(self, call: Call) -> Response:
        """
        Get Post Status.

        :param call: the request.
        """
        publish, knobs = self._find(call), self._world.knobs
        data = publish.answer(self._world.now(), knobs.post_id_shape, tell_progress=knobs.tell_progress)
        if publish.in_progress and knobs.processing_status:
            data["status"] = knobs.processing_status
        return answer_ok(data)

    async def cancel(self, call: Call) -> Response:
        """
        Cancel a download that is under way; an upload, or what is being processed, cannot be cancelled.

        :param call: the request.
        """
        publish = self._find(call)
        if publish.source is not Source.PULL_FROM_URL or not publish.receiving:
            raise Refusal(
                "publish_not_cancellable", f"The publish is {publish.status} and cannot be cancelled."
            )
        self._check_ownership(publish.urls)
        self._pulls.stop(publish)
        publish.fail("publish_cancelled", self._world.now())
        return answer_ok({})

    def _checked(self, where: str, value: object, table: fields.Table, *required: str) -> dict[str, object]:
        return fields.checked(where, value, table, required=required, strict=self._world.knobs.strict_fields)

    def _check_direct(self, options: Mapping[str, object]) -> None:
        level = _one_of("post_info.privacy_level", options["privacy_level"], tuple(PrivacyLevel))
        if self._world.knobs.require_brand_toggles:
            for name in TOGGLES:
                if name not in options:
                    raise Refusal("invalid_params", f"post_info.{name} is required")
        if options.get("brand_content_toggle") and level == PrivacyLevel.SELF_ONLY:
            # The rule stands in the Content sharing guidelines (2026-09-11), which name no code for it.
            raise Refusal("invalid_params", "post_info: branded content cannot be SELF_ONLY")

    def _video_source(self, value: object) -> chunks.Grid | str:
        """The grid of an upload, or the URL of a pull."""
        source = value.get("source") if isinstance(value, dict) else None
        if _one_of("source_info.source", source, tuple(Source)) == Source.FILE_UPLOAD:
            table = fields.FILE_UPLOAD_INFO
            return chunks.declared(self._checked("source_info", value, table, *table), self._world.knobs)
        url = self._checked("source_info", value, fields.PULL_INFO, *fields.PULL_INFO)["video_url"]
        _check_url("source_info.video_url", str(url))
        return str(url)

    def _photo_urls(self, value: object) -> tuple[str, ...]:
        info = self._checked("source_info", value, fields.PHOTO_SOURCE_INFO, *fields.PHOTO_SOURCE_INFO)
        _one_of("source_info.source", info["source"], (Source.PULL_FROM_URL,))
        urls, cover = info["photo_images"], info["photo_cover_index"]
        if not isinstance(urls, list) or not 1 <= len(urls) <= MAX_PHOTOS:
            raise Refusal("invalid_params", f"source_info.photo_images must hold 1 to {MAX_PHOTOS} URLs")
        if not isinstance(cover, int) or not 0 <= cover < len(urls):
            raise Refusal("invalid_params", "source_info.photo_cover_index is not the index of a photo")
        for url in urls:
            _check_url("source_info.photo_images", url)
        return tuple(urls)

    def _check_ownership(self, urls: tuple[str, ...]) -> None:
        if not all(ownership.verified(url, self._world.knobs.verified_prefixes) for url in urls):
            raise Refusal(
                "url_ownership_unverified",
                "Please review our URL ownership verification rules at developers.tiktok.com.",
            )

    def _begin_video(
        self, call: Call, mode: PostMode, options: dict[str, object], source: chunks.Grid | str
    ) -> Response:
        if isinstance(source, str):
            self._check_ownership((source,))
            publish = self._begin(call, "video", mode, Source.PULL_FROM_URL, options=options, urls=(source,))
            self._pulls.start(publish)
            return answer_ok({"publish_id": publish.publish_id})
        publish = self._begin(call, "video", mode, Source.FILE_UPLOAD, options=options, size=source.size)
        url = self._uploads.open(publish, source, base=str(call.request.base_url))
        return answer_ok({"publish_id": publish.publish_id, "upload_url": url})

    def _begin(
        self,
        call: Call,
        kind: str,
        mode: PostMode,
        source: Source,
        *,
        options: dict[str, object],
        urls: tuple[str, ...] = (),
        size: int = 0,
    ) -> Publish:
        publish = self._world.publishes.create(
            creator=call.creator,
            kind=kind,
            mode=mode,
            source=source,
            created=self._world.now(),
            options=options,
            urls=urls,
            size=size,
        )
        publish.planned_failure = call.planned_failure
        call.publish_id = publish.publish_id
        return publish

    def _find(self, call: Call) -> Publish:
        body = self._checked("body", call.body, fields.PUBLISH_ID, "publish_id")
        publish = self._world.publishes.by_id.get(str(body["publish_id"]))
        if publish is None or not self._known(publish):
            raise Refusal("invalid_publish_id", "The publish_id does not exist.")
        if publish.creator is not call.creator:
            raise Refusal(
                "token_not_authorized_for_specified_publish_id",
                "The access token belongs to another creator.",
            )
        call.publish_id = publish.publish_id
        return publish

    def _known(self, publish: Publish) -> bool:
        """How soon, and for how long, TikTok knows a publish_id is not documented."""
        age, knobs = self._world.now() - publish.created, self._world.knobs
        return age >= knobs.publish_id_delay and not 0 < knobs.publish_id_seconds <= age


_SCOPES: dict[str, tuple[Scope, ...]] = {
    PostMode.DIRECT_POST: (Scope.VIDEO_PUBLISH,),
    PostMode.MEDIA_UPLOAD: (Scope.VIDEO_UPLOAD,),
}


def _one_of(where: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise Refusal("invalid_params", f"{where} must be one of {', '.join(allowed)}")
    return value


def _check_url(where: str, url: str) -> None:
    """Https and a domain; plain http and IP hosts only on loopback, for the sandbox's own sake."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Refusal("invalid_params", f"{where} is not a URL") from None
    if ownership.is_loopback(host):
        fine = parts.scheme in ("http", "https")
    else:
        fine = parts.scheme == "https" and bool(host) and not ownership.is_ip(host)
    if not fine or parts.username is not None:
        raise Refusal("invalid_params", f"{where} must be an https URL of a domain")


def _refuse_banned(creator: Creator) -> None:
    if creator.banned:
        raise Refusal("spam_risk_user_banned_from_posting", "The user is banned from making new posts.")


def may_post(world: World, creator: Creator) -> None:
    """
    Refuse if the creator cannot make a direct post now.

    :param world: the sandbox.
    :param creator: who.
    """
    now = world.now()
    _refuse_banned(creator)
    if world.at_user_cap(creator, now):
        raise Refusal(
            "reached_active_user_cap", "The daily quota for active publishing users has been reached."
        )
    if world.at_post_cap(creator, now):
        raise Refusal("spam_risk_too_many_posts", "The daily post cap from the API is reached for this user.")


def _may_post_directly(world: World, creator: Creator, level: str) -> None:
    private_only = creator.private and level == PrivacyLevel.SELF_ONLY
    if world.knobs.unaudited and not private_only:
        raise Refusal(
            "unaudited_client_can_only_post_to_private_accounts",
            "Please review our guidelines at developers.tiktok.com/doc/content-sharing-guidelines",
        )
    if level not in creator.privacy_options:
        raise Refusal("privacy_level_option_mismatch", f"{level} is not an option of this creator.")
    may_post(world, creator)


def _may_draft(world: World, creator: Creator) -> None:
    _refuse_banned(creator)
    if world.at_draft_cap(creator, world.now()):
        raise Refusal("spam_risk_too_many_pending_share", "The user has too many pending shares in 24 hours.")
