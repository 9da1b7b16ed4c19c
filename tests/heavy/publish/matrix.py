"""One run of the DAG whose tasks die at their steps, and what came of each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.heavy.deployment import DATABASE, Deployment
from tests.heavy.publish.kinds import Kind, Made, Media, made_by_creator
from tests.heavy.publish.steps import Step, is_pacing, is_request, is_tidying, is_upload
from tests.heavy.publish.strikes import DEFER, RETURN, Journal, Strike, as_dict

DAG_ID, OPERATORS = "publish_matrix", ("video", "photos")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Case:
    """
    One task instance with an account of its own.

    :param kind: of what it publishes
    :param strike: None = it is left alone
    :param conn_id: of the account, and the creator's name
    :param journal: what it did
    """

    kind: Kind
    strike: Strike | None
    conn_id: str
    journal: Journal


@dataclass(frozen=True)
class Outcome:
    """
    What came of a case.

    :param state: of the task instance, by Airflow
    :param tries: of the task instance, by Airflow
    :param made: by TikTok
    """

    case: Case
    state: str
    tries: int
    made: Made

    @property
    def come_to(self) -> bool:
        """Whether the place of its strike was come to, if it has one."""
        return self.case.strike is None or self.case.journal.struck()

    @property
    def unconfirmed(self) -> bool:
        """Whether the task has failed for not knowing whether it has posted."""
        ends = self.case.journal.ends()
        return self.state == "failed" and bool(ends) and ends[-1]["ends"] == "TikTokUnconfirmedError"

    @property
    def said(self) -> str:
        """What the last try ended with."""
        ends = self.case.journal.ends()
        return f"{ends[-1]['ends']}: {ends[-1].get('said', '')}" if ends else "(nothing)"


class Matrix:
    """
    Runs of many cases at once.

    :param deployment: whose DAG folder is ``dags`` here
    :param media: what is posted
    :param folder: for cases and journals
    """

    def __init__(self, deployment: Deployment, media: Media, folder: Path) -> None:
        self.deployment, self.media, self._folder = deployment, media, folder

    def case(self, kind: Kind, strike: Strike | None = None) -> Case:
        """Make a case, and its account."""
        conn_id = f"case_{next(_numbers):04d}"
        self.deployment.connect(conn_id, creator=conn_id, media_public_base_url=self.media.url)
        return Case(kind, strike, conn_id, Journal(self._folder / f"{conn_id}.jsonl"))

    def begin(self, cases: Sequence[Case]) -> str:
        """Start a run with all these cases, and give its id."""
        path = self._folder / f"{cases[0].conn_id}.cases.json"
        path.write_text(json.dumps({name: self._given(cases, name) for name in OPERATORS}))
        return self.deployment.start(DAG_ID, cases=str(path))

    def end(self, run_id: str, cases: Sequence[Case], seconds: float) -> list[Outcome]:
        """Wait for the end of a run, and tell what came of each case."""
        self.deployment.finished(DAG_ID, run_id, seconds)
        places = {
            case.conn_id: (name, index)
            for name in OPERATORS
            for index, case in enumerate(each for each in cases if each.kind.operator == name)
        }
        ended, made = self.tasks(run_id), made_by_creator(self.deployment.sandbox)
        return [
            Outcome(case, *ended[places[case.conn_id]], made.get(case.conn_id, Made(0, 0))) for case in cases
        ]

    def run(self, cases: Sequence[Case], seconds: float) -> list[Outcome]:
        """Run all cases to their ends."""
        return self.end(self.begin(cases), cases, seconds)

    def tasks(self, run_id: str) -> dict[tuple[str, int], tuple[str, int]]:
        """Give state and try of each task instance, by task and map index."""
        sql = f"select task_id, map_index, state, try_number from task_instance where run_id = '{run_id}'"
        rows = [row.split("|") for row in self.deployment.postgres.query(DATABASE, sql).splitlines()]
        return {(task_id, int(index)): (state, int(tries)) for task_id, index, state, tries in rows}

    def _given(self, cases: Sequence[Case], operator: str) -> list[dict[str, Any]]:
        return [
            {
                **case.kind.given(self.media),
                "case": {"journal": str(case.journal.path), "strike": as_dict(case.strike)},
                "tiktok_conn_id": case.conn_id,
            }
            for case in cases
            if case.kind.operator == operator
        ]


def kills(steps: Iterable[Step], *, brief: bool = False) -> list[Strike]:
    """
    Give the places at which a kill leaves a world that no other kill leaves.

    After a step that changes something and before the next one that does, all is the same for whoever comes
    later; so each such gap is struck once, right after the step that opens it.

    :param steps: of a publish that nothing was in the way of
    :param brief: not where only the record of a publish that has ended is tidied away
    """
    changing = [
        step
        for step in steps
        if (step.changes or step.name.endswith((RETURN, DEFER)))
        and not is_pacing(step)
        and not (brief and (is_tidying(step) or step.name.endswith(RETURN)))
    ]
    found = [Strike("kill", step.name, step.nth, "before") for step in changing[:1]]
    for step in changing:
        if is_upload(step):
            found.append(Strike("kill", step.name, step.nth, "during"))
        found.append(Strike("kill", step.name, step.nth, "after"))
    return found


def lost_answers(steps: Iterable[Step], *, brief: bool = False) -> list[Strike]:
    """
    Give each request, to lose its answer; where TikTok has acted on it, also to be told 500.

    :param steps: of a publish that nothing was in the way of
    :param brief: only requests on which TikTok acts
    """
    requests = [step for step in steps if is_request(step) and (step.changes or not brief)]
    ways = {True: ("lose", "500"), False: ("lose",)}
    return [Strike(how, step.name, step.nth) for step in requests for how in ways[step.changes]]
