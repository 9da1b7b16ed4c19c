"""Tasks are killed (SIGKILL) in a refresh: nothing is lost but an answer that nobody could save any more."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.gate import Visitor
from tests.heavy.stepwise import DAG_ID, TASK_ID, Refresh, Run, connected, steps_of

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

TASKS = 16
ROUNDS = 5
TWO_HOURS = 7201.0
SEED = 20261124
#: From the start of all tasks: by then a refresh is over, if nobody is killed.
KILL_WITHIN_SECONDS = 7.0


@pytest.fixture(scope="module")
def deployment(deployed) -> Iterator[Deployment]:
    # who dies as the holder of a claim lets the next one wait for 15 times as long
    with deployed(claim_write_seconds=2.0) as running:
        yield running


def is_lost(deployment: Deployment, conn_id: str) -> bool:
    """Whether TikTok has given a grant that never came to the store."""
    given = sum(each.code == "ok" and each.token.startswith(f"{conn_id}#") for each in deployment.refreshes())
    return given > deployment.generation(conn_id)


def assert_says_what_to_do(log: str, conn_id: str) -> None:
    assert "TikTokConsentError" in log
    assert f"airflow-tiktok login --conn-id {conn_id}" in log


def kill(visitor: Visitor) -> bool:
    """Kill a task's process as the kernel does when memory is short; tells whether it was alive."""
    with suppress(psutil.Error):
        psutil.Process(visitor.said["pid"]).kill()
        return True
    return False


def run_with_kills(deployment: Deployment, conn_id: str, chance: random.Random) -> tuple[str, int, float]:
    """A round of 16 tasks, a quarter of which is killed; gives the run, how many were, and the seconds."""
    run_id = deployment.start("heavy_race", conn_id=conn_id, tasks=TASKS)
    visitors = deployment.gate.all(TASKS, 120)
    deployment.sandbox.clock.advance(TWO_HOURS)
    deployment.expire(conn_id)
    processes = {each.said["pid"]: psutil.Process(each.said["pid"]) for each in visitors}
    began, killed = time.time(), 0
    moments = sorted(chance.uniform(0, KILL_WITHIN_SECONDS) for _ in range(TASKS // 4))
    victims = [processes[each.said["pid"]] for each in chance.sample(visitors, TASKS // 4)]
    for visitor in visitors:
        visitor.let_go()
    while time.time() < began + 240:
        if moments and time.time() > began + moments[0]:
            moments.pop(0)
            with suppress(psutil.NoSuchProcess):
                victims.pop().kill()  # psutil sees to it that the number has not gone to another process
                killed += 1
        if visitor := deployment.gate.next(0.2):  # a retry
            visitor.let_go()
        elif not moments and deployment.run_is_over("heavy_race", run_id):
            break
    return run_id, killed, deployment.last_end(deployment.tasks("heavy_race", run_id, "use")) - began


def test_a_quarter_of_the_tasks_is_killed_at_random(deployment: Deployment):
    """Whoever is killed is retried, and finds the grant that another has refreshed, or refreshes it."""
    chance = random.Random(SEED)
    table = report.table(
        f"{TASKS} tasks and a deferred sensor at once, {TASKS // 4} tasks killed at random (seed {SEED})",
        *("round", "killed alive", "refreshes", "reuses", "in success", "tries", "lost", "s to the last end"),
    )
    for number in range(1, ROUNDS + 1):
        conn_id = f"round_{number}"
        deployment.connect(conn_id, creator=conn_id, expires_in=1)
        reuses = deployment.sandbox.reuses
        with deployment.waiting_sensor(conn_id) as sensor:
            before = len(deployment.refreshes())
            run_id, killed, seconds = run_with_kills(deployment, conn_id, chance)
            tasks = deployment.tasks("heavy_race", run_id, "use")
            refreshes = [each.code for each in deployment.refreshes()[before:]]
            sensor.may_fail = lost = is_lost(deployment, conn_id)
            table.add_row(
                str(number),
                str(killed),
                ", ".join(refreshes),
                str(deployment.sandbox.reuses - reuses),
                str(sum(task["state"] == "success" for task in tasks)),
                str(sum(task["try_number"] for task in tasks)),
                "yes" if lost else "no",
                f"{seconds:.1f}",
            )
            if lost:
                assert_says_what_to_do(deployment.task_log("heavy_race", run_id, "use"), conn_id)
            else:
                assert [task["state"] for task in tasks] == ["success"] * TASKS
                assert refreshes == ["ok"]
                assert deployment.sandbox.reuses == reuses


class Kills(Run):
    """Each account has a task of its own, which is killed at its step."""

    def strike(self, visitor: Visitor) -> None:
        assert kill(visitor)


@pytest.mark.parametrize("seed", [True, False], ids=["the first refresh of a login", "a later refresh"])
def test_a_kill_between_two_steps_loses_only_an_unsaved_answer(deployment: Deployment, seed: bool):
    """From the claim on, the process is killed before each step of a refresh, and its retry goes on."""
    title = "the first refresh of a login" if seed else "a later refresh"
    (plain,) = connected(deployment, 1, f"plain_{seed}")
    steps = steps_of(deployment, plain)
    if not seed:
        deployment.sandbox.clock.advance(TWO_HOURS)
        deployment.expire(plain)
        steps = steps_of(deployment, plain)
    first = next(number for number, name in enumerate(steps, 1) if name == "set tiktok_claim")
    conn_ids = connected(deployment, len(steps) - first + 1, f"killed_{seed}")
    if not seed:
        prepared = Run(
            deployment, {conn_id: Refresh(0) for conn_id in conn_ids}, [[each] for each in conn_ids]
        )
        prepared.attend_until(prepared.ended, 180)
        deployment.sandbox.clock.advance(TWO_HOURS)
        for conn_id in conn_ids:
            deployment.expire(conn_id)
    reuses = deployment.sandbox.reuses
    refreshes = {conn_id: Refresh(strike_at=first + number) for number, conn_id in enumerate(conn_ids)}
    run = Kills(deployment, refreshes, [[conn_id] for conn_id in conn_ids])
    run.attend_until(run.ended, 300)

    table = report.table(
        f"Killed before each step of {title}, from the claim on",
        *("step", "what was about to be done", "the retry", "the answer was lost"),
    )
    asked = steps.index("ask TikTok") + 1
    saved = next(number for number, name in enumerate(steps, 1) if name == "set tiktok_grant")
    states = {task["map_index"]: task["state"] for task in deployment.tasks(DAG_ID, run.run_id, TASK_ID)}
    lost = []
    for number, (conn_id, each) in enumerate(refreshes.items()):
        if is_lost(deployment, conn_id):
            lost.append(conn_id)
            assert states[number] == "failed"
            assert_says_what_to_do(deployment.task_log(DAG_ID, run.run_id, TASK_ID, number), conn_id)
        else:
            assert states[number] == "success"
        table.add_row(
            str(each.strike_at),
            each.struck or "(not come to)",
            ", ".join(each.ends),
            "yes" if conn_id in lost else "no",
        )
    assert deployment.sandbox.reuses - reuses <= len(lost)
    assert len(lost) == saved - asked, "lost is what was not saved yet, and nothing else"


def test_no_secret_is_written(deployment: Deployment):
    """What was killed, with all logs on DEBUG, has left no secret anywhere."""
    deployment.assert_no_secret_is_written()
