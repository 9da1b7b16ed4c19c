"""What Airflow discovers of this provider: pure data, since every Airflow process reads it."""

from __future__ import annotations

from typing import Any

_NAME = "TikTok"
_PACKAGE = "airflow_provider_tiktok"


def _modules(kind: str, *names: str) -> list[dict[str, Any]]:
    modules = [f"{_PACKAGE}.{kind}.{name}" for name in names or ("tiktok",)]
    return [{"integration-name": _NAME, "python-modules": modules}]


def _field(label: str, description: str, *, kind: str = "string", secret: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": [kind, "null"]}
    if secret:
        schema["format"] = "password"
    return {"label": label, "description": description, "schema": schema}


def get_provider_info() -> dict[str, Any]:
    """Give the provider's metadata."""
    return {
        # hyphens: Airflow compares this with the canonical name of the distribution, and dies of a difference
        "package-name": "airflow-provider-tiktok",
        "name": _NAME,
        "description": "Publish videos and photo carousels to `TikTok <https://www.tiktok.com>`__.",
        "integrations": [
            {
                "integration-name": _NAME,
                "external-doc-url": "https://developers.tiktok.com/doc/content-posting-api-get-started",
                "tags": ["service"],
            }
        ],
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "hooks": _modules("hooks"),
        "triggers": _modules("triggers", "tiktok", "pace"),
        "extra-links": [f"{_PACKAGE}.links.tiktok.{name}" for name in ("TikTokPostLink", "TikTokInboxLink")],
        # `airflow tiktok ...`, from Airflow 3.2 on; older ones do not look at it
        "cli": [f"{_PACKAGE}.cli.definition.get_tiktok_cli_commands"],
        "config": _CONFIG,
        "connection-types": [
            {
                "connection-type": "tiktok",
                "hook-class-name": f"{_PACKAGE}.hooks.tiktok.TikTokHook",
                "hook-name": _NAME,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "login": "Client key",
                        "password": "Client secret",
                        "host": "API base URL",
                    },
                    "placeholders": {"host": "https://open.tiktokapis.com"},
                },
                "conn-fields": _CONN_FIELDS,
            }
        ],
    }


_CONFIG = {
    "tiktok": {
        "description": "Settings of the TikTok provider; the same on all hosts.",
        "options": {
            "token_store": {
                "description": (
                    "Dotted path of a class that keeps the live grant of each account instead of Airflow's "
                    "Variables: no arguments, methods load(conn_id) and save(conn_id, text)."
                ),
                "version_added": "0.1.0",
                "type": "string",
                "example": "my_company.airflow.VaultStore",
                "default": "",
            },
            "claim_write_seconds": {
                "description": (
                    "How long a write to an Airflow Variable may take, so that two hosts never refresh one "
                    "grant at a time: a refresh waits a quarter longer than that. Raise it where Airflow's "
                    "API server is slow."
                ),
                "version_added": "0.1.0",
                "type": "float",
                "example": None,
                "default": "8.0",
            },
        },
    }
}

_CONN_FIELDS = {
    "refresh_token": _field(
        "Refresh token",
        "As first given when the creator allowed the app; enough alone. The provider keeps the live one.",
        secret=True,
    ),
    "access_token": _field("Access token", "Optional.", secret=True),
    "expires_at": _field("Access token expires at", "Seconds since 1970, or an ISO date. Optional."),
    "refresh_expires_at": _field("Refresh token expires at", "Likewise. Optional."),
    "open_id": _field("Open id", "The creator, as TikTok names them to the app. Optional."),
    "scope": _field("Scope", "What the creator has allowed, comma-separated. Optional."),
    "media_bucket": _field("Media bucket", "Where media that TikTok must pull is put."),
    "media_prefix": _field("Media prefix", "Key prefix in that bucket."),
    "media_public_base_url": _field(
        "Media public URL", "The URL prefix, verified with TikTok, under which the bucket's media is seen."
    ),
    "media_conn_id": _field(
        "Media connection", "An aws-type Connection for s3://; empty = boto3's own credentials."
    ),
    "rate_window": _field("Rate window", "Seconds of TikTok's minute (60); for sandboxes.", kind="number"),
    "cap_window": _field("Cap window", "Seconds of TikTok's day (86400); for sandboxes.", kind="number"),
    "allow_insecure_host": _field(
        "Allow http", "Let tokens travel over plain http to a host that is not this machine.", kind="boolean"
    ),
}
