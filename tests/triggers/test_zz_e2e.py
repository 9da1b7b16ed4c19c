from __future__ import annotations

import random

import pytest

from airflow_provider_tiktok.publishing.pace import Windows
from tests.publishing.pacing import least_seconds
from tests.triggers.backlog import *


@pytest.mark.parametrize("n,minute,day", [(30, 5, 86400), (30, 20, 90)])
async def test_it(tiktok, connect, n, minute, day):
    tiktok.knobs.minute = float(minute)
    tiktok.knobs.day = float(day)
    if day == 86400:
        tiktok.knobs.post_cap = 0
    connect("alice")
    r = random.Random(3)
    lo, hi = (0.5, 1.5) if minute == 5 else (2, 6)
    b = Backlog(tiktok, start=lambda: r.uniform(lo, hi))
    secs = await b.drain(range(n), apart=0.3)
    t = [round(e.time - inits(tiktok)[0].time, 1) for e in inits(tiktok)]
    print(
        "SECS",
        round(secs, 1),
        "first-to-last",
        t[-1],
        "least",
        least_seconds(n, Windows(minute, day), 15 if day == 90 else 10**6),
        "refused",
        refused(tiktok),
        "order",
        b.order == sorted(b.order),
        "posts",
        len(tiktok.posts),
        "inits",
        len(t),
        "ci",
        sum(e.endpoint == "creator_info" for e in tiktok.requests),
        "ci429",
        sum(e.endpoint == "creator_info" and e.status == 429 for e in tiktok.requests),
        "rounds",
        b.rounds,
        b.errors,
    )
    print(t)
