"""
The README's table of TikTok's codes, made of the one table that raises the errors.

``python -m tests.readme.codes`` writes it anew.
"""

from __future__ import annotations

import re
from collections import defaultdict

from airflow_provider_tiktok.exceptions import CODES
from tests.readme.blocks import README

COMMAND = "python -m tests.readme.codes"
_BETWEEN = re.compile(r"(?<=<!-- codes -->\n).*?(?=<!-- /codes -->)", re.DOTALL)


def table() -> str:
    """Give the table: codes that mean the same share a row, in the order of the code."""
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for code, row in CODES.items():
        fix = row.fix.replace("CONN_ID", "tiktok_default")
        rows[row.error.__name__, str(row.who), str(row.helps), fix].append(f"`{code}`")
    lines = ["| code | raised as | who acts | what helps | what to do |", "|---|---|---|---|---|"]
    for (error, who, helps, fix), codes in rows.items():
        lines.append(f"| {', '.join(codes)} | `{error}` | {who} | {helps} | {fix} |")
    return "\n".join(lines) + "\n"


def printed(text: str) -> str:
    """
    Give the table that a README prints.

    :param text: of the README
    """
    (found,) = _BETWEEN.findall(text)
    return str(found)


def renewed(text: str) -> str:
    """
    Give a README with the table as it has to be.

    :param text: of the README
    """
    return _BETWEEN.sub(lambda _: table(), text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
