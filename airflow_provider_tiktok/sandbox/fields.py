"""The documented fields of each request body, as tables, and the function that checks a body against them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_provider_tiktok.sandbox.wire import Refusal


def _integer(bits: int) -> Callable[[object], bool]:
    bound = 2 ** (bits - 1)
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and -bound <= value < bound


KINDS: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int32": _integer(32),
    "int64": _integer(64),
    "object": lambda value: isinstance(value, dict),
    "list of strings": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}

Table = Mapping[str, str]

#: Direct Post reference (2026-09-11).
VIDEO_POST_INFO: Table = {
    "privacy_level": "string",
    "title": "string",
    "disable_duet": "bool",
    "disable_stitch": "bool",
    "disable_comment": "bool",
    "video_cover_timestamp_ms": "int32",
    "brand_content_toggle": "bool",
    "brand_organic_toggle": "bool",
    "is_aigc": "bool",
}
#: Photo reference (2026-09-11). ``is_aigc`` stands at the top level there, not here.
PHOTO_POST_INFO: Table = {
    "title": "string",
    "description": "string",
    "privacy_level": "string",
    "disable_comment": "bool",
    "auto_add_music": "bool",
    "brand_content_toggle": "bool",
    "brand_organic_toggle": "bool",
}
FILE_UPLOAD_INFO: Table = {
    "source": "string",
    "video_size": "int64",
    "chunk_size": "int64",
    "total_chunk_count": "int64",
}
PULL_INFO: Table = {"source": "string", "video_url": "string"}
PHOTO_SOURCE_INFO: Table = {
    "source": "string",
    "photo_images": "list of strings",
    "photo_cover_index": "int32",
}

VIDEO_INIT: Table = {"post_info": "object", "source_info": "object"}
INBOX_INIT: Table = {"source_info": "object"}
CONTENT_INIT: Table = {
    "media_type": "string",
    "post_mode": "string",
    "post_info": "object",
    "source_info": "object",
    "is_aigc": "bool",
}
PUBLISH_ID: Table = {"publish_id": "string"}
VIDEO_LIST: Table = {"cursor": "int64", "max_count": "int32"}
VIDEO_QUERY: Table = {"filters": "object"}
FILTERS: Table = {"video_ids": "list of strings"}


def checked(
    where: str, value: object, table: Table, *, required: tuple[str, ...] = (), strict: bool = True
) -> dict[str, object]:
    """
    The documented fields of an object, each of its documented type.

    :param where: the object's name, for messages.
    :param value: what was sent.
    :param table: the documented fields.
    :param required: which must be there.
    :param strict: whether other fields are refused; if not they are dropped, as TikTok does.
    :raises Refusal: naming the field.
    """
    if not isinstance(value, dict):
        raise Refusal("invalid_params", f"{where} must be an object")
    for name in required:
        if value.get(name) is None:
            raise Refusal("invalid_params", f"{where}.{name} is required")
    unknown = sorted(str(name) for name in value if name not in table)
    if unknown and strict:
        raise Refusal("invalid_params", f"{where}.{unknown[0]} is not a field of this endpoint")
    for name, kind in table.items():
        if value.get(name) is not None and not KINDS[kind](value[name]):
            raise Refusal("invalid_params", f"{where}.{name} must be of type {kind}")
    return {name: value[name] for name in table if value.get(name) is not None}


def utf16_units(text: str) -> int:
    """
    The length TikTok counts: UTF-16 code units, so that most emoji count two.

    :param text: a caption.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def within(where: str, text: object, most: int) -> None:
    """
    Refuse a text that is too long.

    :param where: its name.
    :param text: the text.
    :param most: UTF-16 units.
    """
    if utf16_units(str(text)) > most:
        raise Refusal("invalid_params", f"{where} is longer than {most} UTF-16 characters")
