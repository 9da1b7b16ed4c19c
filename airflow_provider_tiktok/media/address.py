"""
Where a media URL may lead a worker.

A DAG may take URLs from people who must not reach what a worker reaches: a URL is no way to this machine, to
its neighbours on the link, or to the service that hands out the cloud's credentials. Private networks are
allowed: media servers live there. A name is looked up once, *all* its addresses are judged, and the
connection goes to an address that was judged, so that a second look-up cannot answer differently (DNS
rebinding).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import getproxies

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Gives a host's addresses; raises OSError.
Resolver = Callable[[str, int], Iterable[str]]

_LOOPBACK = "this machine"
_METADATA = "a cloud's metadata service"

#: What a worker must not be led to. The first row that matches speaks.
_REFUSED = [
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("127.0.0.0/8", _LOOPBACK),
        ("::1/128", _LOOPBACK),
        ("169.254.169.254/32", _METADATA),
        ("100.100.100.200/32", _METADATA),  # Alibaba
        ("192.0.0.192/32", _METADATA),  # Oracle
        ("168.63.129.16/32", _METADATA),  # Azure
        ("fd00:ec2::/32", _METADATA),  # Amazon: ::254, and ::23 for containers
        ("fd20:ce::254/128", _METADATA),  # Google
        ("fd00:c1::a9fe:a9fe/128", _METADATA),  # Oracle
        ("fd00:42::42/128", _METADATA),  # Scaleway
        ("169.254.0.0/16", "the worker's own network link"),
        ("fe80::/10", "the worker's own network link"),
        ("0.0.0.0/8", "no particular machine"),
        ("::/128", "no particular machine"),
        ("224.0.0.0/4", "many machines at once"),
        ("ff00::/8", "many machines at once"),
        ("240.0.0.0/4", "a reserved or broadcast address"),
    )
]

#: IPv6 networks whose last 32 bits are an IPv4 address that somebody on the way unwraps.
_WRAPPERS = [
    ipaddress.IPv6Network(network)
    for network in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
]
_NOT_WRAPPED = 2  # ::, ::1 are themselves

#: Two readers of such a URL may disagree about its host.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f]|^[^?#]*\\")


def refusal(address: str, *, allow_loopback: bool) -> str:
    """
    Say why a worker must not fetch from an address.

    :param address: IPv4 or IPv6, as text
    :param allow_loopback: whether this machine itself is allowed
    :return: what the address is; empty = it may be fetched from
    """
    for each in _meant(ipaddress.ip_address(address.partition("%")[0])):
        for network, reason in _REFUSED:
            if each in network:
                if reason is _LOOPBACK and allow_loopback:
                    break
                return reason
    return ""


def _meant(address: Address) -> list[Address]:
    """Give an address and what is wrapped in it."""
    found = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _WRAPPERS) and int(address) >= _NOT_WRAPPED:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour:
            found.append(address.sixtofour)
        if address.teredo:
            found.extend(address.teredo)
    return found


def resolve(host: str, port: int) -> list[str]:
    """
    Look a host up.

    :param host: a name or an address
    :param port: where it will be connected to
    :raises OSError: it cannot be looked up
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True)
class Place:
    """
    A URL that a worker may fetch, and how it gets there.

    :param url: the whole of it, with a query that may be a secret
    :param name: without the query: what may be shown
    :param host: its name, in ASCII
    :param addresses: judged; one of them is connected to. None = by name, because a proxy does the looking up
    """

    url: str = field(repr=False)
    name: str
    host: str
    addresses: tuple[str, ...]

    def routes(self) -> list[tuple[str, str]]:
        """Give a URL for each address, with the name that its certificate has to have."""
        if not self.addresses:
            return [(self.url, "")]
        parts = urlsplit(self.url)
        sni = "" if _is_address(self.host) or parts.scheme == "http" else self.host
        return [
            (parts._replace(netloc=_netloc(address, parts.port)).geturl(), sni) for address in self.addresses
        ]

    @property
    def host_header(self) -> str:
        """What the ``Host`` header has to be."""
        return _netloc(self.host, urlsplit(self.url).port)


