"""
The steps of a publish: all that its process asks of TikTok, and of the places that keep its record.

Nothing of the provider is changed: what it calls is wrapped, in the process that publishes. A step is known
by its name and by how often that name has come before, so that it is the same one in every run, whatever
else takes a try more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from airflow_provider_tiktok.api.transport import Answer, Request, Transport

#: TikTok's endpoints by the ends of their paths; what is asked of other servers is no step.
ENDPOINTS = {
    "/oauth/token/": "token",
    "/creator_info/query/": "creator_info",
    "/inbox/video/init/": "init",
    "/content/init/": "init",
    "/video/init/": "init",
    "/status/fetch/": "status",
    "/publish/cancel/": "cancel",
    "/upload/": "upload",
}
#: Of these, the ones that change nothing at TikTok.
ASKING = ("creator_info", "status")
READING = ("get", "keys")
#: No steps: what is written and read only to see whether Airflow answers, and what keeps an account's grant.
NO_STEPS = ("tiktok_probe__", "tiktok_grant__", "tiktok_claim__", "tiktok_refusal__")
#: What tells one value of a task instance from another, as opposed to one task instance from another.
_OWN = re.compile(r"[a-z]+|\d{1,3}")
_RANGE = re.compile(r"bytes (\d+)-")


@dataclass(frozen=True)
class Step:
    """
    One step.

    :param name: what is done, such as ``init`` or ``set grant``
    :param nth: how often it has been done by then, this time included
    :param changes: whether something outside of the process is another after it
    """

    name: str
    nth: int
    changes: bool

    def __str__(self) -> str:
        return self.name if self.nth == 1 else f"{self.name} ({self.nth})"


#: What stands in for a step: it is given the step, and does it or not.
Around = Callable[[Step, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Steps:
    """
    Every step of one process, as it comes.

    :param around: called in place of each step
    :param phase: stands before each name; for a process that goes on with what another began
    """

    def __init__(self, around: Around, phase: str = "") -> None:
        self._around = around
        self._phase = phase
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def take(self, name: str, *, changes: bool) -> Step:
        """Count a step."""
        name = f"{self._phase}{name}"
        with self._lock:
            self._counts[name] += 1
            return Step(name, self._counts[name], changes)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have all steps of this process go through ``around``."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(Transport, "send", self._sending(Transport.send)))
            for owner, prefix in _keepers():
                for verb in ("get", "set", "delete", "keys"):
                    if verb in vars(owner):
                        stack.enter_context(
                            mock.patch.object(owner, verb, self._keeping(owner, verb, prefix))
                        )
            yield

    def _sending(self, send: Callable[..., Answer]) -> Callable[..., Answer]:
        @wraps(send)
        def call(transport: Transport, request: Request) -> Answer:
            if not (name := _endpoint(request)):
                return send(transport, request)
            step = self.take(name, changes=name not in ASKING)
            answer: Answer = self._around(step, send, (transport, request), {})
            return answer

        return call

    def _keeping(self, owner: type, verb: str, prefix: str) -> Any:
        """Wrap a method of whatever kind it is: one class has static methods, another class methods."""
        method = vars(owner)[verb]
        is_bound = isinstance(method, staticmethod | classmethod)
        function = getattr(owner, verb)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            key = (args if is_bound else args[1:])[:1] or (kwargs.get("key") or kwargs.get("prefix") or "",)
            kind = _kind(str(key[0]))
            if not kind:
                return function(*args, **kwargs)
            step = self.take(f"{prefix}{verb} {kind}", changes=verb not in READING)
            return self._around(step, function, args, kwargs)

        return staticmethod(call) if is_bound else call


def is_read(step: Step) -> bool:
    """Tell whether a step reads what is kept."""
    return re.sub(r"^.*?: |store ", "", step.name).startswith(READING)


def thinned(steps: Iterable[Step]) -> list[Step]:
    """Give all steps, but of a read that is made again and again only the first two and the last."""
    given = list(steps)
    last = {step.name: step.nth for step in given}
    return [step for step in given if not is_read(step) or step.nth <= 2 or step.nth == last[step.name]]


def is_pacing(step: Step) -> bool:
    """Tell whether a step only paces the tasks of an account."""
    return step.name.endswith(" pace")


def is_request(step: Step) -> bool:
    """Tell whether a step is a request to TikTok."""
    return re.sub(r"^.*?: ", "", step.name).split()[0] in ENDPOINTS.values()


def is_tidying(step: Step) -> bool:
    """Tell whether a step only takes away what is not needed any more."""
    return "delete " in step.name


def is_upload(step: Step) -> bool:
    """Tell whether a step sends a range of a video."""
    return "upload from byte " in step.name


def _endpoint(request: Request) -> str:
    path = urlsplit(request.url).path
    name = next((name for end, name in ENDPOINTS.items() if path.endswith(end)), "")
    found = _RANGE.match(request.headers.get("Content-Range", ""))
    return f"{name} from byte {found[1]}" if found and name else name


def _kind(key: str) -> str:
    """Give what a key of ours stands for, the same in every task instance; empty if it is no step."""
    if not key.startswith("tiktok_") or key.startswith(NO_STEPS):
        return ""
    kind, *rest = key.removeprefix("tiktok_").split("__")
    return " ".join([kind, *filter(_OWN.fullmatch, rest)])


def _keepers() -> list[tuple[type, str]]:
    """Give the classes that keep values in this process, with what tells them apart in a step's name."""
    found: list[tuple[type, str]] = []
    from airflow.models.variable import Variable as ModelsVariable

    found.append((ModelsVariable, ""))
    try:
        from airflow.sdk import Variable as TaskVariable
        from airflow.sdk.execution_time.context import TaskStateStoreAccessor
    except ImportError:  # an older Airflow
        return found
    return [*found, (TaskVariable, ""), (TaskStateStoreAccessor, "store ")]
