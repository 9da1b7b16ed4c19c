"""
Remembers that TikTok has refused a grant, so that a hundred tasks do not ask again, one after the other.

The note stands beside the grant, in a Variable for this generation of this login alone: a newer one is not
touched by it. It holds no secret.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress

from airflow_provider_tiktok import register
from airflow_provider_tiktok.auth.grant import State
from airflow_provider_tiktok.exceptions import TikTokAnswerError, TikTokConsentError, TikTokStoreError

#: After this long TikTok is asked once more: it may have been mistaken.
REMEMBERED_SECONDS = 600.0


def remember(conn_id: str, grant: State, error: TikTokAnswerError) -> None:
    """
    Keep what TikTok has said, if that is possible just now.

    :param conn_id: of the Connection
    :param grant: that was refused
    :param error: TikTok's answer
    """
    said = {"said": str(error), "code": error.code, "log_id": error.log_id, "at": time.time()}
    with suppress(TikTokStoreError):
        register.put(_key(conn_id, grant), json.dumps(said))


def recall(conn_id: str, grant: State, within: float = REMEMBERED_SECONDS) -> TikTokConsentError | None:
    """
    Give what TikTok has said to this grant of late.

    :param conn_id: of the Connection
    :param grant: that is to be renewed
    :param within: so many seconds
    """
    try:
        said = json.loads(register.peek(_key(conn_id, grant)) or "{}")
        if abs(time.time() - float(said["at"])) > within:
            return None
        return TikTokConsentError(str(said["said"]), code=str(said["code"]), log_id=str(said["log_id"]))
    except (
        TikTokStoreError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return None  # nothing is known: TikTok will say it again


def _key(conn_id: str, grant: State) -> str:
    return register.name("refusal", conn_id, grant.seed, str(grant.generation))
