"""What a task tells of its publish, to the tasks behind it and to those who look at its page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_tiktok.links.tiktok import PROFILE_KEY, profile_url

if TYPE_CHECKING:
    from airflow_provider_tiktok.hooks.tiktok import TikTokHook

log = logging.getLogger(__name__)


def tell_begun(context: Any, hook: TikTokHook) -> None:
    """
    Tell of a publish that is on its way.

    :param context: of the task
    :param hook: of the account, which may have been told who the creator is
    """
    if not hook.creator_username:
        return
    try:
        context["ti"].xcom_push(key=PROFILE_KEY, value=profile_url(hook.creator_username))
    except Exception as error:  # whatever it is: the post must not fail for a link
        log.info("The creator's profile could not be pushed (%s).", type(error).__name__)


def tell_ended(context: Any, result: dict[str, Any]) -> None:
    """
    Tell of a publish that has ended well.

    :param context: of the task
    :param result: as :func:`~airflow_provider_tiktok.publishing.result.described` gives it
    """
    address = result["post_url"] or "no public address"
    log.info("Publish %s: %s, %s.", result["publish_id"], result["status"], address)
    context["ti"].xcom_push(key="publish_status", value=result)
