"""Once a publish was started, nothing that goes wrong lets Airflow try the task again."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_tiktok import exceptions as errors
from airflow_provider_tiktok.publishing.started import started
from airflow_provider_tiktok.triggers.tiktok import TikTokPublishStatusTrigger


@pytest.mark.parametrize(
    "error",
    [
        errors.TikTokStoreError("a reason"),
        errors.TikTokMediaReadError("a reason"),
        AirflowException("a reason"),
        AirflowTaskTimeout("Timeout"),
        RuntimeError("https://host/upload?upload_token=secret"),
    ],
    ids=repr,
)
def test_becomes_permanent(error: BaseException) -> None:
    with pytest.raises(errors.TikTokUnconfirmedError, match="Publish p was started") as caught, started("p"):
        raise error
    assert caught.value.__cause__ is error
    assert ("a reason" in str(caught.value)) == isinstance(error, AirflowException)
    assert "secret" not in str(caught.value), "the text of a stranger's exception may hold anything"


@pytest.mark.parametrize("error", [AirflowFailException("no"), errors.TikTokConfigError("no")], ids=repr)
def test_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, started("p"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()], ids=repr)
def test_lets_the_process_end(error: BaseException) -> None:
    with pytest.raises(type(error)), started("p"):
        raise error


def test_lets_a_task_defer() -> None:
    deferred = TaskDeferred(trigger=TikTokPublishStatusTrigger("c", "p"), method_name="execute_complete")
    with pytest.raises(TaskDeferred), started("p"):
        raise deferred
