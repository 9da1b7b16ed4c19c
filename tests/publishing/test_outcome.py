"""Whether another task may post the same: only where the record surely says that nothing was, or will be."""

from __future__ import annotations

import pytest

from airflow_provider_tiktok.exceptions import TikTokStoreError
from airflow_provider_tiktok.publishing.ledger import Record, Stage, open_ledger
from airflow_provider_tiktok.publishing.outcome import may_have_posted
from tests.airflow_tasks import FakeVariables, context_of

SURELY_NOT = {Stage.NOTHING_SENT, Stage.REFUSED, Stage.FAILED, Stage.GONE}


def test_nothing_begun(variables: FakeVariables) -> None:
    assert not may_have_posted(context_of())


@pytest.mark.parametrize("stage", Stage)
def test_each_stage(variables: FakeVariables, stage: Stage) -> None:
    open_ledger(context_of()).write(Record(1, stage, publish_id="p", code="internal"))
    assert may_have_posted(context_of()) is (stage not in SURELY_NOT)


@pytest.mark.parametrize("first", [Stage.COMPLETE, Stage.UNCONFIRMED])
def test_an_earlier_generation_counts(variables: FakeVariables, first: Stage) -> None:
    ledger = open_ledger(context_of())
    ledger.write(Record(1, first, publish_id="p"))
    ledger.write(Record(2, Stage.FAILED, publish_id="q", code="internal"))
    assert may_have_posted(context_of())


def test_it_is_no_guess(variables: FakeVariables) -> None:
    variables.broken = True
    with pytest.raises(TikTokStoreError):
        may_have_posted(context_of())
