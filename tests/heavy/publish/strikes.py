"""What is done to a publish at one of its steps: killed, stopped, told nothing, told lies."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_tiktok.api.transport import Answer, Request
from airflow_provider_tiktok.exceptions import TikTokNoAnswerError
from tests.heavy.publish.steps import Step, Steps, is_read

SERVER_ERROR = b'{"data": {}, "error": {"code": "internal_error", "message": "", "log_id": "struck"}}'
#: Longer than any claim lives here.
OUTAGE_SECONDS = 8.0
#: The last things that a process does.
RETURN, DEFER = "return", "defer"


@dataclass(frozen=True)
class Strike:
    """
    What is done, and where.

    :param how: ``kill``, ``stop``; for requests ``lose`` (the answer) and ``500``; for reads ``raise`` and
        ``hide`` (look empty), and ``outage``: for a while each read looks empty and each write is lost
    :param name: of the step
    :param nth: of the step
    :param moment: ``before``, ``during`` (an upload's range) or ``after`` the step
    """

    how: str
    name: str
    nth: int = 1
    moment: str = "after"

    def __str__(self) -> str:
        return f"{self.how} {self.moment} {Step(self.name, self.nth, changes=False)}"


class DatabaseDownError(Exception):
    """What a read raises that is made to fail."""


class Journal:
    """
    What the processes of one task instance have done, line by line; it survives their death.

    :param path: of a file
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **line: Any) -> None:
        """Add a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Give all lines, in their order."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def steps(self, process: str = "") -> list[Step]:
        """Give the steps of one process, or of all."""
        lines = [line for line in self.read() if "step" in line and process in ("", line["process"])]
        return [Step(line["step"], line["nth"], line["changes"]) for line in lines]

    def ends(self) -> list[dict[str, Any]]:
        """Give how the processes ended, as far as they could tell."""
        return [line for line in self.read() if "ends" in line]

    def struck(self) -> bool:
        """Whether the place of the strike was come to."""
        return any("struck" in line for line in self.read())


class Struck:
    """
    A process that is struck at its step.

    :param journal: where it tells what it does
    :param strike: None = it is left alone
    :param process: its name in the journal
    """

    def __init__(self, journal: Journal, strike: Strike | None, process: str) -> None:
        self._journal, self._strike, self._process = journal, strike, process
        self._down_until = 0.0

    def do(self, publish: Callable[[], Any], phase: str = "") -> Any:
        """
        Publish, and tell each step and the end.

        :param publish: does it
        :param phase: of the steps' names
        """
        steps = Steps(self._around, phase)
        try:
            with steps.watched():
                returned = publish()
            self._around(steps.take(RETURN, changes=False), lambda: None, (), {})
        except BaseException as error:
            if isinstance(error, TaskDeferred):
                self._around(steps.take(DEFER, changes=False), lambda: None, (), {})
            is_final = isinstance(error, AirflowFailException)
            self._ended(type(error).__name__, said=str(error), is_final=is_final)
            raise
        self._ended("success", returned=returned)
        return returned

    def _ended(self, how: str, **more: Any) -> None:
        self._journal.write(process=self._process, ends=how, **more)

    def _around(
        self, step: Step, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self._journal.write(process=self._process, step=step.name, nth=step.nth, changes=step.changes)
        strike = self._strike
        if time.monotonic() < self._down_until:
            return _without_database(step, do, args, kwargs)
        if strike is None or (strike.name, strike.nth) != (step.name, step.nth):
            return do(*args, **kwargs)
        self._journal.write(process=self._process, struck=str(strike))
        if strike.how == "outage":
            self._down_until = time.monotonic() + OUTAGE_SECONDS
            return _without_database(step, do, args, kwargs)
        return _STRUCK[strike.how](strike, do, args, kwargs)


def _signalled(strike: Strike, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    number = signal.SIGKILL if strike.how == "kill" else signal.SIGSTOP
    if strike.moment == "before":
        os.kill(os.getpid(), number)
        return do(*args, **kwargs)
    if strike.moment == "during":
        transport, request = args
        return do(transport, replace(request, content=_cut(request, number)))
    result = do(*args, **kwargs)
    os.kill(os.getpid(), number)
    return result


def _cut(request: Request, number: signal.Signals) -> Iterator[bytes]:
    content = iter(request.content if not isinstance(request.content, bytes) else [request.content])
    yield next(content)
    os.kill(os.getpid(), number)
    yield from content  # type: ignore[misc]


def _lost(strike: Strike, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    do(*args, **kwargs)
    raise TikTokNoAnswerError(
        f"{args[1].name}: the request left, but its answer was lost; TikTok may have acted on it."
    )


def _failed(strike: Strike, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    do(*args, **kwargs)
    return Answer(500, {"content-type": "application/json"}, SERVER_ERROR)


def _raised(strike: Strike, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raise DatabaseDownError("the metadata database does not answer")


def _hidden(strike: Strike, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if "get" not in strike.name:
        raise DatabaseDownError("a list that fails raises, in every Airflow")
    if "store " in strike.name:
        return kwargs.get("default")
    raise KeyError("Variable does not exist")


def _without_database(
    step: Step, do: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """TikTok still answers; reads look empty, writes are swallowed."""
    name = step.name.rpartition(": ")[2]
    if is_read(step):
        return _hidden(Strike("hide", name), do, args, kwargs)
    if name.removeprefix("store ").startswith(("set ", "delete ")):
        return None
    return do(*args, **kwargs)


_STRUCK: dict[str, Callable[..., Any]] = {
    "kill": _signalled,
    "stop": _signalled,
    "lose": _lost,
    "500": _failed,
    "raise": _raised,
    "hide": _hidden,
}


def as_dict(strike: Strike | None) -> dict[str, Any] | None:
    """Give a strike as JSON."""
    return asdict(strike) if strike else None


def from_dict(given: dict[str, Any] | None) -> Strike | None:
    """Read a strike from JSON."""
    return Strike(**given) if given else None
