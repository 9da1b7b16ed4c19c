"""Where a URL may lead a worker: however a forbidden address is written, it is refused; names are pinned."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_tiktok.exceptions import TikTokMediaError, TikTokMediaReadError
from airflow_provider_tiktok.media.address import locate, refusal

PUBLIC = "93.184.216.34"
FORBIDDEN_V4 = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
]
FORBIDDEN_V6 = [
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
]
ALLOWED = [
    PUBLIC,
    "10.0.0.5",
    "172.16.1.1",
    "192.168.1.20",
    "2606:2800:220:1::1",
    "fd12:3456::1",
    "64:ff9b::5db8:d822",
]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _wrapped(address: str) -> list[str]:
    four = int(ipaddress.IPv4Address(address))
    bases = ("::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::")
    found = [str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) + four)) for base in bases]
    found.append(str(ipaddress.IPv6Address((0x2002 << 112) + (four << 80))))
    found.append(str(ipaddress.IPv6Address((0x20010000 << 96) + (0xFFFFFFFF ^ four))))  # Teredo
    if four > 1:
        found.append(str(ipaddress.IPv6Address(four)))
    return found


@pytest.mark.parametrize("address", [*FORBIDDEN_V4, *FORBIDDEN_V6])
def test_forbidden(address: str) -> None:
    assert refusal(address, allow_loopback=False)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_and_private_networks_are_allowed(address: str) -> None:
    assert refusal(address, allow_loopback=False) == ""


@given(st.sampled_from(FORBIDDEN_V4), st.data())
def test_no_wrapping_hides_a_forbidden_address(address: str, data) -> None:
    assert refusal(data.draw(st.sampled_from(_wrapped(address))), allow_loopback=False)


@given(st.ip_addresses(v=4))
def test_wrapped_and_bare_are_judged_alike(address: ipaddress.IPv4Address) -> None:
    bare = refusal(str(address), allow_loopback=False)
    assert refusal(f"::ffff:{address}", allow_loopback=False) == bare


@given(st.ip_addresses())
def test_allowing_loopback_allows_loopback_and_nothing_else(address) -> None:
    if refusal(str(address), allow_loopback=True) != refusal(str(address), allow_loopback=False):
        assert "127." in str(address) or address.is_loopback or int(address) & 0xFF000000 == 0x7F000000


@given(st.ip_addresses(v=4))
def test_what_python_itself_calls_dangerous_is_refused(address: ipaddress.IPv4Address) -> None:
    dangerous = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    assert not dangerous or refusal(str(address), allow_loopback=False)


def _at(*addresses: str):
    return lambda host, port: addresses


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(TikTokMediaError, match="metadata service"):
        locate("https://cdn.example/x", allow_loopback=False, resolver=_at(PUBLIC, "169.254.169.254"))


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/x.mp4",
        "https://0x7f.1/x.mp4",
        "https://127.1/x.mp4",
        "https://localhost/x.mp4",
        "https://[::ffff:127.0.0.1]/x.mp4",
        "https://[::1]/x.mp4",
        "https://0/x.mp4",
        "https://\uff11\uff12\uff17.0.0.1/x.mp4",
    ],
)
def test_every_way_of_writing_loopback_is_refused(url: str) -> None:
    """With the system's own look-up, which understands more than Python's parser."""
    with pytest.raises(TikTokMediaError):
        locate(url, allow_loopback=False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://cdn.example/x", "has to be https"),
        ("ftp://cdn.example/x", "has to be https"),
        ("https://user:hunter2@cdn.example/x?hunter2", "user name or password"),
        ("https://hunter2@cdn.example/x", "user name or password"),
        ("https:///x?hunter2", "no host"),
        ("https://cdn.example\\@evil.example/x?hunter2", "characters that no URL may have|user name"),
        ("https://cdn.example:99999/x?hunter2", "cannot be understood"),
        ("https://cdn exa.mple/x?hunter2", "."),
        ("https://cdn.example/\r\nX: y?hunter2", "."),
        ("https://[::1/x?hunter2", "cannot be understood"),
        ("https://" + "a" * 300 + ".example/x?hunter2", "."),
        ("https://cdn%2eexample/x?hunter2", "."),
    ],
)
def test_urls_that_are_refused_and_never_shown_whole(url: str, says: str) -> None:
    with pytest.raises(TikTokMediaError, match=says) as caught:
        locate(url, allow_loopback=False, resolver=_at(PUBLIC))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "address", "allowed"),
    [
        ("http://127.0.0.1:8765/x", "127.0.0.1", True),
        ("http://localhost:8765/x", "::1", True),
        ("http://media.internal/x", "10.0.0.5", False),
        ("http://cdn.example/x", PUBLIC, False),
    ],
)
def test_plain_http_is_for_a_sandbox_on_this_machine(url: str, address: str, allowed: bool) -> None:
    if allowed:
        assert locate(url, allow_loopback=True, resolver=_at(address)).addresses == (address,)
    else:
        with pytest.raises(TikTokMediaError, match="has to be https"):
            locate(url, allow_loopback=True, resolver=_at(address))


def test_the_connection_goes_to_the_judged_address_under_the_name() -> None:
    """Otherwise a second look-up could answer differently."""
    place = locate(
        "https://Cdn.Example:8443/a%20b?sig=s#f", allow_loopback=False, resolver=_at(PUBLIC, "2606::1")
    )
    assert place.routes() == [
        (f"https://{PUBLIC}:8443/a%20b?sig=s", "cdn.example"),
        ("https://[2606::1]:8443/a%20b?sig=s", "cdn.example"),
    ]
    assert place.host_header == "cdn.example:8443"
    assert "sig" not in place.name + repr(place)


def test_a_name_in_other_letters() -> None:
    place = locate("https://bücher.example/x", allow_loopback=False, resolver=_at(PUBLIC))
    assert place.host == "xn--bcher-kva.example"


def _fails(error: OSError):
    def resolver(host: str, port: int):
        raise error

    return resolver


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(TikTokMediaError, match=r"no host nowhere\.example"):
        locate("https://nowhere.example/x", allow_loopback=False,
               resolver=_fails(socket.gaierror(socket.EAI_NONAME, "Name or service not known")))  # fmt: skip


def test_a_name_server_that_is_down_is_worth_a_retry() -> None:
    with pytest.raises(TikTokMediaReadError, match="could not be looked up"):
        locate("https://cdn.example/x", allow_loopback=False,
               resolver=_fails(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")))  # fmt: skip


class TestBehindAProxy:
    """The proxy looks names up, and decides; the worker still refuses what it can see itself."""

    @pytest.fixture(autouse=True)
    def _proxy(self, _no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.internal:3128")

    def test_the_name_goes_to_the_proxy_even_if_it_cannot_be_looked_up_here(self) -> None:
        place = locate("https://cdn.example/x?a=b", allow_loopback=False, resolver=_fails(socket.gaierror()))
        assert place.routes() == [("https://cdn.example/x?a=b", "")]

    @pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1"])
    def test_what_is_forbidden_stays_forbidden(self, address: str) -> None:
        with pytest.raises(TikTokMediaError, match="does not fetch"):
            locate("https://cdn.example/x", allow_loopback=False, resolver=_at(address))

    def test_no_proxy_for_anything_is_no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_PROXY", "*")
        assert locate("https://cdn.example/x", allow_loopback=False, resolver=_at(PUBLIC)).addresses == (
            PUBLIC,
        )
