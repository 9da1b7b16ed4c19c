"""
Two processes of one task instance, at once or one frozen while the other runs: what TikTok has in the end.

Airflow starts a second process beside the first where it takes the first for lost; a process freezes where
its machine does. The record is kept in Airflow's Variables, as it is below Airflow 3.3.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest

from tests.heavy.publish.bench import Bench, Instance, at_once, until
from tests.heavy.publish.claims import FORKED
from tests.heavy.publish.kinds import KINDS, RELEASED, Kind, Made
from tests.heavy.publish.steps import Step, is_pacing, thinned
from tests.heavy.publish.strikes import Strike
from tests.heavy.publish.tables import tell

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

SEED = 20261126
#: Of two processes at once, for each kind.
ROUNDS = 3
#: Between the starts of two processes: a part of what a publish takes.
JITTER_SECONDS = 0.4
PULLED_WELL = {"success", "TikTokUnconfirmedError"}
NAMES = ("upload, post", "upload in ranges, post", "pull, post", "photos, draft")
CHOSEN = (*(kind for kind in KINDS if kind.name in NAMES), *RELEASED)


@dataclass(frozen=True)
class Round:
    """
    What came of a round.

    :param how: what was done
    """

    instance: Instance
    how: str
    made: Made

    def fault(self) -> str:
        """Say what is wrong; empty if nothing is."""
        ends = self.instance.journal.ends()
        told = {line["returned"] for line in ends if line["ends"] == "success"}
        if self.made.posts > 1:
            return f"{self.made.posts} posts"
        if len(told) > 1:
            return "two publishes are told of"
        # a pull whose claim has run out meanwhile is tried again; an upload goes on, whoever thaws, or leaves
        # what it could not do (a read that failed) to the next try
        fenced = self.instance.kind.fenced
        wrong = [line for line in ends[-1:] if line["ends"] not in ({"success"} if fenced else PULLED_WELL)]
        if fenced:
            wrong += [line for line in ends[:-1] if line["ends"] != "success" and line["is_final"]]
        if wrong:
            return "; ".join(f"{line['process']} ends with {line['ends']}: {line['said']}" for line in wrong)
        return "" if self.made.posts == 1 or not told else "success without a post"


def tell_of(title: str, rounds: list[Round]) -> None:
    tell(
        title,
        ("kind", "ends", "posts", "inits", ""),
        [
            (
                (
                    each.instance.kind.name,
                    each.instance.ends,
                    str(each.made.posts),
                    str(each.made.inits),
                    each.fault(),
                ),
                each.how,
            )
            for each in rounds
        ],
    )


def test_both_at_once(bench: Bench):
    """Two processes of one try start at about the same moment: one post."""
    chance = random.Random(SEED)

    def both(given: tuple[Kind, float]) -> Round:
        kind, later = given
        instance, moment = bench.instance(kind), time.time() + 0.3
        first = bench.begin(instance, "A", begin_at=moment)
        second = bench.begin(instance, "B", begin_at=moment + later)
        assert {first.wait(), second.wait()} == {"ended"}
        bench.retry(instance, 2)
        return Round(instance, f"B {later * 1000:.0f} ms later", bench.made(instance))

    given = [(kind, chance.uniform(0.0, JITTER_SECONDS)) for kind in CHOSEN for _ in range(ROUNDS)]
    rounds = at_once(both, given)
    tell_of(f"Two processes of one try at once (seed {SEED})", rounds)
    assert_right(rounds)


def test_one_is_frozen(bench: Bench, part_of):
    """SIGSTOP at each step, until the next try has run to its end; then SIGCONT: one post."""

    def unstruck(kind: Kind) -> Instance:
        instance = bench.instance(kind)
        bench.run(instance, "A")
        return instance

    def frozen(given: tuple[Kind, Strike]) -> Round:
        kind, strike = given
        instance = bench.instance(kind)
        first = bench.begin(instance, "A", strike=strike)
        if first.wait() == "ended":
            return Round(instance, f"(not come to: {strike.name})", bench.made(instance))
        since = time.monotonic()
        bench.run(instance, "B", number=kind.second)
        until(since + FORKED.hold * 1.1)
        first.thaw()
        assert first.wait() == "ended"
        bench.retry(instance, 3, once_more=True)
        return Round(instance, str(Step(strike.name, strike.nth, changes=False)), bench.made(instance))

    given = [
        (instance.kind, Strike("stop", step.name, step.nth, "before"))
        for instance in at_once(unstruck, CHOSEN)
        for step in thinned(instance.journal.steps())
        if not is_pacing(step) or step.nth == 1
    ]
    rounds = at_once(frozen, part_of(given))
    tell_of("One process frozen (SIGSTOP) before each step, until the next try has ended", rounds)
    assert_right(rounds)


def assert_right(rounds: list[Round]) -> None:
    faults = [f"{each.instance.kind.name}: {each.how}: {fault}" for each in rounds if (fault := each.fault())]
    assert not faults, "\n".join([f"{len(faults)} of {len(rounds)}", *faults])
