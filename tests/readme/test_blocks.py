"""No code block of the README escapes the tests of this folder, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

from tests.readme.blocks import README, blocks_of

#: Language -> the test module that runs its blocks.
RUN_BY = {
    "bash": "test_commands.py",
    "ini": "test_settings.py",
    "json": "test_json.py",
    "python": "test_python.py",
}


def test_every_language_is_run() -> None:
    for block in blocks_of(README.read_text()):
        assert block.language in RUN_BY, f"nobody runs {block}"
        assert (Path(__file__).parent / RUN_BY[block.language]).exists()


def test_no_block_is_overlooked() -> None:
    """Also those that stand in a list, or are only indented."""
    text = "# One\n\n- a\n\n  ```python\n  1\n  ```\n\n~~~sh\n2\n~~~\n\n## Two `x`\n\n    3\n"
    found = [(each.language, each.heading, each.text) for each in blocks_of(text)]
    assert found == [("python", "One", "1\n"), ("sh", "One", "2\n"), ("", "Two `x", "3\n")]


def test_links_within_it() -> None:
    text = README.read_text()
    slugs = {_slug(each) for each in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= slugs
    for path in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text):
        assert (README.parent / path).exists(), path


def _slug(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
