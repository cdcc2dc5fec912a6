"""Only public addresses are connected to, however they are written."""

import socket
from collections.abc import Callable

import pytest

from moviestrip.config import FetchSettings
from moviestrip.download.addresses import RefusedAddressError, guarded_resolver, is_allowed, resolve

PRIVATE = """
0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.1.2.3 169.254.169.254 172.16.0.1 172.31.255.255 192.0.2.1 192.168.1.1
198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255
:: ::1 ::10.0.0.1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b:1::1
100::1 2001:: 2001:db8::1 2002:a00:1:: 2002:7f00:1:: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
""".split()  # fmt: skip
PUBLIC = "1.1.1.1 8.8.8.8 172.32.0.1 2606:4700::1111 64:ff9b::808:808 2002:808:808::1 ::ffff:8.8.8.8".split()


@pytest.mark.faults
@pytest.mark.parametrize("address", PRIVATE)
def test_fault_11_a_private_address_is_refused(address: str):
    assert not is_allowed(address, "refuse")


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("private_addresses", ["refuse", "loopback"])
def test_a_public_address_is_allowed(address: str, private_addresses):
    assert is_allowed(address, private_addresses)


def test_loopback_allows_this_machine_and_nothing_else():
    allowed = [address for address in PRIVATE if is_allowed(address, "loopback")]
    assert set(allowed) - {"::ffff:127.0.0.1"} == {"127.0.0.1", "127.1.2.3", "::1"}


@pytest.mark.faults
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "::1"])
def test_fault_11_a_host_is_refused_however_it_is_written(host: str):
    with pytest.raises(RefusedAddressError, match="not a public address"):
        resolve(host, 80, "refuse")


@pytest.mark.faults
def test_fault_11_one_private_answer_among_public_ones_refuses_the_host(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "getaddrinfo", answering("8.8.8.8", "10.1.2.3"))
    with pytest.raises(RefusedAddressError, match=r"bait\.example lies at 10\.1\.2\.3"):
        resolve("bait.example", 80, "refuse")


@pytest.mark.faults
def test_fault_11_a_library_is_refused_inside_the_guard_and_served_after_it():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with guarded_resolver(FetchSettings()), pytest.raises(RefusedAddressError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with guarded_resolver(FetchSettings(private_addresses="loopback")):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def answering(*addresses: str) -> Callable:
    """A name server's answers, whatever is asked."""

    def getaddrinfo(host, port, *arguments, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo
