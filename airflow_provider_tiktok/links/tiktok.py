"""
The buttons on a task's page: where its post is, and where a creator finds a draft.

Airflow 2 asks for a link in its web server, Airflow 3 on the worker once the task is over; both only read
what the task has pushed. A link never raises, and gives nothing but an ``https`` address.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

log = logging.getLogger(__name__)

#: How a publish has ended: the operators push it, and the sensor returns it.
STATUS_KEYS = ("publish_status", "return_value")
#: Where the creator's posts are; pushed by an operator that has asked who the creator is.
PROFILE_KEY = "creator_profile"
#: No page on the web shows a creator the drafts of an app: they are in the inbox of TikTok's own app, which
#: this page of TikTok's tells to find.
INBOX_HELP = "https://support.tiktok.com/en/using-tiktok/messaging-and-notifications/notifications"

_IN_INBOX = "SEND_TO_USER_INBOX"
_DRAFT = "v_inbox_"


def profile_url(username: str) -> str:
    """
    Give the address of a creator's profile.

    :param username: as creator_info tells it, without the @
    """
    return f"https://www.tiktok.com/@{quote(username, safe='')}"


class TikTokPostLink(BaseOperatorLink):
    """
    The public post; the creator's profile where TikTok names no post, or not yet.

    TikTok never names one that is private, and documents no address of a photo post.
    """

    name = "TikTok post"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Give the address; empty where none is known.

        :param operator: the task
        :param ti_key: its instance
        """
        ended = _ended(ti_key)
        if ended.get("status") == _IN_INBOX:
            return ""
        return _https(ended.get("post_url")) or _https(_pushed(ti_key, PROFILE_KEY))


class TikTokInboxLink(BaseOperatorLink):
    """How to find a draft that waits for its creator in the inbox of the TikTok app."""

    name = "TikTok inbox"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Give the address; empty where there is no draft.

        :param operator: the task
        :param ti_key: its instance
        """
        status = _ended(ti_key).get("status")
        waits = status == _IN_INBOX if status else str(_pushed(ti_key, "return_value")).startswith(_DRAFT)
        return INBOX_HELP if waits else ""


#: What every operator and sensor here has.
LINKS = (TikTokPostLink(), TikTokInboxLink())


def _ended(ti_key: Any) -> Mapping[str, Any]:
    found = (_pushed(ti_key, key) for key in STATUS_KEYS)
    return next((each for each in found if isinstance(each, Mapping)), {})


def _pushed(ti_key: Any, key: str) -> Any:
    """Read an XCom of the task; whatever goes wrong, its page has just no link."""
    try:
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(ti_key=ti_key, key=key)
    except Exception as error:
        log.debug("No link: XCom %s cannot be read (%s).", key, type(error).__name__)
        return None


def _https(url: object) -> str:
    """Let nothing through that is no address of a web page: anybody may push an XCom."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc else ""
