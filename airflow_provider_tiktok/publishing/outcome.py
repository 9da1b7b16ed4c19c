"""What the record of a task that has failed says: whether something else may post the same."""

from __future__ import annotations

from typing import Any

from airflow_provider_tiktok.publishing.decision import Found, found
from airflow_provider_tiktok.publishing.ledger import open_ledger

#: What the record may say of a publish that TikTok may have posted, or may still post; None = under way.
_IN_DOUBT = (None, Found.INTENT, Found.DONE, Found.UNCONFIRMED)


def may_have_posted(context: Any) -> bool:
    """
    Tell whether a task may have posted something, or has a publish under way that only it can go on with.

    For a task's ``on_failure_callback``: where this says no, another task may publish the same.

    :param context: of the task
    :raises TikTokStoreError: it cannot be told
    """
    return any(found(record) in _IN_DOUBT for record in open_ledger(context).latest())
