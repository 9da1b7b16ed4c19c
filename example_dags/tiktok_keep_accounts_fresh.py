"""
Keep the grant of every account alive, and fail loudly where a person is needed.

TikTok's refresh tokens die when they rest for 180 days, and a pipeline that posts once a season would lose
its grant. Each run trades every account's grant for a new one; this is safe beside running tasks. List your
accounts in the param ``conn_ids``. A task that fails here says which account has to log in again, and how:
put your alert on this DAG.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Param, task

#: An account whose refresh token ends sooner than this in spite of the renewal has to log in again.
NOTICE = timedelta(days=21)

with DAG(
    dag_id="tiktok_keep_accounts_fresh",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,  # unpause it when your accounts are listed
    tags=["tiktok", "example"],
    doc_md=__doc__,
    params={"conn_ids": Param(["tiktok_default"], type="array", description="Connections of type tiktok.")},
) as dag:

    @task
    def accounts(params: dict[str, Any]) -> list[str]:
        """List the Connections: a task of Airflow 3 may read one, but cannot ask which there are."""
        return list(params["conn_ids"])

    @task(retries=3, retry_delay=timedelta(minutes=10), map_index_template="{{ conn_id }}")
    def keep_fresh(conn_id: str) -> dict[str, Any]:
        """Renew one account's grant; returns what may be known of it."""
        from airflow_provider_tiktok.hooks.tiktok import TikTokHook

        with closing(TikTokHook(conn_id)) as hook:
            state = hook.renew_grant()
        left = timedelta(seconds=state.refresh_expires_at - time.time())
        if state.refresh_expires_at and left < NOTICE:
            raise AirflowFailException(
                f"Connection {conn_id}: TikTok lets its grant end in {left.days} days, and does not prolong "
                f"it. The creator has to allow the app again: airflow-tiktok login --conn-id {conn_id}."
            )
        ends = state.refresh_expires_at
        return {"open_id": state.open_id, "scope": state.scope, "refresh_expires_at": ends}

    keep_fresh.expand(conn_id=accounts())
