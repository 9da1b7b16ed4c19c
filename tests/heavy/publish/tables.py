"""What many rounds came to, a line for all that came to the same."""

from __future__ import annotations

from collections.abc import Iterable

from tests.heavy import report


def tell(title: str, headings: tuple[str, ...], rounds: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """
    Print a table.

    :param title: above it
    :param headings: of what lines are told apart by
    :param rounds: each what it is told apart by, and its name
    """
    lines: dict[tuple[str, ...], list[str]] = {}
    for same, name in rounds:
        lines.setdefault(same, []).append(name)
    table = report.table(title, *headings, "rounds", "which")
    for same, names in lines.items():
        table.add_row(*same, str(len(names)), ", ".join(names))
