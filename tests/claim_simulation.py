"""
The claim in a world that has a virtual clock: processes on hosts of their own, and one bad register.

Events happen one after another, in the order of their times. Each process runs the real ``Claim.steps()``;
what the steps ask for (a look, a write, a pause) takes virtual time, and goes wrong as the weather says. The
whole round hangs on its seed: ``run_round(seed, ..., traced=True)`` plays it again and tells what happened.

Left out is what the claim assumes (its docstring): a clock and a write that are off by 15 minutes together,
and two claims that land again within the same seconds, which the weathers here make as good as impossible.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_tiktok.claim import Claim, Clock, Held, Look, Pace, Pause, Reading, Seen

#: Guarded requests never take longer, whatever is left of the claim.
LONGEST_REQUEST = 12.0
#: A holder that has less left than this does not start a request.
SHORTEST_LEFT = 0.5


@dataclass(frozen=True)
class Weather:
    """
    How bad a world is. Shares are of 1; what is a share of steps is small, as there are hundreds of them.

    :param contenders: how many there are at least, and at most
    :param spread: within how many seconds they come
    :param latency: what an operation of the register takes: "quick", "second" (exactly 1 s), "uneven", "slow"
        or "any", for a pace with L = 8 s
    :param huge: share of the operations that take up to a minute
    :param late: share of the writes that say that all is well, and land later
    :param latest: seconds by which a write lands late at most
    :param lost: share of the writes that say that all is well, and never land
    :param raises: share of the writes that raise; of these, a third lands, and a third lands later
    :param twice: share of the writes that land again
    :param fails: share of the reads that raise
    :param empty: share of the reads that look empty, although there is a value
    :param apart: seconds by which a clock may be wrong
    :param jumps: share of the steps before which it is set
    :param stops: share of the steps before which a process stands still (SIGSTOP)
    :param suspends: the same for a machine, whose monotonic clock stands still as well
    :param freezes: share of the guarded requests before which a process stands still, but after its look at
        the clock; against that no claim can help
    :param crashes: share of the steps at which a process ends
    :param returns: share of those who ended, or ran out of time, that come again
    :param asks: share of the processes that look whether what they came for has been done
    :param saves: share of the holders that save what they have done
    :param found: share of the worlds in which there is a claim already, of somebody who has crashed
    :param old: share of these claims that are of an hour ago; the others have just been written
    :param again: how often the latter land again
    """

    contenders: tuple[int, int] = (2, 6)
    spread: float = 12.0
    latency: str = "any"
    huge: float = 0.0
    late: float = 0.0
    latest: float = 300.0
    lost: float = 0.0
    raises: float = 0.0
    twice: float = 0.0
    fails: float = 0.0
    empty: float = 0.0
    apart: float = 0.0
    jumps: float = 0.0
    stops: float = 0.0
    suspends: float = 0.0
    freezes: float = 0.0
    crashes: float = 0.0
    returns: float = 0.5
    asks: float = 0.5
    saves: float = 0.8
    found: float = 0.6
    old: float = 0.5
    again: int = 0


TROUBLES = {
    "huge": 0.02,
    "late": 0.2,
    "lost": 0.1,
    "raises": 0.2,
    "twice": 0.2,
    "fails": 0.05,
    "empty": 0.05,
    "apart": 200.0,
    "jumps": 0.01,
    "stops": 0.02,
    "suspends": 0.02,
    "crashes": 0.004,
}
#: Tight ones show most: with a long TTL a fault in the claim is seldom seen.
PACES = (Pace(8, 10, 20, 30), Pace(8, 10, 60, 70), Pace(2, 3, 40, 43), Pace(), Pace(8, 10, 40, 50))


def any_weather(rng: random.Random) -> Weather:
    """Make a weather that has each trouble or not, more or less of it."""
    troubles = {name: most * rng.random() ** 2 for name, most in TROUBLES.items() if rng.random() < 0.5}
    crowd = (7, 50) if rng.random() < 0.03 else (2, 6)
    spread, again = rng.choice((0.0, 1.0, 12.0, 12.0, 60.0)), rng.choice((0, 0, 1, 5))
    return Weather(contenders=crowd, spread=spread, again=again, **troubles)


class Host(Clock):
    """The clocks of one process's host. Its monotonic clock stands still while it is suspended."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self.up_since = rng.uniform(-1e6, 0)  # so that whoever compares clocks of two hosts is found out
        self.asleep = 0.0
        self.ahead = rng.uniform(-1, 1) * world.weather.apart

    def read(self) -> Reading:
        now = self._world.now
        up = now - self.up_since
        return Reading(up - self.asleep, up, now + self.ahead)


