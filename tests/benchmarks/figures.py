"""A benchmark's figures, and how they are shown: ours, the baseline of the same run, the ratio, the goal."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """
    One figure.

    :param what: is measured
    :param ours: the provider's
    :param baseline: measured in the same run
    :param unit: of both
    :param at_least: goal for the ratio
    :param at_most: likewise
    :param below: goal for our own figure, where that is what counts
    """

    what: str
    ours: float
    baseline: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None

    @property
    def ratio(self) -> float:
        """Ours by the baseline."""
        return self.ours / self.baseline if self.baseline else float("nan")

    @property
    def goal(self) -> str:
        """What is wanted, in words; empty = nothing is."""
        words = {
            "ratio >= {:g}": self.at_least,
            "ratio <= {:g}": self.at_most,
            f"< {{:g}} {self.unit}": self.below,
        }
        return ", ".join(text.format(value) for text, value in words.items() if value is not None)

    @property
    def is_met(self) -> bool:
        """Whether that has come true."""
        return (
            (self.at_least is None or self.ratio >= self.at_least)
            and (self.at_most is None or self.ratio <= self.at_most)
            and (self.below is None or self.ours < self.below)
        )


def machine() -> str:
    """Name the machine that was measured on."""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"


def shown(figures: Iterable[Figure]) -> None:
    """Print a table, and each line as soon as it is known."""
    console, table = Console(width=130), Table(title=machine())
    for heading in ("", "ours", "baseline", "ratio", "goal", "met"):
        table.add_column(heading, justify="right" if heading in ("ours", "baseline", "ratio") else "left")
    for each in figures:
        row = (
            each.what,
            f"{each.ours:.3g} {each.unit}",
            f"{each.baseline:.3g} {each.unit}",
            f"{each.ratio:.3g}",
            each.goal,
            ("yes" if each.is_met else "NO") if each.goal else "",
        )
        console.print(" | ".join(row), style="dim")
        table.add_row(*row)
    console.print(table)
