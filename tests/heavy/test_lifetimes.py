"""The triggerer polls through five lifetimes of the access token, without a gap."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

LIFETIME_SECONDS = 20.0
LIFETIMES = 5
POLL_SECONDS = 3.0
#: A pause is a tenth longer or shorter; the rest is what a machine that is busy may add.
LONGEST_GAP = POLL_SECONDS * 1.1 + 1.5
#: Half of so short a life before its end, and that by a tenth more or less.
SOONEST_REFRESH = LIFETIME_SECONDS * (1 - 0.5 * 1.1)


@pytest.fixture(scope="module")
def deployment(deployed) -> Iterator[Deployment]:
    with deployed(claim_write_seconds=1.0, access_token_seconds=LIFETIME_SECONDS) as running:
        running.connect("long_wait", expires_in=1)
        yield running


def test_the_triggerer_polls_through_five_lifetimes_of_the_token(deployment: Deployment):
    """The token is refreshed beside the polling, before its end: no poll is late, none is refused."""
    with deployment.waiting_sensor("long_wait", poll_interval=POLL_SECONDS):
        began = deployment.sandbox.clock.now()
        time.sleep(LIFETIMES * LIFETIME_SECONDS + 1)
        requests = [each for each in deployment.sandbox.requests if each.time >= began]
    polls = [each for each in requests if each.endpoint == "status"]
    refreshes = [each for each in requests if each.endpoint == "token"]
    gaps = [later.time - earlier.time for earlier, later in itertools.pairwise(polls)]
    lives = [later.time - earlier.time for earlier, later in itertools.pairwise(refreshes)]
    table = report.table(
        f"A deferred sensor through {LIFETIMES} lifetimes of {LIFETIME_SECONDS:.0f} s, polling each "
        f"{POLL_SECONDS:.0f} s",
        *("polls", "longest gap (s)", "refused", "refreshes", "s between refreshes", "reuses"),
    )
    table.add_row(
        str(len(polls)),
        f"{max(gaps):.2f}",
        str(sum(each.code != "ok" for each in polls)),
        str(len(refreshes)),
        " ".join(f"{life:.1f}" for life in lives),
        str(deployment.sandbox.reuses),
    )
    assert max(gaps) <= LONGEST_GAP
    assert {each.code for each in polls} == {"ok"}
    assert {each.code for each in refreshes} == {"ok"}
    assert all(SOONEST_REFRESH <= life < LIFETIME_SECONDS for life in lives), "each token, and none too soon"
    assert len(refreshes) >= LIFETIMES
    assert deployment.sandbox.reuses == 0


def test_no_secret_is_written(deployment: Deployment):
    """What the triggerer did, with all logs on DEBUG, has left no secret anywhere."""
    deployment.assert_no_secret_is_written()