class World:
    """The clock of all, the register, who is inside, and what went wrong."""

    def __init__(self, weather: Weather, pace: Pace, rng: random.Random, *, traced: bool = False) -> None:
        self.weather, self.pace, self.rng = weather, pace, rng
        self.now = 0.0
        self.value: str | None = None
        self.saved = False
        self.trace: list[str] | None = [] if traced else None
        self.inside: dict[Process, float] = {}  # until when, at the latest
        self.entries: list[float] = []
        self.violation: str | None = None
        self.alive = 0
        self.calm = False
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self.latency = self._latency()

    def at(self, delay: float, what: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), what, arguments))

    def run(self, horizon: float, entries: int) -> None:
        """Let time pass, until nobody is left, somebody has broken in, or that many have been in."""
        events = self._events
        while events and events[0][0] <= horizon and self.alive and self.violation is None:
            if len(self.entries) >= entries and not any(until > self.now for until in self.inside.values()):
                return
            self.now, _, what, arguments = heapq.heappop(events)
            what(*arguments)

    def land(self, text: str) -> None:
        self.value = text
        self.tell("landed", text)

    def occupy(self, process: Process, until: float) -> None:
        """Let nobody else be inside until then."""
        for other, others_until in self.inside.items():
            if other is not process and others_until > self.now:
                self.violation = f"{process} is inside beside {other} at {self.now:.2f}"
                self.tell(self.violation)
        self.inside[process] = max(until, self.inside.get(process, 0.0))

    def tell(self, *what: object) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now:9.3f} " + " ".join(map(str, what)))

    def _latency(self) -> Callable[[], float]:
        rng, kind, scale = self.rng, self.weather.latency, self.pace.write / 8
        if kind == "any":
            kind = rng.choice(("quick", "second", "uneven", "slow"))
        usual = {
            "quick": lambda: rng.uniform(0.01, 0.15) * scale,
            "second": lambda: scale,
            "uneven": lambda: rng.expovariate(2) * scale,
            "slow": lambda: rng.uniform(0, 3) * scale,
        }[kind]
        huge = self.weather.huge
        if not huge:
            return usual
        return lambda: rng.uniform(1, 60) * scale if not self.calm and rng.random() < huge else usual()

    def lateness(self) -> float:
        """Give by how much a write lands late: as often as not about when others settle."""
        rng = self.rng
        return rng.uniform(0, 2.5 * self.pace.settle if rng.random() < 0.6 else self.weather.latest)


