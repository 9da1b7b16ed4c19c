"""Every knob of the sandbox: one dataclass, from which the command line and the control API are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from typing import Any, get_type_hints


def knob(default: Any, meaning: str, *, choices: tuple[str, ...] = (), secret: bool = False) -> Any:
    """
    A field of :class:`Knobs` with its meaning beside it.

    :param default: the value TikTok has, or the likeliest one.
    :param meaning: one line, shown by ``--help``.
    :param choices: the only values allowed.
    :param secret: never shown by the control API.
    """
    return field(default=default, metadata={"meaning": meaning, "choices": choices, "secret": secret})


@dataclass(slots=True)
class Knobs:
    """What can be turned, at start and while the server runs. Defaults are TikTok's own numbers."""

    # The app and its creators
    client_key: str = knob("sandbox-client-key", "The app's client key.")
    client_secret: str = knob("sandbox-client-secret", "The app's client secret.", secret=True)
    creators: tuple[str, ...] = knob(("creator1", "creator2"), "Creators offered by the authorize page.")
    private_accounts: bool = knob(default=False, meaning="New creators have private accounts.")
    unaudited: bool = knob(default=False, meaning="The app has not passed TikTok's audit.")
    redirect_uris: tuple[str, ...] = knob(
        (), "Registered redirect URIs; none = any that TikTok could register."
    )
    verified_prefixes: tuple[str, ...] = knob(
        ("loopback",), "What the app has verified: URL prefixes, domains, or 'loopback' for any local server."
    )

    # Time
    minute: float = knob(60.0, "Seconds of TikTok's minute (rate limits).")
    day: float = knob(86400.0, "Seconds of TikTok's day (post, draft and user caps).")
    day_kind: str = knob("rolling", "How the day is counted.", choices=("rolling", "calendar"))
    time_scale: float = knob(
        1.0, "Divides processing_seconds, moderation_seconds and both token lifetimes; nothing else."
    )
    processing_seconds: float = knob(2.0, "From the last byte to the final status.")
    moderation_seconds: float = knob(3.0, "From PUBLISH_COMPLETE to the public post id.")
    latency: float = knob(0.0, "Seconds every answer takes longer.")

    # Tokens
    access_token_seconds: float = knob(7200.0, "Life of an access token.")
    refresh_token_seconds: float = knob(180 * 86400.0, "Life of a refresh token.")
    refresh_restarts: bool = knob(
        default=True, meaning="A refresh gives the refresh token its full life again."
    )
    refresh_kills_access_token: bool = knob(
        default=False, meaning="A refresh kills the access token before it, too."
    )
    burn_on_reuse: bool = knob(
        default=True, meaning="Re-use of a spent refresh token revokes the whole grant."
    )
    code_seconds: float = knob(300.0, "Life of an authorization code.")
    oauth_error_status: int = knob(200, "HTTP status of OAuth errors: 200 (as reported), 400 or 401.")

    # Limits; 0 = none
    limits: bool = knob(default=True, meaning="False switches off every rate limit and every cap.")
    init_limit: int = knob(6, "Inits a minute, for each init endpoint and user.")
    creator_info_limit: int = knob(20, "creator_info calls a minute and user.")
    status_limit: int = knob(30, "Status calls a minute and user.")
    display_limit: int = knob(600, "user/info, video/list, video/query calls a minute and user, each.")
    post_cap: int = knob(15, "Direct posts a day and creator.")
    draft_cap: int = knob(5, "Pending drafts a day and creator.")
    user_cap: int = knob(0, "Posting users a day; 0 = 5 while unaudited, else no cap.")

    # Inits
    strict_fields: bool = knob(
        default=True, meaning="Refuse fields the endpoint does not document (TikTok drops them silently)."
    )
    require_brand_toggles: bool = knob(
        default=False, meaning="Refuse direct posts without both brand toggles."
    )
    refuse_chunk_sizes: tuple[int, ...] = knob((), "Chunk sizes refused as invalid, whatever the rules say.")
    narrow_megabytes: bool = knob(
        default=False,
        meaning="Read every ambiguous MB limit the stricter way (5 MiB, 64,000,000, 20,000,000).",
    )
    invalid_code: str = knob(
        "invalid_params", "Spelling of the bad-request code.", choices=("invalid_params", "invalid_param")
    )

    # Bytes
    upload_url_seconds: float = knob(3600.0, "Life of an upload URL.")
    upload_progress: str = knob(
        "index",
        "Content-Range of answers: index of the last byte, or count of bytes.",
        choices=("index", "count"),
    )
    complete_status: int = knob(201, "Answer to the last chunk: 201 or 200.")
    reput_status: int = knob(416, "Answer to a PUT after the upload is complete: 416, 404 or 403.")
    pull_timeout: float = knob(3600.0, "Seconds a pull may take.")
    hang_pulls: bool = knob(
        default=False, meaning="Pulls stay in PROCESSING_DOWNLOAD for as long as this is on."
    )
    media_check: str = knob(
        "magic",
        "magic: first bytes, and a header if readable; full: the header must be readable; off: nothing.",
        choices=("magic", "full", "off"),
    )

    # Outcomes
    fail_reason: str = knob("", "Every publish fails with this reason once its bytes are in.")
    post_id_shape: str = knob(
        "list",
        "Shape of publicaly_available_post_id; empty = always an empty list.",
        choices=("list", "scalar", "absent", "empty"),
    )
    processing_status: str = knob("", "Told instead of PROCESSING_..., to try a status nobody knows.")
    tell_progress: bool = knob(default=True, meaning="Status tells uploaded_bytes and downloaded_bytes.")
    publish_id_delay: float = knob(
        0.0, "Seconds after init in which status does not know the publish_id yet."
    )
    publish_id_seconds: float = knob(0.0, "Seconds after init from which status knows it no more; 0 = never.")

    # Folders
    data_dir: str = knob("", "Where media is kept; empty = a temporary folder, removed at the end.")
    public_dir: str = knob("", "A folder served at /public/, so that there is something to pull.")

    def update(self, changes: Mapping[str, object]) -> None:
        """
        Set several knobs, all or none.

        :param changes: names and values; texts are read as the command line reads them.
        :raises ValueError: for an unknown name or a value of the wrong type, naming it.
        """
        for name, value in [(name, coerced(name, value)) for name, value in changes.items()]:
            setattr(self, name, value)

    def shown(self) -> dict[str, object]:
        """Every knob but the secret ones, as JSON types."""
        return {
            each.name: list(value) if isinstance(value := getattr(self, each.name), tuple) else value
            for each in fields(self)
            if not each.metadata["secret"]
        }


