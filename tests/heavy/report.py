"""What the heavy tests have measured, printed at the end of the run."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_tables: list[Table] = []


def table(title: str, *headings: str) -> Table:
    """Give a new table to add rows to."""
    new = Table(title=title, title_justify="left")
    for heading in headings:
        new.add_column(heading)
    _tables.append(new)
    return new


def shown() -> str:
    """Give all tables as text."""
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        for each in _tables:
            console.print(each)
    return capture.get()