class Process:
    """One contender: runs the real steps of a claim, and once in does what it came for."""

    #: what a mutant changes: it takes a read that failed for one that found nothing
    believes_failed_reads = False

    def __init__(self, world: World, name: str, claim: Callable[..., Claim]) -> None:
        self.world, self.name, self._claim = world, name, claim
        self.asks = world.rng.random() < world.weather.asks
        self.host = Host(world, world.rng)
        self.steps = claim("claim", world.pace, guards=name, clock=self.host).steps()
        self.begun = 0.0
        self.requests = 0
        self.held: Held | None = None
        world.alive += 1

    def __str__(self) -> str:
        return self.name

    # --- steps of the claim ---

    def go(self, answer: Any = None) -> None:
        """Go on from one step of the claim to the next."""
        world = self.world
        if self._crashes():
            return
        try:
            step = self.steps.send(answer)
        except StopIteration as done:
            self._enter(done.value)
            return
        kind = type(step)
        if kind is Look:
            self._look(1)
        elif kind is Pause:
            if step.waits and world.saved and self.asks:
                self._leave("finds it done")
                return
            world.at(step.seconds + self._trouble(), self.go)
        else:
            self.begun = world.now
            world.at(self._trouble(), self._write, step.text)

    def _look(self, turn: int) -> None:
        looked, duration = self.host.read(), self.world.latency()
        pause = self._trouble()
        self.world.at(pause + duration * self.world.rng.random(), self._get, turn, looked, duration)

    def _get(self, turn: int, looked: Reading, duration: float) -> None:
        """Read, as the register does: what looks empty is looked at three times, between two probes."""
        world, weather, rng = self.world, self.world.weather, self.world.rng
        troubled = not world.calm
        text, failed = world.value, False
        if troubled and weather.fails and rng.random() < weather.fails:
            text, failed = None, True
        elif troubled and weather.empty and text is not None and rng.random() < weather.empty:
            text, failed = None, turn == 3 or rng.random() < 0.5  # a probe that fails, too, tells so at once
            if self.believes_failed_reads:
                failed = True
        if text is None and not failed:
            operations = sum(world.latency() for _ in range(2))
            if turn < 3:  # the probe before is removed, and one more written and read
                world.at(operations + world.latency(), self._look, turn + 1)
                return
            duration += operations
        if failed and self.believes_failed_reads:
            failed = False
        rest = duration * rng.random()
        world.at(rest + self._trouble(), self._looked, text, failed, looked)

    def _looked(self, text: str | None, failed: bool, looked: Reading) -> None:
        if self.world.trace is not None:
            self.world.tell(self, "failed to look" if failed else f"sees {text}")
        self.go(Seen(text, failed, looked, self.host.read()))

    def _write(self, text: str) -> None:
        world, weather, rng = self.world, self.world.weather, self.world.rng
        duration, well = world.latency(), True
        landed: float | None = duration * rng.random()
        kind = 2.0 if world.calm else rng.random()
        if kind < weather.late:
            landed = duration + world.lateness()
        elif (kind := kind - weather.late) < weather.lost:
            landed = None
        elif kind - weather.lost < weather.raises:
            well = False
            landed = rng.choice((landed, None, duration + world.lateness()))
        if landed is not None:
            world.at(landed, world.land, text)
        if not world.calm and rng.random() < weather.twice:
            world.at(duration + world.lateness(), world.land, text)
        world.tell(self, "writes", text, "well" if well else "raises", "in", duration)
        world.at(duration + self._trouble(), self.go, well)

    # --- once in ---

    def _enter(self, held: Held) -> None:
        world = self.world
        world.entries.append(world.now)
        world.tell(self, "is in; began to write at", self.begun)
        if self.begun + world.pace.hold > world.now:  # else it is in for no time, and harms nobody
            world.occupy(self, self.begun + world.pace.hold)
        self.held, self.requests = held, world.rng.randrange(1, 9)
        world.at(world.latency() + self._trouble(), self._look_whether_done)

    def _look_whether_done(self) -> None:
        if self.world.saved:
            self._leave("is in, and finds it done")
        else:
            self._request()

    def _request(self) -> None:
        """Look at the clock, and make a request that is over before the claim is."""
        world, rng = self.world, self.world.rng
        if self._crashes():
            return
        left = self.held.left() if self.held else 0.0
        if left < SHORTEST_LEFT:
            self._leave("runs out of time", again=True)
            return
        duration = rng.uniform(0.05, 1) * min(left, LONGEST_REQUEST)
        frozen = self._standstill() if rng.random() < world.weather.freezes else 0.0
        world.at(frozen, self._send, duration)

    def _send(self, duration: float) -> None:
        world = self.world
        world.tell(self, "makes a request for", duration)
        world.occupy(self, world.now + duration)
        if self._crashes(inside_until=world.now + duration):
            return
        self.requests -= 1
        world.at(duration + self._trouble(), self._request if self.requests else self._save)

    def _save(self) -> None:
        if self._crashes():
            return
        if self.world.rng.random() < self.world.weather.saves:
            self.world.saved = True
        self._leave("has done it")

    # --- what goes wrong ---

    def _trouble(self) -> float:
        """Give by how much a step is held up, which clocks may show or not."""
        world, weather, rng = self.world, self.world.weather, self.world.rng
        if world.calm:
            return 0.0
        if weather.jumps and rng.random() < weather.jumps:
            self.host.ahead = rng.uniform(-1, 1) * weather.apart
        seconds = 0.0
        if weather.stops and rng.random() < weather.stops:
            seconds += self._standstill()
        if weather.suspends and rng.random() < weather.suspends:
            suspended = self._standstill()
            self.host.asleep += suspended
            seconds += suspended
        if seconds:
            world.tell(self, "stands still for", seconds)
        return seconds

    def _standstill(self) -> float:
        rng, pace = self.world.rng, self.world.pace
        return rng.uniform(0, 2 * pace.settle if rng.random() < 0.6 else 2 * pace.ttl)

    def _crashes(self, inside_until: float | None = None) -> bool:
        """Tell whether it ends here; a request that has been sent goes on without its process."""
        world = self.world
        if not world.weather.crashes or world.calm or world.rng.random() >= world.weather.crashes:
            return False
        self._leave("crashes", again=True)
        if inside_until is not None:
            world.inside[self] = inside_until
        return True

    def _leave(self, why: str, *, again: bool = False) -> None:
        world = self.world
        world.tell(self, why)
        world.inside.pop(self, None)
        world.alive -= 1
        if again and world.rng.random() < world.weather.returns:
            another = type(self)(world, f"{self.name}'", self._claim)
            world.at(world.rng.uniform(0, 2 * world.pace.settle), another.go)


