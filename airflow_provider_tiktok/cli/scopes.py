"""What each scope is good for, so that a missing one can be named by what will not work."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_tiktok.api.models import Scope

#: Scope -> what does not work without it (Scopes overview, 2026-09-11).
FEATURES: dict[str, str] = {
    Scope.VIDEO_PUBLISH: "direct posts",
    Scope.VIDEO_UPLOAD: "drafts in the creator's inbox",
    Scope.USER_INFO_BASIC: "the creator's name, and connection tests that try the token",
    Scope.VIDEO_LIST: "listing the creator's public posts",
}
#: Without any of these nothing can be published.
PUBLISHING = frozenset({str(Scope.VIDEO_PUBLISH), str(Scope.VIDEO_UPLOAD)})


def missing(wanted: Iterable[str], granted: Iterable[str]) -> list[str]:
    """
    Say what was wanted and is not allowed, one line each.

    :param wanted: scopes
    :param granted: scopes
    """
    lacking = [scope for scope in wanted if scope not in set(granted)]
    return [f"{scope}: {FEATURES.get(scope, 'what you asked it for')}" for scope in lacking]


def can_publish(granted: Iterable[str]) -> bool:
    """
    Tell whether anything can be published.

    :param granted: scopes; none = not known, which is no reason to say no
    """
    scopes = set(granted)
    return not scopes or bool(scopes & PUBLISHING)
