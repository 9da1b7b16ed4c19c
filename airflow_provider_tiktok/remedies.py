"""What helps against one of TikTok's codes, and who has to act: the words of the table of codes."""

from __future__ import annotations

from enum import StrEnum


class Helps(StrEnum):
    """What helps against an error code."""

    MINUTE = "wait a minute"
    DAY = "wait until a place in the day's cap frees"
    RETRY = "retry"
    REFRESH = "refresh the access token, once"
    NOTHING = "nothing but a change"


class Who(StrEnum):
    """Who has to act on an error code."""

    NOBODY = "nobody"
    TIKTOK = "TikTok"
    CREATOR = "the creator"
    DEVELOPER = "the DAG's author"
    APP_OWNER = "the TikTok app's owner"