def locate(
    url: str, *, allow_loopback: bool, resolver: Resolver = resolve, before: Place | None = None
) -> Place:
    """
    Judge a URL before anything is sent to it.

    With a proxy in the environment (``HTTPS_PROXY``, ``ALL_PROXY``) the host is named, not pinned: it is the
    proxy that looks names up and decides what may be reached, and a worker behind one often cannot look up
    outside names at all. What the worker can look up is judged all the same; only a name that ``NO_PROXY``
    lists is then looked up a second time by the connection itself.

    :param url: absolute; with ``before``, also relative to that
    :param allow_loopback: whether this machine is allowed, and plain http to it
    :param resolver: gives a host's addresses
    :param before: the place that redirected here
    :raises TikTokMediaError: a worker must not go there
    :raises TikTokMediaReadError: the name could not be looked up this time
    """
    parts, host, port = _parsed(urljoin(before.url, url) if before else url)
    ascii_url = parts._replace(netloc=_netloc(host, port), fragment="").geturl()
    name = f"{parts.scheme}://{_netloc(host, port)}{parts.path}"
    if before and before.url.startswith("https:") and parts.scheme != "https":
        raise TikTokMediaError(f"{before.name} redirects to {name}, which is not https: refused.")
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_loopback):
        raise TikTokMediaError(f"{name}: a media URL has to be https, so that nobody changes it on the way.")
    proxied = _has_proxy(parts.scheme)
    found = _looked_up(name, host, port or {"https": 443}.get(parts.scheme, 80), resolver, proxied=proxied)
    for address in found:
        if reason := refusal(address, allow_loopback=allow_loopback):
            raise TikTokMediaError(
                f"{name}: {host} is {address}, which is {reason}; a worker does not fetch media from there."
            )
    if parts.scheme == "http" and not _only_here(found):
        raise TikTokMediaError(f"{name}: a media URL has to be https; plain http is for this machine only.")
    return Place(ascii_url, name, host, () if proxied else tuple(found))


def _only_here(addresses: list[str]) -> bool:
    """Tell whether addresses, judged with loopback allowed, are all loopback."""
    return bool(addresses) and all(refusal(each, allow_loopback=False) for each in addresses)


def _parsed(url: str) -> tuple[SplitResult, str, int | None]:
    shown = url.partition("?")[0].rpartition("@")[2]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if _is_address(host) else host.encode("idna").decode()
    except (ValueError, UnicodeError):
        raise TikTokMediaError(f"The media URL {shown!r} cannot be understood.") from None
    if _AMBIGUOUS.search(url) or not host or re.search(r"[\s%]", parts.netloc.rpartition("@")[2]):
        raise TikTokMediaError(f"The media URL {shown!r} has no host, or characters that no URL may have.")
    if "@" in parts.netloc:
        raise TikTokMediaError(
            f"The media URL of {host} holds a user name or password, which would end in logs. "
            "Use a signed URL or an s3:// URI with a Connection."
        )
    return parts, host, port


def _looked_up(name: str, host: str, port: int, resolver: Resolver, *, proxied: bool) -> list[str]:
    try:
        return list(resolver(host, port))
    except (OSError, UnicodeError) as error:
        if proxied:
            return []
        reason = getattr(error, "strerror", None) or type(error).__name__
        if getattr(error, "errno", None) == socket.EAI_AGAIN:
            raise TikTokMediaReadError(f"{name}: {host} could not be looked up ({reason}).") from None
        raise TikTokMediaError(f"{name}: there is no host {host} ({reason}). Check the URL.") from None


def _has_proxy(scheme: str) -> bool:
    """Tell whether httpx would use a proxy for some host; it reads the same variables."""
    proxies = getproxies()
    everywhere = "*" in [each.strip() for each in proxies.get("no", "").split(",")]
    return bool(proxies.get(scheme) or proxies.get("all")) and not everywhere


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _netloc(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"