def _not(value: object, kind: str) -> ValueError:
    # A ValueError also for a wrong type: to a user of the command line or the control API it is all one.
    return ValueError(f"{value!r} is not {kind}")


def _text(value: object) -> str:
    if isinstance(value, PathLike):
        return str(fspath(value))
    if not isinstance(value, str):
        raise _not(value, "a text")
    return value


def _flag(value: object) -> bool:
    flags = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in flags:
        return flags[value.lower()]
    raise ValueError(f"{value!r} is neither true nor false")


def _number(kind: type[int | float]) -> Callable[[object], int | float]:
    def read(value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise _not(value, "a number")
        try:
            number = kind(value)
        except ValueError:
            raise _not(value, "a number") from None
        if number < 0:
            raise ValueError("must not be negative")
        return number

    return read


def _several(kind: Callable[[object], object]) -> Callable[[object], object]:
    def read(value: object) -> object:
        items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(items, Iterable):
            raise _not(value, "a list")
        return tuple(kind(item) for item in items if item != "")

    return read


READERS: dict[object, Callable[[object], object]] = {
    str: _text,
    bool: _flag,
    int: _number(int),
    float: _number(float),
    tuple[str, ...]: _several(_text),
    tuple[int, ...]: _several(_number(int)),
}
KINDS: dict[str, object] = get_type_hints(Knobs)
_CHOICES: dict[str, tuple[str, ...]] = {each.name: each.metadata["choices"] for each in fields(Knobs)}
_MUST_BE_POSITIVE = {"minute", "day", "time_scale"}


def coerced(name: str, value: object) -> object:
    """
    The value as the knob's type.

    :param name: a knob.
    :param value: a value of its type, or the text of one.
    :raises ValueError: naming the knob.
    """
    if name not in _CHOICES:
        raise ValueError(f"there is no knob {name!r}; there are: {', '.join(sorted(_CHOICES))}")
    try:
        result = READERS[KINDS[name]](value)
    except ValueError as error:
        raise ValueError(f"knob {name}: {error}") from None
    if _CHOICES[name] and result not in _CHOICES[name]:
        raise ValueError(f"knob {name}: {result!r} is not one of {', '.join(_CHOICES[name])}")
    if name in _MUST_BE_POSITIVE and not result:
        raise ValueError(f"knob {name}: must be more than 0")
    return result
