"""
What the kill matrix runs in Airflow: the provider's operators, each mapped over the places at which it dies.

Which those are stands in a file that the test writes; what they did, in files that it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_tiktok.operators.tiktok import TikTokPublishPhotosOperator, TikTokPublishVideoOperator
from tests.heavy.publish import claims
from tests.heavy.publish.strikes import Journal, Struck, from_dict

DIES_ONCE = {"retries": 4, "retry_delay": timedelta(seconds=1)}
WAITS = {"wait_for_completion": True, "poll_interval": 1.0}
claims.use(claims.IN_AIRFLOW)


def struck(case: dict[str, Any], context: Any, phase: str, publish: Callable[[], Any]) -> Any:
    """Publish; the first try is struck."""
    number = context["ti"].try_number
    strike = from_dict(case["strike"]) if number == 1 else None
    return Struck(Journal(Path(case["journal"])), strike, f"{phase}try {number}").do(publish, phase)


class PublishVideo(TikTokPublishVideoOperator):
    """Publishes a video step by step."""

    template_fields = ("case", *TikTokPublishVideoOperator.template_fields)

    def __init__(self, *, case: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def execute(self, context: Any) -> Any:
        """Publish."""
        return struck(self.case, context, "", lambda: super(PublishVideo, self).execute(context))

    def execute_released(self, context: Any, event: Any = None, **given: Any) -> Any:
        """Go on where the account's queue has let it go."""
        resume = super().execute_released
        return struck(self.case, context, "released: ", lambda: resume(context, event, **given))

    def execute_complete(self, context: Any, event: Any = None, **given: Any) -> Any:
        """Go on after a deferral."""
        resume = super().execute_complete
        return struck(self.case, context, "resumed: ", lambda: resume(context, event, **given))


class PublishPhotos(TikTokPublishPhotosOperator):
    """Publishes photos step by step."""

    template_fields = ("case", *TikTokPublishPhotosOperator.template_fields)

    def __init__(self, *, case: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def execute(self, context: Any) -> Any:
        """Publish."""
        return struck(self.case, context, "", lambda: super(PublishPhotos, self).execute(context))


with DAG(
    "publish_matrix",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it for UTC
    catchup=False,
    max_active_tasks=64,
    params={"cases": ""},
):

    @task
    def cases(operator: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Read what is to be published by an operator."""
        return list(json.loads(Path(params["cases"]).read_text())[operator])

    PublishVideo.partial(task_id="video", **WAITS, **DIES_ONCE).expand_kwargs(cases("video"))
    PublishPhotos.partial(task_id="photos", **WAITS, **DIES_ONCE).expand_kwargs(cases("photos"))
