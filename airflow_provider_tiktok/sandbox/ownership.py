"""Whether the app has verified a URL's domain or prefix (Media transfer guide, 2026-09-11)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

#: In ``verified_prefixes``: any server on this machine, on any port. The sandbox's own invention.
LOOPBACK = "loopback"


def is_ip(host: str) -> bool:
    """
    Whether a host is an address and not a name.

    :param host: without brackets.
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """
    Whether a host is this machine.

    :param host: without brackets.
    """
    return host == "localhost" or (is_ip(host) and ip_address(host).is_loopback)


def verified(url: str, properties: Iterable[str]) -> bool:
    """
    Whether one of the app's URL properties covers this URL.

    A domain covers itself and its subdomains; a prefix is compared exactly and ends with ``/``.

    :param url: what is to be pulled.
    :param properties: domains, prefixes, or :data:`LOOPBACK`.
    """
    host = urlsplit(url).hostname or ""

    def covers(each: str) -> bool:
        if each == LOOPBACK:
            return is_loopback(host)
        if "://" in each:
            return url.startswith(each if each.endswith("/") else f"{each}/")
        return host == each.lower() or host.endswith(f".{each.lower()}")

    return any(covers(each) for each in properties)
