"""Triggerer, scheduler and workers are killed, and tokens expire, while posts are waited for."""

from __future__ import annotations

import pytest

from tests.heavy import report
from tests.heavy.publish.kinds import DEFERRED
from tests.heavy.publish.matrix import Matrix

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

EACH = 2
#: TikTok processes for longer than its access tokens live.
TWO_HOURS, PROCESSING_SECONDS = 7201.0, 10_000.0


def test_whoever_waits_survives(matrix: Matrix):
    """One post each, at the first try, whatever is killed or expires in between."""
    deployment, sandbox = matrix.deployment, matrix.deployment.sandbox
    sandbox.knobs.processing_seconds = PROCESSING_SECONDS
    cases = [matrix.case(kind) for kind in DEFERRED for _ in range(EACH)]
    run_id = matrix.begin(cases)

    def deferred() -> bool | None:
        states = [state for (task_id, _), (state, _) in matrix.tasks(run_id).items() if task_id == "video"]
        return True if states == ["deferred"] * len(cases) else None

    def polled_anew(what: str) -> None:
        """Each of them has been asked for, and TikTok has answered."""
        seen = len(sandbox.requests)

        def all_polled() -> bool | None:
            answered = {
                each.publish_id
                for each in sandbox.requests[seen:]
                if each.endpoint == "status" and each.code == "ok"
            }
            return True if len(answered) == len(cases) else None

        deployment.until(all_polled, 120, f"all to be polled after {what}")

    polled_anew("all were begun")
    for component in ("triggerer", "scheduler"):
        # whoever still looks itself would be killed with its worker, which is the kill matrix' matter
        deployment.until(deferred, 120, "all to defer")
        deployment.kill(component)
        polled_anew(f"{component} was killed")
    sandbox.clock.advance(TWO_HOURS)
    polled_anew("the tokens expired")
    sandbox.knobs.processing_seconds = 0.0
    sandbox.clock.advance(PROCESSING_SECONDS)
    outcomes = matrix.end(run_id, cases, 180)
    table = report.table(
        "Deferred while triggerer and scheduler (with its workers) were killed, and the tokens expired",
        *("kind", "posts", "inits", "tries", "end"),
    )
    for each in outcomes:
        made = each.made
        table.add_row(each.case.kind.name, str(made.posts), str(made.inits), str(each.tries), each.state)
    assert [(each.state, each.made.posts) for each in outcomes] == [("success", 1)] * len(cases)
    assert sandbox.reuses == 0
