"""
How long the example DAG takes for ninety posts over three accounts, against what limits and Airflow allow.

The same DAG in the same real Airflow (PostgreSQL, LocalExecutor) drains the same queue against a sandbox
whose minute is 20 s and whose day is 90 s, and against one without limits. The ratio is that of the first to
the longer of two times: the least that the limits allow, and the second. Takes seven minutes::

    uv run python -m tests.benchmarks.drain_backlog
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Figure, shown
from tests.heavy.backlog import AT_ONCE, COLUMNS, LEAST, OPTIONS, connected, drain, row, warm_up
from tests.heavy.deployment import Deployment
from tests.heavy.postgres import Postgres


def figures() -> Iterator[Figure]:
    """Drain both, and give the figure with its baseline."""
    table = Table(*COLUMNS, title=f"90 posts over 3 accounts; the limits take {LEAST:.0f} s at least")
    with (
        tempfile.TemporaryDirectory() as folder,
        Postgres() as postgres,
        Deployment(postgres, **OPTIONS) as deployment,
    ):
        warm_up(deployment, _made(folder, "warm"))
        accounts = connected(deployment, "limited")
        limited = drain(deployment, _made(folder, "limited"), accounts)
        table.add_row(*row("with limits", limited, accounts))
        deployment.sandbox.knobs.limits = False
        accounts = connected(deployment, "free", **AT_ONCE)
        free = drain(deployment, _made(folder, "free"), accounts)
        table.add_row(*row("without", free, accounts))
    Console(width=140).print(table)
    what = f"drain 90 posts, beside the longer of {LEAST:.0f} s and {free.seconds:.0f} s"
    yield Figure(what, limited.seconds, max(LEAST, free.seconds), "s", at_most=1.25)


def _made(folder: str, name: str) -> Path:
    path = Path(folder, name)
    path.mkdir()
    return path


if __name__ == "__main__":
    shown(figures())
