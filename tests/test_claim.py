"""
The claim: its parts, a take() over the register, and that no two are ever inside.

The last is played with a virtual clock (``claim_simulation.py``), and again with each rule of the claim taken
out in turn: a simulation that finds no fault in those would prove nothing about the claim.

``CLAIM_ROUNDS=20000 pytest tests/test_claim.py -s -k "inside or taken_out"`` plays that many rounds of each,
and shows how many of them went wrong.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_tiktok.claim import (
    Claim,
    Clock,
    Held,
    Look,
    Pace,
    Pause,
    Reading,
    Seen,
    Watch,
    Write,
    stamp_of,
)
from airflow_provider_tiktok.exceptions import TikTokStoreError
from tests.airflow_tasks import FakeVariables
from tests.claim_simulation import Process, Weather, run_round

KEY = "tiktok_claim__tiktok_default"
PACE = Pace()
ROUNDS = int(os.environ.get("CLAIM_ROUNDS", "0"))


# --- the parts ---


@pytest.mark.parametrize(
    "seconds",
    [
        (0, 10, 40, 120),
        (10, 10, 40, 120),  # a write may then land after who wrote before has looked
        (8, 40, 40, 120),
        (8, 10, 40, 49),  # who follows may then be in before the holder has saved
    ],
)
def test_pace_that_is_not_safe_is_refused(seconds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="No claim is safe with"):
        Pace(*seconds)


@pytest.mark.parametrize("write", [0.02, 2.0, 8.0, 30.0])
def test_pace_of_another_speed_has_the_same_proportions(write: float) -> None:
    pace = Pace.of(write)
    assert Pace.of(8.0) == PACE
    assert (pace.settle / write, pace.hold / write, pace.ttl / write) == pytest.approx((1.25, 5, 15))


def test_pace_leaves_time_for_two_slow_looks_and_an_answer() -> None:
    for pace in (PACE, Pace.of(0.1), Pace(2, 3, 60, 120)):
        assert pace.between + 3 * pace.write / 5 < pace.write


def reading(seconds: float, *, asleep: float = 0.0, ahead: float = 0.0) -> Reading:
    """What a host shows: it was suspended for a while, and its wall clock has been set."""
    return Reading(1000.0 + seconds - asleep, 5000.0 + seconds, 1_700_000_000.0 + seconds + ahead)


def look(text: str | None, looked: float, returned: float | None = None, *, failed: bool = False) -> Seen:
    return Seen(text, failed, reading(looked), reading(looked if returned is None else returned))


def test_time_that_surely_passed_is_what_the_slowest_clock_shows() -> None:
    assert reading(100, asleep=90).least_since(reading(0)) == pytest.approx(10)
    assert reading(100, ahead=500).least_since(reading(0)) == pytest.approx(100)


def test_time_that_may_have_passed_is_what_the_fastest_clock_shows() -> None:
    assert reading(100, asleep=90).most_since(reading(0)) == pytest.approx(100)
    assert reading(100, ahead=500).most_since(reading(0)) == pytest.approx(600)
    assert reading(100, ahead=-500).most_since(reading(0)) == pytest.approx(100)


def test_clocks_of_this_host_go_on_while_it_sleeps() -> None:
    clock = Clock()
    before = clock.read()
    clock.sleep(0.02)
    after = clock.read()
    assert after.least_since(before) >= 0.019
    assert after.most_since(before) < 5


class HandClock(Clock):
    """Clocks that stand until they are moved, or somebody sleeps."""

    def __init__(self) -> None:
        self.seconds, self.asleep, self.ahead = 0.0, 0.0, 0.0

    def read(self) -> Reading:
        return reading(self.seconds, asleep=self.asleep, ahead=self.ahead)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds


def test_held_claim_ends_by_the_fastest_clock() -> None:
    clock = HandClock()
    held = Held(40.0, clock.read(), clock)
    assert held.left() == pytest.approx(40)
    clock.seconds = 15
    assert held.left() == pytest.approx(25)
    clock.asleep = 15  # suspended all that time
    assert held.left() == pytest.approx(25)
    clock.ahead = 100
    assert held.left() == pytest.approx(-75)
    clock.ahead = -100  # a clock that is set back gives nothing
    assert held.left() == pytest.approx(25)


def watched(*looks: Seen) -> list[bool]:
    watch = Watch(PACE)
    return [watch.free(each) for each in looks]


def test_nothing_is_free_at_once() -> None:
    assert watched(look(None, 0)) == [True]


def test_claim_is_dead_once_it_was_watched_for_ttl() -> None:
    looks = [look("a", second) for second in range(0, 125, 5)]
    assert watched(*looks) == [second >= 120 for second in range(0, 125, 5)]


def test_watch_counts_from_the_end_of_its_first_look_to_the_beginning_of_its_last() -> None:
    early = [look("a", 0, 4), *(look("a", second) for second in range(5, 120, 5))]
    assert not watched(*early, look("a", 123))[-1]
    assert watched(*early, look("a", 122), look("a", 124))[-1]


def test_another_claim_is_watched_from_its_own_beginning() -> None:
    looks = [look("a" if second < 60 else "b", second) for second in range(0, 185, 5)]
    assert watched(*looks).index(True) == 180 / 5


@pytest.mark.parametrize("before_and_after", [(None, "a"), ("b", "a")])
def test_claim_that_came_back_is_watched_anew(before_and_after: tuple[str | None, str]) -> None:
    other, text = before_and_after
    looks = [look(text, 0), *(look(text, second) for second in range(5, 115, 5)), look(other, 115)]
    assert not watched(*looks, look(text, 119), look(text, 122))[-1]


def test_watch_begins_anew_after_a_hole_in_which_another_could_have_come_and_gone() -> None:
    until_hole = [look("a", second) for second in range(0, 100, 5)]  # the last is at 95
    assert watched(*until_hole, look("a", 103), *(look("a", s) for s in range(108, 125, 4)))[-1]
    # the look took long: what it shows may be from its end
    holed = [*until_hole, look("a", 102, 103.5)]
    assert not watched(*holed, *(look("a", s) for s in range(108, 220, 4)))[-1]
    assert watched(*holed, *(look("a", s) for s in range(108, 240, 4)))[-1]


def test_hole_is_measured_by_the_fastest_clock() -> None:
    looks = [look("a", second) for second in range(0, 120, 5)]
    slept = Seen("a", False, reading(200, asleep=80), reading(200, asleep=80))
    assert not watched(*looks, slept)[-1]


def test_failed_look_is_none() -> None:
    looks = [look("a", second) for second in range(0, 120, 5)]
    failed = [look(None, 117, failed=True), look(None, 121, failed=True)]
    assert watched(*looks, *failed) == [False] * len([*looks, *failed])
    assert watched(*looks, *failed, look("a", 122))[-1], "no hole: it goes on"
    assert not watched(*looks, *failed, look("a", 124))[-1], "a hole, with failed looks in it"


def stamped(seconds: float) -> str:
    return json.dumps({"nonce": "n", "stamp": reading(seconds).wall, "guards": ""})


def test_claim_of_long_ago_is_dead_at_once() -> None:
    assert watched(look(stamped(0), 901)) == [True]
    assert watched(look(stamped(0), 899)) == [False]
    assert watched(look(stamped(10_000), 0)) == [False], "of a clock that is ahead"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"stamp": "soon"}',
        '{"stamp": NaN}',
        '{"stamp": 1' + "0" * 400 + "}",
    ],
)
def test_claim_that_cannot_be_read_is_watched(text: str) -> None:
    assert watched(look(text, 0)) == [False]
    assert watched(*(look(text, second) for second in range(0, 125, 5)))[-1]


# --- the steps ---


def entering(clock: HandClock) -> tuple[Any, str]:
    """Come to the look after the write."""
    steps = Claim(KEY, PACE, clock=clock).steps()
    assert isinstance(next(steps), Look)
    assert isinstance(steps.send(seen_by(clock, None)), Pause)
    assert isinstance(steps.send(None), Look)
    write = steps.send(seen_by(clock, None))
    assert isinstance(write, Write)
    return steps, write.text


def seen_by(clock: HandClock, text: str | None, *, failed: bool = False) -> Seen:
    return Seen(text, failed, clock.read(), clock.read())


def is_withdrawn(step: Any) -> bool:
    return isinstance(step, Pause) and step.waits


def test_write_that_raised_is_withdrawn() -> None:
    steps, _ = entering(HandClock())
    assert is_withdrawn(steps.send(False))


@pytest.mark.parametrize(("seconds", "withdrawn"), [(7.9, False), (8.1, True)])
def test_write_that_was_not_soon_seen_is_withdrawn(seconds: float, withdrawn: bool) -> None:
    clock = HandClock()
    steps, text = entering(clock)
    assert isinstance(steps.send(True), Look)
    clock.seconds = seconds
    assert is_withdrawn(steps.send(seen_by(clock, text))) is withdrawn


def test_write_that_returned_and_is_not_there_is_withdrawn() -> None:
    clock = HandClock()
    steps, _ = entering(clock)
    steps.send(True)
    assert is_withdrawn(steps.send(seen_by(clock, None)))


def test_own_claim_has_to_stand_for_all_of_the_settling() -> None:
    clock = HandClock()
    steps, text = entering(clock)
    steps.send(True)
    for second in (0, 3, 6, 9):
        clock.seconds = second
        assert isinstance(steps.send(seen_by(clock, text)), Pause)
        assert isinstance(steps.send(None), Look)
    clock.seconds = 10
    with pytest.raises(StopIteration) as done:
        steps.send(seen_by(clock, text))
    assert done.value.value.left() == pytest.approx(30), "counted from before the write"


@pytest.mark.parametrize("missed", ["another", "late", "only failed looks"])
def test_own_claim_that_was_gone_or_may_have_been_is_withdrawn(missed: str) -> None:
    clock = HandClock()
    steps, text = entering(clock)
    steps.send(True)
    steps.send(seen_by(clock, text))
    steps.send(None)
    if missed == "another":
        clock.seconds = 3
        step = steps.send(seen_by(clock, "another"))
    elif missed == "late":
        clock.seconds = 8.1
        step = steps.send(seen_by(clock, text))
    else:
        for second in (3, 6):
            clock.seconds = second
            assert not is_withdrawn(steps.send(seen_by(clock, None, failed=True)))
            steps.send(None)
        clock.seconds = 8.1
        step = steps.send(seen_by(clock, None, failed=True))
    assert is_withdrawn(step)


def test_claims_are_told_apart_and_say_what_they_guard() -> None:
    clock = HandClock()
    texts = [Claim(KEY, PACE, guards="renewal of generation 3", clock=clock)._text() for _ in range(2)]
    assert texts[0] != texts[1]
    assert json.loads(texts[0])["guards"] == "renewal of generation 3"
    assert stamp_of(texts[0]) == pytest.approx(clock.read().wall)


# --- take() ---


class HandValues:
    """A register in memory whose operations take time of a clock that is moved by hand."""

    def __init__(self, clock: HandClock, value: str | None = None, operation: float = 0.01) -> None:
        self.clock, self.value, self.operation = clock, value, operation
        self.put_fails = self.read_fails = 0
        self.puts: list[str] = []

    def read(self, key: str, before: Callable[[], None] | None = None) -> str | None:
        assert key == KEY
        assert before is not None
        if self.read_fails:
            self.read_fails -= 1
            self.clock.seconds += self.operation
            raise TikTokStoreError("It cannot be told.")
        self.clock.seconds += 100 * (self.value is None)  # the proof that there is none
        before()
        self.clock.seconds += self.operation
        return self.value

    def put(self, key: str, value: str) -> None:
        self.clock.seconds += self.operation
        self.puts.append(value)
        if self.put_fails:
            self.put_fails -= 1
            raise TikTokStoreError("It could not be written.")
        self.value = value


def claim_over(values: HandValues, **more: Any) -> Claim:
    return Claim(KEY, PACE, values=values, clock=values.clock, **more)


def test_free_claim_is_taken_after_the_settling() -> None:
    clock = HandClock()
    values = HandValues(clock)
    held = claim_over(values).take(lambda: pytest.fail("nobody has to be waited for"))
    assert isinstance(held, Held)
    assert values.value == values.puts[0]
    assert PACE.hold - PACE.write - PACE.settle < held.left() < PACE.hold - PACE.settle


def test_long_proof_of_absence_does_not_count_as_time_since_the_last_look() -> None:
    values = HandValues(HandClock())  # it takes 100 s, and L is 8 s
    assert isinstance(claim_over(values).take(lambda: None), Held)
    assert len(values.puts) == 1


def test_outcome_ends_the_wait() -> None:
    clock = HandClock()
    values = HandValues(clock, "another's")
    assert claim_over(values).take(lambda: "done" if clock.seconds > 30 else None) == "done"
    assert 30 < clock.seconds < 40
    assert not values.puts


def test_claim_of_a_holder_that_crashed_is_taken_after_ttl() -> None:
    clock = HandClock()
    assert isinstance(claim_over(HandValues(clock, "another's")).take(lambda: None), Held)
    assert PACE.ttl + PACE.settle < clock.seconds < PACE.ttl + PACE.settle + 10


def test_own_withdrawn_claim_is_waited_for_like_any_other() -> None:
    clock = HandClock()
    values = HandValues(clock)
    values.put_fails = 1
    values.read = lambda key, before=None, read=values.read: (  # type: ignore[method-assign]
        read(key, before) if len(values.puts) != 1 else values.puts[0]  # it landed all the same
    )
    assert isinstance(claim_over(values).take(lambda: None), Held)
    assert len(values.puts) == 2
    assert clock.seconds > PACE.ttl


def test_failed_look_after_the_watch_does_not_cost_another_watch() -> None:
    clock = HandClock()
    values = HandValues(clock, "another's")
    read, failed = values.read, []

    def read_but_once(key: str, before: Callable[[], None] | None = None) -> str | None:
        if clock.seconds > PACE.ttl + 0.1 and not failed:
            values.read_fails = 1
            failed.append(clock.seconds)
        return read(key, before)

    values.read = read_but_once  # type: ignore[method-assign]
    assert isinstance(claim_over(values).take(lambda: None), Held)
    assert failed
    assert clock.seconds < PACE.ttl + PACE.settle + 10


def test_patience_has_an_end() -> None:
    clock = HandClock()
    values = HandValues(clock, "another's")
    values.read_fails = 10**6
    with pytest.raises(TikTokStoreError, match=f"The claim {KEY} could not be had for 600 s"):
        claim_over(values).take(lambda: None)
    assert 600 < clock.seconds < 610
    assert not values.puts


@pytest.mark.parametrize("seconds", [0.3, 3.0, 6.0, 20.0])
def test_outcome_that_is_slow_to_tell_does_not_keep_a_dead_claim_alive(seconds: float) -> None:
    clock = HandClock()

    def outcome() -> None:
        clock.seconds += seconds

    assert isinstance(claim_over(HandValues(clock, "another's")).take(outcome), Held)
    assert clock.seconds < PACE.ttl + 2 * PACE.settle + 2 * seconds + 10


def test_outcome_that_raises_is_told() -> None:
    def outcome() -> None:
        raise TikTokStoreError("The stored grant is garbled.")

    with pytest.raises(TikTokStoreError, match="garbled"):
        claim_over(HandValues(HandClock(), "another's")).take(outcome)


def test_over_the_real_register_one_thread_does_what_all_came_for(variables: FakeVariables) -> None:
    done: list[int] = []
    found: list[object] = []

    def contend(number: int) -> None:
        claim = Claim(KEY, Pace.of(0.4), guards=f"thread {number}", patience=60)
        right = claim.take(lambda: done[0] if done else None)
        if isinstance(right, Held):
            if not done and right.left() > 0:  # d: somebody may just have done it
                done.append(number)
            right = done[0]
        found.append(right)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(done) == 1
    assert found == done * 8
    assert list(variables.values) == [KEY], "probes have been removed"
    assert json.loads(variables.values[KEY])["guards"].startswith("thread ")


def test_over_the_real_register_a_database_that_stops_is_not_taken_for_a_free_claim(
    variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables.values[KEY] = "another's"
    variables.broken = True
    clock = HandClock()
    monkeypatch.setattr(variables, "set", lambda key, value: pytest.fail("nothing may be written"))
    with pytest.raises(TikTokStoreError):
        Claim(KEY, PACE, patience=300, clock=clock).take(lambda: None)


# --- no two are inside ---


def rounds_of(seeds: range, **how: Any) -> list[Any]:
    return [run_round(seed, **how) for seed in seeds]


def fail_with(seed: int, **how: Any) -> None:
    told = "\n".join(run_round(seed, traced=True, **how).trace[-80:])
    pytest.fail(f"seed {seed}, {how}:\n{told}")


def test_no_two_are_ever_inside_whatever_the_weather() -> None:
    """Late, lost and repeated writes, reads that fail, wrong clocks, pauses, crashes, up to 50 processes."""
    rounds = rounds_of(range(ROUNDS or 2000))
    entries = sum(len(each.entries) for each in rounds)
    violated = [each.seed for each in rounds if each.violation]
    print(f"\n{'nothing':40} {len(rounds):6} rounds {len(violated):5} violations, {entries} entries")
    if violated:
        fail_with(violated[0])
    assert entries > 1.5 * len(rounds), "rounds in which nobody gets in show nothing"
    assert max(len(each.entries) for each in rounds) >= 3


class Unsafe(Pace):
    """A pace that is not checked."""

    def __post_init__(self) -> None:
        pass


class NoWithdrawal(Claim):
    def _in_time(self, seen: Seen, last: Seen) -> bool:
        return True


class LByMonotonicClock(Claim):
    def _in_time(self, seen: Seen, last: Seen) -> bool:
        return seen.returned.least_since(last.looked) <= self._pace.write


class LFromTheWriteOn(Claim):
    def _stands(self, text: str, last: Seen) -> Any:
        now = self._clock.read()
        return super()._stands(text, last._replace(looked=now, returned=now))


class NoSettling(Claim):
    def _settled(self, seen: Seen, first: Seen) -> bool:
        return True


class NotReadBack(Claim):
    """Takes a write that returned for one that has landed, and looks for it once, at the end of S."""

    def _stands(self, text: str, last: Seen) -> Any:
        if self._clock.read().most_since(last.looked) > self._pace.write:
            return False
        return (yield from self._found_after_settling(text))

    def _found_after_settling(self, text: str) -> Any:
        yield Pause(self._pace.settle)
        while (seen := (yield Look())).failed:
            yield Pause(self._pace.between)
        return seen.text == text


class NotWatchedWhileSettling(NotReadBack):
    """Sees its write land in time, but looks for it only once more, at the end of S."""

    def _stands(self, text: str, last: Seen) -> Any:
        while (seen := (yield Look())).failed:
            yield Pause(self._pace.between)
        if seen.text != text or not self._in_time(seen, last):
            return False
        return (yield from self._found_after_settling(text))


class OwnClaimsIgnored(Claim):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._own: set[str] = set()

    def _text(self) -> str:
        text = super()._text()
        self._own.add(text)
        return text

    def _watch(self) -> Watch:
        own = self._own

        class WatchOfOthers(Watch):
            def _dead(self, seen: Seen, first: Seen) -> bool:
                return seen.text in own or super()._dead(seen, first)

        return WatchOfOthers(self._pace)


def watching(**methods: Any) -> type[Claim]:
    """Make a claim whose watch has other methods."""
    watch = type("OtherWatch", (Watch,), methods)
    return type("OtherClaim", (Claim,), {"_watch": lambda self: watch(self._pace)})


def _by_stamp(watch: Watch, seen: Seen, first: Seen) -> bool:
    return seen.looked.wall - (stamp_of(seen.text) or 0) > watch._pace.ttl


def _by_text_alone(watch: Watch, seen: Seen, last: Seen) -> bool:
    return seen.text != last.text


def _hole_by_monotonic_clock(watch: Watch, seen: Seen, last: Seen) -> bool:
    return seen.text != last.text or seen.returned.least_since(last.looked) > watch._pace.write


class HeldByMonotonicClock(Held):
    def left(self) -> float:
        return self._until - self._clock.read().least_since(self._begun)


class HeldForEver(Held):
    def left(self) -> float:
        return self._until


def holding(held: type[Held]) -> type[Claim]:
    return type(
        "OtherClaim", (Claim,), {"_in": lambda self, begun: held(self._pace.hold, begun, self._clock)}
    )


class HeldFromEntering(Claim):
    def _in(self, begun: Reading) -> Held:
        return super()._in(self._clock.read())


class Believer(Process):
    believes_failed_reads = True


def busy(**more: Any) -> Weather:
    """A few processes, each of which wants to be in, whatever the others have done."""
    return Weather(**{"contenders": (2, 5), "asks": 0.0, "saves": 0.0, **more})


LONG, QUICK, EVEN = Pace(8, 10, 60, 70), Pace(2, 3, 40, 43), Unsafe(8, 10, 20, 20)
#: Whoever has crashed has left a claim, which lands again and again: one that was dead for some is back.
HAUNTED: dict[str, Any] = {"found": 1.0, "old": 0.0, "again": 8, "latest": 200.0}
SLOW_WRITES = {"weather": busy(huge=0.1, latency="slow", spread=3), "pace": QUICK}

#: What is taken out, how, and the weather and pace in which that shows.
MUTANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "withdrawal": ({"claim": NoWithdrawal}, SLOW_WRITES),
    "L by every clock": (
        {"claim": LByMonotonicClock},
        {"weather": busy(suspends=0.03, spread=3), "pace": QUICK},
    ),
    "L from before the last look": (
        {"claim": LFromTheWriteOn},
        {"weather": busy(stops=0.03, spread=3), "pace": QUICK},
    ),
    "settling": ({"claim": NoSettling}, {"weather": busy(late=0.3)}),
    "settling for longer than L": (
        {"pace": Unsafe(8, 1, 60, 70)},
        {"weather": busy(stops=0.02, latency="uneven", spread=3), "pace": LONG},
    ),
    "reading back": ({"claim": NotReadBack}, {"weather": busy(late=0.5, spread=3, latest=15), "pace": LONG}),
    "watching one's own while settling": (
        {"claim": NotWatchedWhileSettling},
        {"weather": busy(twice=0.8, latest=15, latency="slow", spread=2)},
    ),
    "three answers": ({"process": Believer}, {"weather": busy(fails=0.1, empty=0.1)}),
    "own withdrawn claims": ({"claim": OwnClaimsIgnored}, {"weather": busy(late=0.2, raises=0.2)}),
    "watching by one's own clock": (
        {"claim": watching(_dead=_by_stamp)},
        {"weather": busy(apart=200.0, jumps=0.01)},
    ),
    "looks at most L apart": (
        {"claim": watching(_changed=_by_text_alone)},
        {"weather": busy(stops=0.02, **HAUNTED), "pace": QUICK},
    ),
    "looks at most L apart by every clock": (
        {"claim": watching(_changed=_hole_by_monotonic_clock)},
        {"weather": busy(suspends=0.02, **HAUNTED), "pace": QUICK},
    ),
    "HOLD": ({"claim": holding(HeldForEver)}, {"weather": busy(stops=0.03)}),
    "HOLD by every clock": (
        {"claim": holding(HeldByMonotonicClock)},
        {"weather": busy(suspends=0.02, contenders=(4, 8)), "pace": LONG},
    ),
    "HOLD from before the write": (
        {"claim": HeldFromEntering},
        {"weather": busy(latency="slow"), "pace": EVEN},
    ),
    "TTL longer than HOLD": ({"pace": Unsafe(8, 10, 40, 20)}, {"weather": busy(), "pace": PACE}),
}


@pytest.mark.parametrize("rule", MUTANTS)
def test_no_rule_can_be_taken_out(rule: str) -> None:
    """The same weather does nothing to the claim as it is, and lets two in without the rule."""
    mutation, circumstances = MUTANTS[rule]
    for each in rounds_of(range(ROUNDS or 120), **circumstances):
        if each.violation:
            fail_with(each.seed, **circumstances)
    played = violations = 0
    while played < (ROUNDS or 6000) and (ROUNDS or violations < 2):
        violations += run_round(played, **{**circumstances, **mutation}).violation is not None
        played += 1
    print(f"\n{rule:40} {played:6} rounds {violations:5} violations")
    assert violations


@pytest.mark.parametrize(
    ("assumption", "weather"),
    [
        ("no two clocks are 15 minutes apart", busy(apart=1000.0)),
        ("who is in is not frozen between its look at the clock and its request", busy(freezes=0.1)),
    ],
)
def test_what_the_claim_assumes_is_really_needed(assumption: str, weather: Weather) -> None:
    """What is written in the docstring as assumed: were it not needed, it should not stand there."""
    assert any(run_round(seed, weather).violation for seed in range(3000)), assumption


# --- somebody gets in ---


def test_once_things_go_well_again_somebody_gets_in() -> None:
    for seed in range(ROUNDS or 250):
        how: dict[str, Any] = {"calm_after": 90.0, "entries": 1, "horizon": 3600.0}
        played = run_round(seed, **how)
        if not played.entries and not played.all_gone:
            fail_with(seed, **how)


def test_fifty_on_a_register_that_takes_a_second_for_each_operation() -> None:
    crowd = Weather(
        contenders=(50, 50), spread=1.0, latency="second", asks=1.0, saves=1.0, found=1.0, old=1.0
    )
    for seed in range(12):
        played = run_round(seed, crowd, PACE, horizon=300.0, entries=50)
        assert not played.violation
        assert 12 < played.entries[0] < 25
        assert played.all_gone, "all have found what one has done"


def test_fifty_that_are_the_first_ever() -> None:
    """That nothing is there has to be proven, which takes a multiple of one read."""
    crowd = Weather(contenders=(50, 50), spread=1.0, latency="second", found=0.0)
    firsts = [run_round(seed, crowd, PACE, entries=1).entries[0] for seed in range(12)]
    assert max(firsts) < 60


def test_after_a_crash_the_next_is_in_when_ttl_is_over() -> None:
    left_behind = Weather(contenders=(1, 6), latency="quick", found=1.0, old=0.0)
    for seed in range(40):
        first = run_round(seed, left_behind, PACE, entries=1, horizon=400.0).entries[0]
        assert PACE.ttl + PACE.settle < first < PACE.ttl + PACE.settle + left_behind.spread + 12


def test_simulation_is_the_same_each_time() -> None:
    """A seed that is printed can be played again."""
    first, second = (run_round(7, traced=True) for _ in range(2))
    assert [line[:12] for line in first.trace] == [line[:12] for line in second.trace]
    assert (first.entries, first.ended) == (second.entries, second.ended)
