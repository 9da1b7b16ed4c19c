"""Requests that go where a worker may go, redirect by redirect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from airflow_provider_tiktok.api.transport import Request, Streamed, Transport
from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokNothingSentError
from airflow_provider_tiktok.media.address import Place, Resolver, locate
from airflow_provider_tiktok.media.readable import MediaAccess

MAX_REDIRECTS = 3
#: A server that is silent for this long has nothing more to say.
IDLE_SECONDS = 60.0

_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


class Session:
    """
    Requests to one URL and to wherever it redirects.

    :param url: where to begin
    :param access: what is allowed
    :param transports: makes transports
    :param resolver: gives a host's addresses
    :raises TikTokMediaError: a worker must not go there
    """

    def __init__(
        self, url: str, access: MediaAccess, transports: Callable[[], Transport], resolver: Resolver
    ) -> None:
        self._access = access
        self._resolver = resolver
        self._transports = transports
        self.start = self.place = self._located(url)
        self._transport = transports()

    def _located(self, url: str, before: Place | None = None) -> Place:
        allow = self._access.allow_loopback
        return locate(url, allow_loopback=allow, resolver=self._resolver, before=before)

    @contextmanager
    def answer(
        self, method: str, headers: Mapping[str, str], deadline: float, *, follow: bool = True
    ) -> Iterator[Streamed]:
        """
        Send a request, follow its redirects, and give the answer that is none.

        :param method: HTTP method
        :param headers: beside those that every request has
        :param deadline: seconds for each request, its body included
        :param follow: False gives the first answer, a redirect too
        :raises TikTokMediaError: a worker must not go where it is redirected, or is redirected too often
        :raises TikTokTransportError: there was no answer, or it broke off
        """
        for _ in range(MAX_REDIRECTS + 1):
            with self._one(method, headers, deadline) as answer:
                if answer.status not in _REDIRECTS or not follow:
                    yield answer
                    return
                location = answer.headers.get("location", "")
            if not location:
                raise TikTokMediaError(f"{self.place.name} redirects to nowhere (HTTP {answer.status}).")
            self._move(self._located(location, self.place))
        raise TikTokMediaError(
            f"{self.start.name} redirects more than {MAX_REDIRECTS} times. Give the URL it ends at."
        )

    def _move(self, place: Place) -> None:
        if (
            place.host != self.place.host
        ):  # a kept connection was proven to be the other name's, not this one's
            self._transport.close()
            self._transport = self._transports()
        self.place = place

    @contextmanager
    def _one(self, method: str, headers: Mapping[str, str], deadline: float) -> Iterator[Streamed]:
        with ExitStack() as stack:
            yield self._connected(stack, method, headers, deadline)

    def _connected(
        self, stack: ExitStack, method: str, headers: Mapping[str, str], deadline: float
    ) -> Streamed:
        """Send to the first address that takes the connection."""
        whole = {**_HEADERS, "Host": self.place.host_header, **headers}
        routes = self.place.routes()
        for url, sni in routes:
            request = Request(
                self.place.name, method, url, whole, deadline=deadline, idle=IDLE_SECONDS, sni=sni
            )
            try:
                return stack.enter_context(self._transport.stream(request))
            except TikTokNothingSentError:
                if url == routes[-1][0]:
                    raise
        raise TikTokMediaError(f"{self.place.name}: its host has no address.")

    def back_to_start(self) -> bool:
        """Forget where redirects led, since such addresses expire; tell whether that is a change."""
        moved = self.place is not self.start
        if moved:
            self._move(self.start)
        return moved

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
