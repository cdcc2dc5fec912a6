"""Every hop of every request is checked: scheme, port, terms, robots.txt, address, certificate."""

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from moviestrip.download.terms import site_of
from tests.download.server import MisbehavingServer, serving
from tests.download.test_fetch import fetched, fetched_one

ELSEWHERE = [
    ("http://169.254.169.254/latest/meta-data/a.mp4", "169.254.169.254 is not a public address"),
    ("http://10.0.0.1/a.mp4", "10.0.0.1 is not a public address"),
    ("http://192.168.1.1:8080/a.mp4", "192.168.1.1 is not a public address"),
    ("http://0.0.0.0/a.mp4", "0.0.0.0 is not a public address"),
    ("http://167772161/a.mp4", "167772161 lies at 10.0.0.1"),
    ("http://0xa000001/a.mp4", "0xa000001 lies at 10.0.0.1"),
    ("http://012.1/a.mp4", "012.1 lies at 10.0.0.1"),
    ("http://[::ffff:10.0.0.1]/a.mp4", "is not a public address"),
    ("http://[fe80::1]/a.mp4", "is not a public address"),
    ("http://[64:ff9b::a9fe:a9fe]/a.mp4", "is not a public address"),
    ("file:///etc/passwd.mp4", "'file:' is not fetched"),
    ("ftp://127.0.0.1/a.mp4", "'ftp:' is not fetched"),
    ("gopher://127.0.0.1/a.mp4", "'gopher:' is not fetched"),
    ("data:video/mp4;base64,AAAA.mp4", "'data:' is not fetched"),
    ("http://127.0.0.1:22/a.mp4", "port 22 is not one of the web's"),
    ("http://me:secret@127.0.0.1/a.mp4", "a user name or a password"),
    ("http://www.youtube.com/a.mp4", "fetch.terms_accepted: [youtube.com]"),
]


@pytest.mark.faults
@pytest.mark.parametrize(("url", "said"), ELSEWHERE)
def test_fault_11_what_must_not_be_connected_to_is_refused(tmp_path: Path, url: str, said: str):
    found = fetched_one(url, tmp_path)
    assert found.status == "refused" and said in found.reason


@pytest.mark.faults
@pytest.mark.parametrize(("url", "said"), ELSEWHERE)
def test_fault_11_a_redirect_to_it_is_refused(server: MisbehavingServer, tmp_path: Path, url: str, said: str):
    found = fetched_one(server.url(f"/redirect/a.mp4?to={quote(url)}"), tmp_path)
    assert found.status == "refused" and said in found.reason
    assert server.counts["/redirect/a.mp4"] == 1


@pytest.mark.faults
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_fault_11_this_machine_is_refused_unless_the_configuration_allows_it(
    server: MisbehavingServer, tmp_path: Path, host: str
):
    found = fetched_one(server.url("/ok/1.mp4", host), tmp_path, private_addresses="refuse")
    assert found.status == "refused" and "not a public address" in found.reason
    assert not server.asked


@pytest.mark.faults
def test_fault_11_robots_txt_is_no_way_into_a_private_network(server: MisbehavingServer, tmp_path: Path):
    server.robots = (302, "http://169.254.169.254/robots.txt")
    found = fetched_one(server.url("/ok/1.mp4"), tmp_path)
    assert found.status == "refused" and "169.254.169.254" in found.reason


class NameServer:
    """Answers `*.example` with the given addresses in turn, the last for ever; numbers with themselves."""

    def __init__(self, *addresses: str):
        self.answers = list(addresses)
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: int, *arguments, **options):
        if not host.endswith(".example"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.gethostbyname(host), port))]
        self.asked.append(host)
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NameServer]:
    def install(*addresses: str) -> NameServer:
        server = NameServer(*addresses)
        monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
        return server

    return install


@pytest.mark.faults
def test_fault_11_the_address_that_was_checked_is_the_one_connected_to(
    server: MisbehavingServer, tmp_path: Path, names: Callable[..., NameServer]
):
    """DNS rebinding: whoever resolved a second time, to connect, would be led to 10.0.0.1."""
    resolver = names("127.0.0.1", "10.0.0.1")
    found = fetched_one(server.url("/ok/1.mp4", "rebinding.example"), tmp_path, robots="ignore")
    assert found.status == "ok" and resolver.asked == ["rebinding.example"]
    assert server.asked[0][1]["Host"] == f"rebinding.example:{server.server_port}"


@pytest.mark.faults
def test_fault_11_every_connection_is_checked_anew(
    server: MisbehavingServer, tmp_path: Path, names: Callable[..., NameServer]
):
    """DNS rebinding between robots.txt and the video."""
    resolver = names("127.0.0.1", "10.0.0.1")
    found = fetched_one(server.url("/ok/1.mp4", "rebinding.example"), tmp_path)
    assert found.status == "refused" and "rebinding.example lies at 10.0.0.1" in found.reason
    assert [path for path, _ in server.asked] == ["/robots.txt"] and len(resolver.asked) == 2


def test_redirects_are_followed_to_the_end(server: MisbehavingServer, tmp_path: Path):
    there = server.url(f"/redirect/b.mp4?to={quote('/ok/1.mp4')}", "localhost")
    found = fetched_one(server.url(f"/redirect/a.mp4?to={quote(there)}"), tmp_path)
    assert found.status == "ok" and (tmp_path / found.file).read_bytes() == server.body("/ok/1.mp4")


