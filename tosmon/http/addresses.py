"""Resolve a name, check the addresses, connect to a checked one.

A page to fetch is named by strangers (declarations, redirects, hooks), and the machine we run on can reach more than
the public network. The check stands where the socket is opened, on the very address it is opened to: a name that
answers differently the second time (DNS rebinding) and a URL that two parsers read differently gain nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from tosmon.errors import FetchError, FetchProblem

Address = IPv4Address | IPv6Address

# `is_global` follows IANA's registries, but each of these reaches, or can carry one to, a machine that is not public.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible: deprecated, carries an IPv4 address
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2002::/16",  # 6to4: carries an IPv4 address
        "64:ff9b:1::/48",  # NAT64 for local use
        "fec0::/10",  # site-local, deprecated
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public network, as far as its number tells."""
    try:
        return _is_public(ip_address(address.partition("%")[0]))
    except ValueError:
        return False


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        # Behind a DNS64 (mobile networks) every IPv4-only platform answers like this.
        if address in _NAT64:
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(url: str, host: str, port: int) -> list[str]:
    """All IP addresses of a name, in the order to try them. Raises FetchError if there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A label over 63 characters or an empty one is a UnicodeError of the idna codec.
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a valid name"
        raise FetchError(url, f"cannot resolve {host}: {reason}", FetchProblem.DNS) from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def checked(url: str, host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a name that may be connected to. Raises FetchError if there is none."""
    addresses = resolve(url, host, port)
    if allow_private:
        return addresses
    public = [address for address in addresses if is_public(address)]
    if not public:
        raise FetchError(
            url,
            f"{host} is {addresses[0]}, which is no public address; set politeness.allow_private_addresses "
            "if tosmon may fetch from your own network",
            FetchProblem.FORBIDDEN_ADDRESS,
            transient=False,
        )
    return public


def connect(url: str, addresses: list[str], port: int, timeout: float, make: type[socket.socket]) -> socket.socket:
    """A connection to the first address that answers; `timeout` seconds for all of them together."""
    deadline = time.monotonic() + timeout
    failure: OSError = OSError("no address")
    for address, left in _shares(addresses, deadline):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = make(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((address, port))
            return sock
        except OSError as error:
            sock.close()
            failure = error
    if isinstance(failure, TimeoutError):
        raise FetchError(url, f"no connection within {timeout:g} s", FetchProblem.TIMEOUT) from failure
    reason = failure.strerror or str(failure)
    raise FetchError(url, f"no connection: {reason}", FetchProblem.CONNECTION) from failure


def _shares(addresses: list[str], deadline: float) -> Iterator[tuple[str, float]]:
    """Each address with its share of the time left, so that a dead first one (IPv6 without a route) leaves some."""
    for index, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        yield address, left / (len(addresses) - index)
