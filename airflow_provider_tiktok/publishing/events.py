"""What a trigger tells its task, in plain JSON and without secrets: written and read only here."""

from __future__ import annotations

from typing import Any

from airflow_provider_tiktok.api.models import PublishState, PublishStatus
from airflow_provider_tiktok.exceptions import (
    TikTokAnswerError,
    TikTokConfigError,
    TikTokError,
    TikTokInputError,
    TikTokProtocolError,
    answer_error,
)

_ENDS = (PublishState.PUBLISH_COMPLETE, PublishState.SEND_TO_USER_INBOX, PublishState.FAILED)
#: Errors without a code of TikTok's that end a trigger's waiting and must keep their class.
_WITHOUT_CODE = {each.__name__: each for each in (TikTokConfigError, TikTokInputError)}


def status_event(publish_id: str, status: PublishStatus) -> dict[str, Any]:
    """
    Tell how a publish ended.

    :param publish_id: of the publish
    :param status: the one that ended the waiting
    """
    return {
        "publish_id": publish_id,
        "status": status.status,
        "fail_reason": status.fail_reason,
        "post_ids": list(status.post_ids),
        "uploaded_bytes": status.uploaded_bytes,
        "log_id": status.log_id,
    }


def error_event(publish_id: str, error: TikTokError) -> dict[str, Any]:
    """
    Tell why it could not be waited for.

    :param publish_id: of the publish
    :param error: what was met
    """
    event: dict[str, Any] = {"publish_id": publish_id, "status": "error", "message": str(error)}
    event["error"] = type(error).__name__
    if isinstance(error, TikTokAnswerError):
        names = ("code", "detail", "log_id", "http_status")
        event |= {name: getattr(error, name) for name in names}
    return event


def read_event(event: Any, *, ended: bool = True) -> tuple[str, PublishStatus]:
    """
    Read what a trigger told: the publish and its status.

    :param event: as Airflow hands it over
    :param ended: only an end is an answer
    :raises TikTokError: the trigger met an error, or the event is none of ours
    """
    if not isinstance(event, dict) or not isinstance(event.get("publish_id"), str):
        raise TikTokProtocolError(
            f"The trigger ended without a status (its event was {type(event).__name__})."
        )
    publish_id, status = event["publish_id"], event.get("status")
    if status == "error":
        raise _told_error(publish_id, event)
    if status not in _ENDS and (ended or not isinstance(status, str)):
        raise TikTokProtocolError(f"Publish {publish_id}: the trigger ended with the status {status!r}.")
    return publish_id, PublishStatus(
        status=str(status),
        fail_reason=str(event.get("fail_reason") or ""),
        post_ids=_texts(event.get("post_ids")),
        uploaded_bytes=uploaded if isinstance(uploaded := event.get("uploaded_bytes"), int) else None,
        log_id=str(event.get("log_id") or ""),
    )


def _told_error(publish_id: str, event: dict[str, Any]) -> TikTokError:
    if code := event.get("code"):
        return answer_error(
            f"status of publish {publish_id}",
            str(code),
            detail=str(event.get("detail") or ""),
            log_id=str(event.get("log_id") or ""),
            http_status=http_status if isinstance(http_status := event.get("http_status"), int) else 0,
        )
    kind = _WITHOUT_CODE.get(str(event.get("error")), TikTokError)
    return kind(f"Publish {publish_id}: it could not be waited for: {event.get('message')}")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
