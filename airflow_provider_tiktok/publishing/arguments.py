"""Reads the arguments of operators and sensors, which a template may have made texts of."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from os import PathLike
from typing import Any, TypeVar

from airflow_provider_tiktok.exceptions import TikTokInputError

E = TypeVar("E", bound=StrEnum)

#: Longest pause between two looks at a publish.
DEFAULT_POLL_INTERVAL = 30.0
#: Airflow adds seconds to dates, and some metadata databases end in 2038.
LONGEST_SECONDS = 365 * 24 * 3600.0

_RATIO = re.compile(r"(\d+(?:\.\d+)?)(?:\s*[:/]\s*(\d+(?:\.\d+)?))?", re.ASCII)
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


def as_texts(name: str, value: Any) -> tuple[str, ...]:
    """
    Read a list of texts; a template may have made one text of it, as ``"['a.jpg', 'b.jpg']"``, or of a tuple.

    :param name: of the argument
    :param value: a list of texts or paths, or one of them
    :raises TikTokInputError: it is neither, or one of them is empty
    """
    if isinstance(value, str) and value.lstrip().startswith(("[", "(")):
        value = _listed(value.strip())
    if value is None or isinstance(value, str | PathLike):
        value = [] if value in (None, "") else [value]
    texts = tuple(_text(each) for each in value) if isinstance(value, Iterable) else ("",)
    if not all(texts):
        raise TikTokInputError(f"{name} must be a list of texts, none of them empty.")
    return texts


def _listed(text: str) -> Any:
    """Read a list or tuple that was made a text of; a path may begin with a bracket, too."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            if isinstance(found := read(text), list | tuple):
                return found
    return text


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | PathLike) else ""


def as_ratio(name: str, value: Any) -> float | None:
    """
    Read a ratio of width to height.

    :param name: of the argument
    :param value: a number, a text such as ``"9:16"`` or ``"0.5625"``, or None
    :raises TikTokInputError: it is none, or not between 1:10 and 10:1
    """
    if value is None or str(value).strip() in ("", "None"):
        return None
    found = _RATIO.fullmatch(str(value).strip())
    if found and not isinstance(value, bool):
        width, height = float(found[1]), float(found[2] or 1)
        if height and 0.1 <= width / height <= 10:
            return width / height
    raise TikTokInputError(f"{name} must be like 9:16 or 0.5625, from 1:10 to 10:1, not {value!r}.")