def test_a_redirect_may_be_written_in_any_script(server: MisbehavingServer, tmp_path: Path):
    found = fetched_one(server.url(f"/redirect/a.mp4?to={quote('/ok/é 日本.mp4')}"), tmp_path)
    assert found.status == "ok" and server.asked[-1][0] == quote("/ok/é 日本.mp4")


def test_redirects_without_end_are_not(server: MisbehavingServer, tmp_path: Path):
    found = fetched_one(server.url("/redirect-loop/1.mp4"), tmp_path)
    assert (found.status, found.reason) == ("permanent", "more than 10 redirects")
    assert server.counts["/redirect-loop/1.mp4"] == 11


def test_robots_txt_is_obeyed_and_read_once(server: MisbehavingServer, tmp_path: Path):
    server.robots = (200, "User-agent: *\nDisallow: /ok/private\n\nUser-agent: moviestrip\nDisallow: /ok/closed\n")
    urls = [server.url(path) for path in ("/ok/closed/1.mp4", "/ok/private/2.mp4", "/ok/open/3.mp4")]
    found = fetched(urls, tmp_path)
    assert [each.status for each in found] == ["refused", "ok", "ok"], "the group that names us is ours"
    assert "/robots.txt disallows it (fetch.robots)" in found[0].reason
    fetched([server.url("/ok/open/4.mp4")], tmp_path)
    assert server.counts["/robots.txt"] == 1
    assert fetched_one(urls[0], tmp_path, retry=True, robots="ignore").status == "ok"


def test_robots_txt_is_asked_of_every_host_that_redirects_lead_to(server: MisbehavingServer, tmp_path: Path):
    server.robots = (200, "User-agent: *\nDisallow: /ok/closed\n")
    there = quote(server.url("/ok/closed/1.mp4", "localhost"))
    found = fetched_one(server.url(f"/redirect/a.mp4?to={there}"), tmp_path)
    assert found.status == "refused" and "http://localhost" in found.reason
    assert server.counts["/robots.txt"] == 2


@pytest.mark.parametrize(("status", "outcome"), [(403, "ok"), (404, "ok"), (429, "transient"), (500, "transient")])
def test_a_robots_txt_that_cannot_be_had(server: MisbehavingServer, tmp_path: Path, status: int, outcome: str):
    server.robots = (status, "User-agent: *\nDisallow: /\n")
    assert fetched_one(server.url("/ok/1.mp4"), tmp_path, attempts=2).status == outcome


def test_a_crawl_delay_beyond_patience_is_refused(server: MisbehavingServer, tmp_path: Path):
    server.robots = (200, "User-agent: *\nCrawl-delay: 600\n")
    found = fetched_one(server.url("/ok/1.mp4"), tmp_path)
    assert found.status == "refused" and "600 s between requests" in found.reason


def test_an_endless_robots_txt_is_cut(server: MisbehavingServer, tmp_path: Path):
    server.robots = (200, "User-agent: *\nDisallow: /ok/closed\n" + "# nothing\n" * 300_000)
    found = fetched([server.url("/ok/closed/1.mp4"), server.url("/ok/2.mp4")], tmp_path)
    assert [each.status for each in found] == ["refused", "ok"]
    assert sum(path.stat().st_size for path in (tmp_path / "robots").iterdir()) < 600_000


@pytest.mark.parametrize(
    ("host", "site"),
    [("youtube.com", "youtube.com"), ("m.youtube.com", "youtube.com"), ("youtu.be", "youtube.com"),
     ("twitter.com", "x.com"), ("notyoutube.com", None), ("youtube.com.example", None), ("fox.com", None),
     ("example.org", None)],
)  # fmt: skip
def test_sites_with_terms_are_known_by_all_their_names(host: str, site: str | None):
    assert site_of(host) == site


@pytest.mark.parametrize("accepted", ["youtube.com", "youtu.be"])
def test_accepted_terms_lead_to_the_site(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: str
):
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.server_port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: here)
    url = server.url("/ok/1.mp4", "www.youtube.com")
    assert fetched_one(url, tmp_path).status == "refused" and not server.asked
    assert fetched_one(url, tmp_path, retry=True, terms_accepted=[accepted]).status == "ok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that only `localhost` may show, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def test_a_certificate_is_checked_for_the_name_that_was_asked(
    certificate: tuple[Path, Path], served_video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda _, name, __: named.append(name)
    with serving(served_video, context) as server:
        untrusted = fetched_one(server.url("/ok/1.mp4", "localhost"), tmp_path)
        assert untrusted.status == "permanent" and "its certificate: self-signed" in untrusted.reason
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        found = fetched_one(server.url("/ok/1.mp4", "localhost"), tmp_path, retry=True)
        assert found.status == "ok" and (tmp_path / found.file).read_bytes() == server.body("/ok/1.mp4")
        other = fetched_one(server.url("/ok/2.mp4", "127.0.0.1"), tmp_path)
        assert other.status == "permanent" and "IP address mismatch" in other.reason
    assert set(named) == {"localhost", None}
