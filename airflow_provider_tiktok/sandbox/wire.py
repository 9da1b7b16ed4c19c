"""How TikTok answers: the error codes with their HTTP status, and the three shapes of an answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.responses import Response

#: HTTP status of each code (Direct Post, Photo, Get Post Status, Media transfer and Error handling pages).
HTTP_STATUS: dict[str, int] = {
    "ok": 200,
    "invalid_param": 400,
    "invalid_params": 400,
    "app_version_check_failed": 400,
    "invalid_publish_id": 400,
    "token_not_authorized_for_specified_publish_id": 400,
    "publish_not_cancellable": 400,
    "scope_permission_missed": 400,
    "invalid_file_upload": 400,
    "access_token_invalid": 401,
    "scope_not_authorized": 401,
    "spam_risk_too_many_posts": 403,
    "spam_risk_user_banned_from_posting": 403,
    "reached_active_user_cap": 403,
    "spam_risk_too_many_pending_share": 403,
    "unaudited_client_can_only_post_to_private_accounts": 403,
    "url_ownership_unverified": 403,
    "privacy_level_option_mismatch": 403,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
}

OAUTH_CODES = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "server_error",
        "temporarily_unavailable",
    }
)


class Refusal(Exception):  # noqa: N818 - TikTok's answer, not a fault of this program
    """
    TikTok says no.

    :param code: TikTok's code.
    :param message: its text; TikTok's are often poor, these say what is wrong.
    :param status: HTTP status; by the code if not given.
    """

    def __init__(self, code: str, message: str = "", status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message or f"Please check the documentation of {code}."
        self.status = status or HTTP_STATUS.get(code, 400)


def log_id() -> str:
    """An id such as TikTok puts into each answer: a time and a random part."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}{secrets.token_hex(9).upper()}"


def json_response(body: Mapping[str, object], status: int = 200) -> Response:
    """
    A JSON answer.

    :param body: what.
    :param status: HTTP status.
    """
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, media_type="application/json; charset=utf-8")


def envelope(data: Mapping[str, object], code: str = "ok", message: str = "", status: int = 200) -> Response:
    """
    The answer of every endpoint but OAuth's (Error handling page): ``data`` and ``error``.

    :param data: the payload; empty when refused.
    :param code: ``ok``, or why not.
    :param message: TikTok's text.
    :param status: HTTP status.
    """
    return json_response(
        {"data": data, "error": {"code": code, "message": message, "log_id": log_id()}}, status=status
    )


def oauth_error(code: str, description: str, status: int) -> Response:
    """
    The flat error of the token and revoke endpoints (OAuth error handling page).

    :param code: one of :data:`OAUTH_CODES`.
    :param description: its text.
    :param status: HTTP status, which TikTok does not document.
    """
    return json_response({"error": code, "error_description": description, "log_id": log_id()}, status=status)
