"""One request to one checked address. No proxy is used: behind one, nobody here sees what address is connected to."""

import contextlib
import email.utils
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, urlsplit

from moviestrip import __version__
from moviestrip.config import FetchSettings
from moviestrip.download.addresses import AddressInformation, RefusedAddressError, resolve
from moviestrip.download.hosts import NextRunError
from moviestrip.errors import ConfigError, QuarantineError, RetryableError

PIECE_BYTES = 2**18
ADDRESSES_TRIED = 4  # of a host with many
PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")  # a name, or an IPv6 address
KEPT_IN_PATHS = "/%:=&?~+!$,;'@()*[]"  # what an address may hold as it stands
BUSY_STATUSES = {408, 425, 429}  # besides 5xx


class BusyError(RetryableError):
    """A host that is overloaded."""


class UnreachableError(RetryableError):
    """No connection to the host came about, or it keeps its robots.txt to itself."""


@dataclass(frozen=True)
class Place:
    """An address of which everything that is sent or connected to has been checked for form."""

    scheme: str
    host: str
    port: int
    target: str  # path and query, as sent

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


def place_of(url: str) -> Place:
    """Refuses what is not plain http(s) to a web port, and what is no address at all."""
    try:
        url.encode()
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if ":" in host else host.encode("idna").decode()
    except ValueError as error:
        raise QuarantineError("permanent", f"not an address ({error})") from error
    if parts.scheme not in PORTS:
        raise QuarantineError("refused", f"the scheme '{parts.scheme}:' is not fetched, only http and https")
    if parts.username is not None or parts.password is not None:
        raise QuarantineError("refused", "the address carries a user name or a password")
    if not HOST.fullmatch(host):
        raise QuarantineError("permanent", "the address names no host")
    port = PORTS[parts.scheme] if port is None else port
    if port not in PORTS.values() and port < 1024:
        raise QuarantineError("refused", f"port {port} is not one of the web's")
    target = quote(parts.path or "/", safe=KEPT_IN_PATHS)
    return Place(
        parts.scheme, host, port, target + (f"?{quote(parts.query, safe=KEPT_IN_PATHS)}" if parts.query else "")
    )


def user_agent(contact: str) -> str:
    """What hosts read about who asks."""
    if not (contact.isascii() and contact.isprintable()) and contact:
        raise ConfigError(f"fetch.contact: {contact!r} cannot be sent: use an e-mail address or the address of a page")
    return f"moviestrip/{__version__}" + (f" (+{contact})" if contact else "")


def retry_after_s(value: str | None) -> float:
    """Seconds that a Retry-After header asks for, whether it counts them or names a date; 0 without one."""
    if value is None:
        return 0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0)
    except ValueError:
        return 0  # neither of the two forms: as good as none


class Answer:
    """Status and headers of a response whose body is still to be read."""

    def __init__(self, place: Place, response: http.client.HTTPResponse, overdue: threading.Event):
        self.place = place
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._overdue = overdue

    @property
    def said(self) -> str:
        return f"HTTP {self.status} {self._response.reason}".strip()

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes; a body cut short simply ends, unless it came in chunks."""
        while True:
            with _failures_named(self.place, self._overdue):
                piece = self._response.read1(PIECE_BYTES)
            if not piece:
                return
            yield piece


class Connections:
    """Opens requests under the settings' limits."""

    def __init__(self, settings: FetchSettings):
        self._settings = settings
        self._headers = {"User-Agent": user_agent(settings.contact), "Accept": "*/*", "Accept-Encoding": "identity"}

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    @contextlib.contextmanager
    def opened(self, place: Place, headers: Mapping[str, str], deadline_s: float) -> Iterator[Answer]:
        """Ask for `place`; at `deadline_s` (of the monotonic clock) the connection ends, whatever it is doing."""
        connected = self._connected(place)
        with contextlib.closing(connected), _ended_at(connected, deadline_s) as overdue:
            with _failures_named(place, overdue):
                if isinstance(connected, ssl.SSLSocket):
                    connected.do_handshake()
                request = http.client.HTTPConnection(place.host, place.port)
                request.default_port = PORTS[place.scheme]  # leaves :443 out of Host
                request.sock = connected
                request.request("GET", place.target, headers={**self._headers, **headers, "Connection": "close"})
                response = request.getresponse()
            with contextlib.closing(response):
                yield Answer(place, response, overdue)

    def _connected(self, place: Place) -> socket.socket:
        with _failures_named(place, threading.Event(), UnreachableError):
            answers = resolve(place.host, place.port, self._settings.private_addresses)
            connected = _first_connected(answers[:ADDRESSES_TRIED], self._settings.timeout_s)
        if place.scheme == "http":
            return connected
        return self._tls.wrap_socket(connected, server_hostname=place.host, do_handshake_on_connect=False)


def _first_connected(answers: list[AddressInformation], timeout_s: float) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in answers:
        attempt = socket.socket(family, kind, protocol)
        attempt.settimeout(timeout_s)
        try:
            attempt.connect(address)
            return attempt
        except OSError as error:
            attempt.close()
            failure = error
    raise failure


@contextlib.contextmanager
def _ended_at(connected: socket.socket, deadline_s: float) -> Iterator[threading.Event]:
    """A time-out for each read does not end a host that sends a byte now and then."""
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # an SSLSocket's own would go on in plain text

    timer = threading.Timer(max(deadline_s - time.monotonic(), 0), end)
    timer.daemon = True
    timer.start()
    try:
        yield overdue
    finally:
        timer.cancel()


@contextlib.contextmanager
def _failures_named(
    place: Place, overdue: threading.Event, otherwise: type[RetryableError] = RetryableError
) -> Iterator[None]:
    """What the network did, as this package's errors."""
    try:
        yield
    except RefusedAddressError as error:
        raise QuarantineError("refused", str(error)) from error
    except ssl.SSLCertVerificationError as error:
        raise QuarantineError("permanent", f"{place.host}: its certificate: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        if not overdue.is_set():
            said = str(error) or type(error).__name__
            raise otherwise(f"{place.host}: {said}") from error
    except UnicodeError as error:  # of a name that getaddrinfo cannot encode
        raise QuarantineError("permanent", f"{place.host}: not an address ({error})") from error
    if overdue.is_set():
        raise NextRunError(f"{place.host}: slower than fetch.transfer_timeout_s")
