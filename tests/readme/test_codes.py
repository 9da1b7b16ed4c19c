"""The README's table of codes says what the code does."""

from __future__ import annotations

from airflow_provider_tiktok.exceptions import CODES
from tests.readme.blocks import README
from tests.readme.codes import COMMAND, printed, renewed, table


def test_the_readme_prints_the_table() -> None:
    assert printed(README.read_text()) == table(), f"to write it anew: {COMMAND}"


def test_every_code_is_in_it_and_no_placeholder() -> None:
    text = table()
    assert all(f"`{code}`" in text for code in CODES)
    assert all(row.error.__name__ in text for row in CODES.values())
    assert "CONN_ID" not in text


def test_writing_it_changes_nothing_else() -> None:
    text = "before\n<!-- codes -->\nold\n<!-- /codes -->\nafter\n"
    assert renewed(text) == f"before\n<!-- codes -->\n{table()}<!-- /codes -->\nafter\n"
