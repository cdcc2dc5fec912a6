"""Which network addresses may be connected to: public ones, and this machine's own only where tests ask for it.

A name is resolved once for each connection, every answer is checked, and the connection goes to a checked answer:
a name server that answers differently the second time (DNS rebinding) is not asked a second time.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Literal

from moviestrip.config import FetchSettings

PrivateAddresses = Literal["refuse", "loopback"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInformation = tuple[int, int, int, str, tuple[Any, ...]]

# RFC 6052: how a network without IPv4 reaches IPv4 hosts; the last 32 bits are theirs.
TRANSLATED_IPV4 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddressError(OSError):
    """A host lies where nothing is fetched from; an OSError, so that libraries treat it as a failed connection."""


def is_allowed(address: str, private_addresses: PrivateAddresses) -> bool:
    """Whether a numeric address may be connected to."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if private_addresses == "loopback" and found.is_loopback:
        return True
    return all(_is_public(each) for each in _meant(found))


def _meant(address: Address) -> list[Address]:
    """The address itself, or, where it stands for an IPv4 address, that one."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address in TRANSLATED_IPV4:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]  # of the address itself versions of Python think differently
    return [address]


def _is_public(address: Address) -> bool:
    # Python counts multicast, and IPv6 that no registry gives out (any longer), as global.
    retired = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or retired)


def require_allowed(host: str, answers: list[AddressInformation], private_addresses: PrivateAddresses) -> None:
    """Refuse a host of whose addresses any lies in a private network: the others may be bait."""
    for answer in answers:
        address = str(answer[4][0])
        if not is_allowed(address, private_addresses):
            found = address if host == address else f"{host} lies at {address}, which"
            raise RefusedAddressError(f"refused address: {found} is not a public address")


def resolve(host: str, port: int, private_addresses: PrivateAddresses) -> list[AddressInformation]:
    """The checked addresses of a host, as socket.getaddrinfo gives them."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    require_allowed(host, answers, private_addresses)  # type: ignore[arg-type]
    return answers  # type: ignore[return-value]


@contextlib.contextmanager
def guarded_resolver(settings: FetchSettings) -> Iterator[None]:
    """Within, every library of this process that asks `socket.getaddrinfo` is refused what is not allowed.

    For a program of its own, such as one around yt-dlp: it changes the process, not a thread.
    """
    unguarded = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        answers = unguarded(host, port, *arguments, **options)
        require_allowed(str(host), answers, settings.private_addresses)  # type: ignore[arg-type]
        return answers

    socket.getaddrinfo = getaddrinfo
    try:
        yield
    finally:
        socket.getaddrinfo = unguarded
