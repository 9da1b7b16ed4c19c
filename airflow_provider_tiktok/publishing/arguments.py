"""Reads the arguments of operators and sensors, which a template may have made texts of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokInputError

E = TypeVar("E", bound=StrEnum)

#: Airflow adds seconds to dates, and some metadata databases end in 2038.
LONGEST_SECONDS = 365 * 24 * 3600.0

_WORDS = {"true": True, "false": False, "1": True, "0": False, "none": None, "": None}


def as_bool(name: str, value: Any) -> bool | None:
    """
    Read a yes or no that a template may have made a text of.

    :param name: of the argument
    :param value: a bool, None, or a text such as ``"True"``
    :raises TikTokInputError: it is neither
    """
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise TikTokInputError(f"{name} must be true or false, not {value!r}.")
    return _WORDS[word]


def as_whole(name: str, value: Any) -> int | None:
    """
    Read a whole number, not below 0, that a template may have made a text of.

    :param name: of the argument
    :param value: an int, None, or a text such as ``"1500"``
    :raises TikTokInputError: it is neither
    """
    text = str(value).strip()
    if value is None or text.lower() in ("", "none"):
        return None
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or int(text) > 2**31 - 1:
        raise TikTokInputError(f"{name} must be a whole number from 0 to 2147483647, not {value!r}.")
    return int(text)


def as_seconds(name: str, value: Any) -> float:
    """
    Read a number of seconds, above 0 and at most a year, that a template may have made a text of.

    :param name: of the argument
    :param value: a number, or a text such as ``"1.5"``
    :raises TikTokInputError: it is neither
    """
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise TikTokInputError(
            f"{name} must be a number of seconds, above 0 and at most a year, not {value!r}."
        )
    return seconds


def as_choice(name: str, value: Any, choices: type[E]) -> E:
    """
    Read one of TikTok's constants.

    :param name: of the argument
    :param value: the text
    :param choices: the enum
    :raises TikTokInputError: it is none of them
    """
    try:
        return choices(str(getattr(value, "value", value)))
    except ValueError:
        raise TikTokInputError(f"{name} must be one of {', '.join(choices)}, not {value!r}.") from None
