"""The README's tables of errors say what the code does."""

from __future__ import annotations

import re

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_tiktok import exceptions
from airflow_provider_tiktok.exceptions import CODES, TikTokError
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


def test_every_error_is_in_the_table_of_classes_with_whether_it_is_retried() -> None:
    rows = re.findall(r"^\| (`TikTok\w+Error`.*?) \|.*\| (yes|no) \|$", README.read_text(), re.MULTILINE)
    printed = {name: retried == "yes" for names, retried in rows for name in re.findall(r"TikTok\w+", names)}
    real = {
        name: not issubclass(value, AirflowFailException)
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, TikTokError)
    }
    # these are only ever raised as one of their kinds
    kinds = {"TikTokError", "TikTokTransportError", "TikTokAnswerError"}
    assert printed == {name: retried for name, retried in real.items() if name not in kinds}


def test_it_speaks_of_no_error_or_code_that_there_is_not() -> None:
    """Where a name changes, the advice that names it has to follow."""
    text = README.read_text()
    assert {
        name for name in re.findall(r"\bTikTok\w+Error\b", text) if not hasattr(exceptions, name)
    } == set()
    spoken = set(re.findall(r"`((?:spam_risk|unaudited|scope|url|privacy_level_option|reached)_\w+)`", text))
    assert spoken - CODES.keys() == set()
    assert len(spoken) > 8
