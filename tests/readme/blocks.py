"""The README's code blocks, as a Markdown parser sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True)
class Block:
    """
    A code block.

    :param language: as the fence says
    :param heading: under which it stands
    :param line: of the README
    :param text: what is between the fences
    """

    language: str
    heading: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.heading}:{self.line}"


def blocks_of(text: str) -> Iterator[Block]:
    """
    Give every code block of a Markdown text, indented ones and those in lists included.

    :param text: Markdown
    """
    tokens = MarkdownIt().parse(text)
    heading = ""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[index + 1].content.strip("`")
        elif token.type in ("fence", "code_block"):
            first = token.map[0] + 1 if token.map else 0
            yield Block(token.info.strip(), heading, first, token.content)


def blocks(language: str) -> list[Block]:
    """
    Give the README's blocks of a language.

    :param language: as the fence says
    """
    return [each for each in blocks_of(README.read_text()) if each.language == language]
