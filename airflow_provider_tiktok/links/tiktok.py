"""
The buttons on a task's page: where its post is, and where a creator finds a draft.

Airflow 2 asks for a link in its web server, which reads what the task has pushed. Airflow 3 asks on the
worker, each time that the task's process ends: there the task itself knows, and an XCom that is looked for in
vain would cost a request and leave an error in the task's log. A link never raises, and gives nothing but an
``https`` address.
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
        ended = _ended(operator, ti_key)
        if ended.get("status") == _IN_INBOX:
            return ""
        return _https(ended.get("post_url")) or _https(_profile(operator, ti_key))


class TikTokInboxLink(BaseOperatorLink):
    """How to find a draft that waits for its creator in the inbox of the TikTok app."""

    name = "TikTok inbox"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Give the address; empty where there is no draft.

        :param operator: the task
        :param ti_key: its instance
        """
        ended = _ended(operator, ti_key)
        if status := ended.get("status"):
            return INBOX_HELP if status == _IN_INBOX else ""
        return INBOX_HELP if str(ended.get("publish_id")).startswith(_DRAFT) else ""


#: What every operator and sensor here has.
LINKS = (TikTokPostLink(), TikTokInboxLink())


def _ended(operator: Any, ti_key: Any) -> Mapping[str, Any]:
    """Give how the publish has ended, or at least which one it is."""
    if hasattr(operator, "posted"):  # the task itself, on its worker
        return operator.posted or {}
    found: Any = None
    for key in STATUS_KEYS:
        found = _pushed(ti_key, key)
        if isinstance(found, Mapping):
            return found
    return {"publish_id": found}


def _profile(operator: Any, ti_key: Any) -> Any:
    """Give the creator's profile; of a task that goes on in the triggerer, only if it was just told it."""
    own = getattr(operator, "profile", "")
    waits = hasattr(operator, "posted") and getattr(ti_key, "state", None) == "deferred"
    return own if own or waits else _pushed(ti_key, PROFILE_KEY)


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
