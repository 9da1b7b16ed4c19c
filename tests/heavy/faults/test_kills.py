"""Tasks are killed (SIGKILL) in a refresh: nothing is lost but an answer that nobody could save any more."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import psutil
import pytest

from tests.heavy import report
from tests.heavy.deployment import Deployment
from tests.heavy.gate import Visitor
from tests.heavy.stepwise import DAG_ID, TASK_ID, Place, Refresh, Run, connected, places, steps_of

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

TASKS = 16
ROUNDS = 5
TWO_HOURS = 7201.0
SEED = 20261124
#: From the start of all tasks: by then a refresh is over, if nobody is killed.
KILL_WITHIN_SECONDS = 7.0


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


def test_a_quarter_of_the_tasks_is_killed_at_random(deployment: Deployment, part_of):
    """Whoever is killed is retried, and finds the grant that another has refreshed, or refreshes it."""
    chance = random.Random(SEED)
    table = report.table(
        f"{TASKS} tasks and a deferred sensor at once, {TASKS // 4} tasks killed at random (seed {SEED})",
        *("round", "killed alive", "refreshes", "reuses", "in success", "tries", "lost", "s to the last end"),
    )
    for number in range(1, part_of(ROUNDS, 3) + 1):
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


def kill_at_each_step(deployment: Deployment, conn_ids: list[str], steps: list[str], title: str) -> list[str]:
    """Kill each account's task at one step from the claim on; gives the accounts whose grant is not lost."""
    reuses = deployment.sandbox.reuses
    first = steps.index("set tiktok_claim")
    targets = dict(zip(conn_ids, list(enumerate(places(steps), 1))[first:], strict=False))
    refreshes = {conn_id: Refresh(place) for conn_id, (_, place) in targets.items()}
    run = Kills(deployment, refreshes, [[conn_id] for conn_id in refreshes])
    run.attend_until(run.ended, 300)

    table = report.table(
        f"Killed before each step of {title}, from the claim on",
        *("step", "what was about to be done", "how the retry ended", "the answer was lost"),
    )
    states = {task["map_index"]: task["state"] for task in deployment.tasks(DAG_ID, run.run_id, TASK_ID)}
    lost = [conn_id for conn_id in refreshes if is_lost(deployment, conn_id)]
    for number, (conn_id, each) in enumerate(refreshes.items()):
        assert states[number] == ("failed" if conn_id in lost else "success")
        if conn_id in lost:
            log = deployment.task_log(DAG_ID, run.run_id, TASK_ID, number)
            assert_says_what_to_do(log, conn_id)
        table.add_row(
            str(targets[conn_id][0]),
            each.struck or "(not come to)",
            ", ".join(each.ends),
            "yes" if conn_id in lost else "no",
        )
    unsaved = [conn_id for conn_id, (_, place) in targets.items() if is_unsaved(place)]
    assert lost == [conn_id for conn_id in unsaved if refreshes[conn_id].struck]
    assert all(refreshes[conn_id].struck for conn_id in unsaved)
    assert deployment.sandbox.reuses - reuses == len(lost), "the retry asks once more, and then no more"
    return [conn_id for conn_id in conn_ids if conn_id not in lost]


def is_unsaved(place: Place) -> bool:
    """Whether TikTok has answered before this step, and nobody has been told yet."""
    return (place[0] == "ask TikTok" and place[1] > 0) or place == ("set tiktok_grant", 0)


def test_a_kill_between_two_steps_loses_only_an_unsaved_answer(deployment: Deployment):
    """Whatever step the process is killed before, its retry refreshes the grant, or says who has to help."""
    (plain,) = connected(deployment, 1, "unkilled")
    steps = steps_of(deployment, plain)
    conn_ids = connected(deployment, len(steps) - steps.index("set tiktok_claim"), "killed")
    conn_ids = kill_at_each_step(deployment, conn_ids, steps, "the first refresh of a login")

    deployment.sandbox.clock.advance(TWO_HOURS)
    for conn_id in (plain, *conn_ids):
        deployment.expire(conn_id)
    kill_at_each_step(deployment, conn_ids, steps_of(deployment, plain), "a later refresh")
