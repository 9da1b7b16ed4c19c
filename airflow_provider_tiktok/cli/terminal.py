"""Where results and messages go, and whether there is somebody to ask."""

from __future__ import annotations

import sys
from typing import IO

import click

from airflow_provider_tiktok.exceptions import TikTokConfigError


class Terminal:
    """
    A person, or a script: results go to stdout, so that they can be piped, and all else to stderr.

    :param results: the real stdout
    """

    def __init__(self, results: IO[str]) -> None:
        self.results = results

    @property
    def has_person(self) -> bool:
        """Whether somebody can answer."""
        try:
            return sys.stdin.isatty()
        except (AttributeError, ValueError):  # there is no stdin, or it is closed
            return False

    def show(self, text: str) -> None:
        """
        Put out a result.

        :param text: may hold secrets, if that is what was asked for
        """
        click.echo(text, file=self.results)
        self.results.flush()

    def say(self, text: str) -> None:
        """
        Tell something that is no result.

        :param text: without secrets
        """
        click.echo(text, err=True)

    def ask(self, question: str, *, otherwise: str, hidden: bool = False) -> str:
        """
        Ask for a text.

        :param question: what is asked for
        :param otherwise: what to do where nobody can answer
        :param hidden: show nothing of the answer
        :raises TikTokConfigError: nobody can answer
        """
        if not self.has_person:
            raise TikTokConfigError(f"{question} is needed. What to do: {otherwise}.")
        return str(click.prompt(question, hide_input=hidden, err=True)).strip()

    def agrees(self, question: str, *, yes: bool, default: bool = False) -> bool:
        """
        Ask a question of yes or no; nobody to answer means no.

        :param question: without its question mark
        :param yes: it was answered beforehand
        :param default: what a mere Enter means
        """
        if yes:
            return True
        return self.has_person and click.confirm(f"{question}?", default=default, err=True)
