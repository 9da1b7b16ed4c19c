"""
Tasks of a real Airflow are killed at each step of a publish, or do not hear what TikTok answers.

Airflow tries them again, and then TikTok is asked what it has: an upload is posted once wherever it was
struck; what TikTok pulls is never posted twice, and where nobody can know whether it was, the task says so.
"""

from __future__ import annotations

import pytest

from tests.heavy import report
from tests.heavy.publish.kinds import DEFERRED, KINDS, Kind
from tests.heavy.publish.matrix import Matrix, Outcome, kills, lost_answers

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

#: Each of these runs once, and then once for each of its steps.
ALL = (KINDS[0], DEFERRED[0], *KINDS[1:])  # only the first of a mapped task does not queue
#: Their ends are those of the others.
BRIEF = ("upload, draft", "upload in ranges, post", "pull, draft", "photos, draft")
KILLED, UNHEARD = "kill", ("lose", "500")
#: A step or two may not be come to again: one poll less, or a claim won at once.
COME_TO = 0.9


def fault_of(outcome: Outcome) -> str:
    """Say what is wrong with an outcome; empty if nothing is."""
    kind, posts = outcome.case.kind, outcome.made.posts
    if posts > 1:
        return f"{posts} posts"
    if outcome.state == "success":
        return "" if posts == 1 else "success without a post"
    if kind.fenced or not outcome.unconfirmed:
        return f"{outcome.state}: {outcome.said}"
    return "" if "look" in outcome.said.lower() else f"does not say what to look for: {outcome.said}"


def tell(title: str, outcomes: list[Outcome]) -> None:
    table = report.table(title, "kind", "struck", "posts", "inits", "tries", "end", "")
    for outcome in outcomes:
        table.add_row(
            outcome.case.kind.name,
            f"{outcome.case.strike or ''}{'' if outcome.come_to else ' (not come to)'}",
            str(outcome.made.posts),
            str(outcome.made.inits),
            str(outcome.tries),
            "unconfirmed" if outcome.unconfirmed else outcome.state,
            fault_of(outcome)[:40],
        )


@pytest.fixture(scope="module")
def unstruck(matrix: Matrix) -> dict[Kind, Outcome]:
    """Each kind once, with nothing in its way."""
    cases = [matrix.case(kind) for kind in ALL]
    return {outcome.case.kind: outcome for outcome in matrix.run(cases, 120)}


def test_nothing_in_the_way(unstruck: dict[Kind, Outcome]):
    """Each kind posts once, at the first try."""
    tell("Each kind of publish, with nothing in its way", list(unstruck.values()))
    for kind, outcome in unstruck.items():
        assert (outcome.state, outcome.tries, outcome.made.posts) == ("success", 1, 1), kind


@pytest.fixture(scope="module")
def struck(matrix: Matrix, unstruck: dict[Kind, Outcome], part_of) -> list[Outcome]:
    """Each kind once for each place at which it is struck, all in one run."""
    cases = [
        matrix.case(kind, strike)
        for kind, outcome in unstruck.items()
        for steps, brief in ((outcome.case.journal.steps(), kind.name in BRIEF),)
        for strike in (*kills(steps, brief=brief), *lost_answers(steps, brief=brief))
    ]
    cases = part_of(cases)
    return matrix.run(cases, 900)


def test_a_kill_at_any_step(unstruck: dict[Kind, Outcome], struck: list[Outcome]):
    """SIGKILL before and after each request, each range and each record."""
    outcomes = [each for each in struck if each.case.strike and each.case.strike.how == KILLED]
    tell("Killed (SIGKILL) at each step, then tried again by Airflow", outcomes)
    assert_once(outcomes)
    for kind, outcome in unstruck.items():
        changing = [step for step in outcome.case.journal.steps() if step.changes]
        at = next(number for number, step in enumerate(changing) if step.name.endswith("init"))
        around = {(step.name, step.nth) for step in changing[max(0, at - 1) : at + 1]}
        unknown = [each.case.strike for each in outcomes if each.case.kind is kind and each.unconfirmed]
        assert {(each.name, each.nth) for each in unknown if each} <= around, (
            "from the init's intent to its record"
        )


def test_an_answer_that_is_lost(struck: list[Outcome]):
    """TikTok has acted, and the task hears nothing, or HTTP 500."""
    outcomes = [each for each in struck if each.case.strike and each.case.strike.how in UNHEARD]
    tell("The answer to each request lost, or HTTP 500, after TikTok has acted", outcomes)
    assert_once(outcomes)
    assert all(each.case.strike and each.case.strike.name == "init" for each in outcomes if each.unconfirmed)


def assert_once(outcomes: list[Outcome]) -> None:
    assert sum(each.come_to for each in outcomes) >= COME_TO * len(outcomes)
    faults = [
        f"{each.case.kind.name}: {each.case.strike}: {fault}"
        for each in outcomes
        if (fault := fault_of(each))
    ]
    assert not faults, "\n".join([f"{len(faults)} of {len(outcomes)}", *faults])
