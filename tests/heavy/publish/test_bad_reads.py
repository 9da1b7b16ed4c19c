"""
Each read of a publish's record is made to fail, or to look empty, in the try that follows another.

A read that fails is never taken for "nothing has been published": the try may fail, to be tried again; there
is never a second post.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.heavy.publish.bench import Bench, Instance, at_once
from tests.heavy.publish.kinds import KINDS, RELEASED, Kind, Made
from tests.heavy.publish.steps import is_pacing, is_read, thinned
from tests.heavy.publish.strikes import RETURN, Strike
from tests.heavy.publish.tables import tell

pytestmark = [pytest.mark.integration, pytest.mark.heavy]

#: What happens to a read: it raises, or tells that nothing is there; or that and all that come after it do
#: so while writes are lost, as with Airflow 3.0 to 3.2 while the database is down.
WAYS = ("raise", "hide", "outage")
#: How the try before has ended.
ENDED = Strike("kill", RETURN, 1, "before")
INIT_MADE = Strike("kill", "init", 1, "after")
BYTES_SENT = Strike("kill", "upload from byte 0", 1, "after")
HISTORIES = {True: (ENDED, INIT_MADE, BYTES_SENT), False: (ENDED, INIT_MADE)}
CHOSEN = (*(kind for kind in KINDS if kind.name in ("upload, post", "photos, draft")), *RELEASED)


@dataclass(frozen=True)
class Round:
    """
    What came of a round.

    :param before: what the first try came to
    :param strike: on a read of the second
    """

    instance: Instance
    before: Strike | None
    strike: Strike | None
    made: Made

    def fault(self) -> str:
        """Say what is wrong; empty if nothing is."""
        last = self.instance.journal.ends()[-1]
        if self.made.posts > 1:
            return f"{self.made.posts} posts"
        if last["ends"] == "success":
            return "" if self.made.posts == 1 else "success without a post"
        may_be_unknown = not self.instance.kind.fenced and self.before != ENDED
        return "" if may_be_unknown and last["ends"] == "TikTokUnconfirmedError" else self.instance.ends


def tried(bench: Bench, kind: Kind, before: Strike | None, strike: Strike | None) -> Round:
    """Have a first try end in some way, a second with a bad read, and then a third if there is to be one."""
    instance, number = bench.instance(kind), 1
    if before:
        bench.run(instance, "try 1", strike=before)
        number = 2
    bench.run(instance, f"try {number}", number=kind.second if before else 1, strike=strike)
    bench.retry(instance, number + 1)
    return Round(instance, before, strike, bench.made(instance))


def test_no_read_that_fails_posts_twice(bench: Bench, part_of):
    """Each read of each second try, and of a first one, one at a time."""
    stories = [(kind, before) for kind in CHOSEN for before in (None, *HISTORIES[kind.fenced])]
    unstruck = at_once(lambda story: tried(bench, *story, None), stories)
    struck = [
        (each.instance.kind, each.before, Strike(how, step.name, step.nth))
        for each in unstruck
        for step in thinned(each.instance.journal.steps("try 2" if each.before else "try 1"))
        if is_read(step) and not is_pacing(step)
        for how in (WAYS if step.nth == 1 else WAYS[:2])
    ]
    rounds = at_once(lambda given: tried(bench, *given), part_of(struck))
    tell(
        "A read of the record made bad, after a try that was killed",
        ("kind", "the try before", "ends", "posts", ""),
        [
            (
                (
                    each.instance.kind.name,
                    str(each.before or ""),
                    each.instance.ends,
                    str(each.made.posts),
                    each.fault(),
                ),
                str(each.strike or "none").replace(" after ", " "),
            )
            for each in (*unstruck, *rounds)
        ],
    )
    faults = [
        f"{each.instance.kind.name}: {each.before}, then {each.strike}: {fault}"
        for each in (*unstruck, *rounds)
        if (fault := each.fault())
    ]
    assert not faults, "\n".join([f"{len(faults)} of {len(unstruck) + len(rounds)}", *faults])
    assert struck, "the record is read"