@dataclass
class Round:
    """What came of one."""

    seed: int
    entries: list[float]
    violation: str | None
    all_gone: bool
    ended: float
    trace: list[str] = field(default_factory=list)


def run_round(
    seed: int,
    weather: Weather | None = None,
    pace: Pace | None = None,
    *,
    claim: Callable[..., Claim] = Claim,
    process: type[Process] = Process,
    entries: int = 3,
    horizon: float | None = None,
    calm_after: float | None = None,
    traced: bool = False,
) -> Round:
    """
    Play one round.

    :param seed: of everything in it
    :param weather: None for any
    :param pace: None for any
    :param claim: the class, or a mutant
    :param process: the class, or one that takes failed reads for empty ones
    :param entries: how many get in before it ends
    :param horizon: seconds after which it ends
    :param calm_after: seconds after which nothing goes wrong any more
    :param traced: whether to tell what happens
    """
    rng = random.Random(seed)
    random.seed(seed)  # the claim's own pauses
    weather = weather or any_weather(rng)
    pace = pace or rng.choice(PACES)
    world = World(weather, pace, rng, traced=traced)
    _find_a_claim(world)
    for number in range(rng.randint(*weather.contenders)):
        world.at(rng.uniform(0, weather.spread), process(world, f"p{number}", claim).go)
    if calm_after is not None:
        world.at(calm_after, setattr, world, "calm", True)
    world.run(horizon or weather.spread + 2.5 * (pace.ttl + pace.hold), entries)
    return Round(seed, world.entries, world.violation, not world.alive, world.now, world.trace or [])


def _find_a_claim(world: World) -> None:
    rng, weather = world.rng, world.weather
    if rng.random() >= weather.found:
        return
    if rng.random() < weather.old:
        world.land(json.dumps({"nonce": "old", "stamp": -3600.0, "guards": "old"}))
        return
    text = json.dumps({"nonce": "left", "stamp": rng.uniform(-1, 1) * weather.apart, "guards": "left"})
    world.land(text)
    for _ in range(weather.again):
        world.at(rng.uniform(0, weather.latest), world.land, text)
