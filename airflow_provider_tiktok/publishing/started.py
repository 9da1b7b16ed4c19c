"""What goes wrong once a publish was started: a retry of the task would publish again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_tiktok.exceptions import TikTokUnconfirmedError


@contextmanager
def started(publish_id: str) -> Iterator[None]:
    """
    Make permanent whatever goes wrong in this block, so that the task is not retried.

    :param publish_id: of the publish that was started
    :raises TikTokUnconfirmedError: something went wrong that a retry might have cured
    """
    try:
        yield
    except AirflowFailException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        told = str(error) if isinstance(error, AirflowException) else type(error).__name__
        raise TikTokUnconfirmedError(
            f"Publish {publish_id} was started and goes on at TikTok, but its end could not be waited for. "
            "The task is not retried, which would publish again. Wait for this publish_id with a "
            f"TikTokPublishStatusSensor. What happened: {told}"
        ) from error
