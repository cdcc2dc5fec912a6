"""A host on loopback that serves small videos and misbehaves on request: what a path begins with says how.

`/ok/7.mp4` is a sound video and no other path has the same bytes. Behaviours that pass give way to it after
`?times=N` requests (1 unless said): `/429/7.mp4?times=2&after=1`.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.video.video_files import write_video

STATUSES = ("400", "401", "403", "404", "410", "429", "451", "500", "503")
LONGEST_S = 20  # no behaviour lasts longer, whatever the client does
HTML = b"<!doctype html><html><title>Log in to continue</title><body>Not a video.</body></html>"


def small_video(folder: Path) -> bytes:
    return write_video(folder / "served.mp4", n_frames=6).read_bytes()


class MisbehavingServer(ThreadingHTTPServer):
    """Counts what it is asked; `robots` is its robots.txt as (status, text or Location)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, video: bytes, tls: ssl.SSLContext | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.video = video
        self.robots: tuple[int, str] = (404, "")
        self.pages: dict[str, tuple[str, bytes]] = {}  # by path, `/page/...`: content type and body
        self.counts: Counter[str] = Counter()
        self.asked: list[tuple[str, dict[str, str]]] = []  # path and headers, in order
        self.asked_s: list[float] = []
        self.busiest: Counter[str] = Counter()  # most requests at once, by host name; of all hosts: ''
        self.closing = threading.Event()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """`localhost`, or a name that a test's resolver leads here, is another host to a polite client."""
        return f"{self.scheme}://{host}:{self.server_port}/{path.removeprefix('/')}"

    def body(self, path: str) -> bytes:
        """The sound video of a path: a last box that players skip makes it different from all others."""
        name = path.split("?")[0].encode()
        return self.video + struct.pack(">I", 8 + len(name)) + b"free" + name

    @contextlib.contextmanager
    def counted(self, path: str, headers: dict[str, str]) -> Iterator[int]:
        host = headers.get("Host", "").rpartition(":")[0]
        with self._lock:
            self.counts[path] += 1
            self.asked.append((path, headers))
            self.asked_s.append(time.monotonic())
            for name in (host, ""):
                self._now[name] += 1
                self.busiest[name] = max(self.busiest[name], self._now[name])
            count = self.counts[path]
        try:
            yield count
        finally:
            with self._lock:
                self._now[host] -= 1
                self._now[""] -= 1

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: MisbehavingServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        parts = urlsplit(self.path)
        self.options = dict(parse_qsl(parts.query))
        self.times = int(self.options.get("times", 1))
        with self.server.counted(parts.path, dict(self.headers.items())) as self.count:
            behaviour = parts.path.split("/")[1]
            if behaviour in STATUSES:
                self.status(int(behaviour))
            else:
                getattr(self, "answer_" + behaviour.replace("-", "_").replace(".", "_"), self.answer_ok)()

    def head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, Content_Length=str(len(body)), **headers)
        self.wfile.write(body)

    def answer_ok(self, tag: str = '"one"', body: bytes | None = None) -> None:
        body = self.server.body(self.path) if body is None else body
        wanted = self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range", tag) != tag:
            return self.send(body, Content_Type="video/mp4", ETag=tag)
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return self.send(b"", 416, Content_Range=f"bytes */{len(body)}")
        return self.send(body[start:], 206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}", ETag=tag)

    def answer_robots_txt(self) -> None:
        status, text = self.server.robots
        if 300 <= status < 400:
            return self.head(status, Location=text, Content_Length="0")
        self.send(text.encode(), status, Content_Type="text/plain")

    def status(self, status: int) -> None:
        """401 to 451 for good; 429 and 5xx for a time, with Retry-After where `after` says it."""
        if status not in (429, 500, 503) or self.count <= self.times:
            after = {"Retry_After": self.options["after"]} if "after" in self.options else {}
            return self.send(HTML, status, Content_Type="text/html", **after)
        return self.answer_ok()

    def answer_reset(self) -> None:
        if self.count > self.times:
            return self.answer_ok()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def answer_truncated(self, tag: str = '"one"') -> None:
        """Promises all, sends half; what is asked for again by its range comes whole."""
        if self.count > self.times:
            return self.answer_ok()
        body = self.server.body(self.path)
        self.head(200, Content_Type="video/mp4", Content_Length=str(len(body)), ETag=tag)
        self.wfile.write(body[: len(body) // 2])

    def answer_stalls(self) -> None:
        """As truncated, but the connection stays open."""
        self.answer_truncated()
        if self.count <= self.times:
            self.wfile.flush()
            self.until_the_end(b"", 0.05)

    def answer_late(self) -> None:
        """A sound video after `?s=SECONDS`."""
        self.server.closing.wait(float(self.options["s"]))
        self.answer_ok()

    def answer_ignores_range(self) -> None:
        """As truncated, but always answers from the first byte."""
        if self.count <= self.times:
            return self.answer_truncated()
        return self.send(self.server.body(self.path), Content_Type="video/mp4", ETag='"one"')

    def answer_etag(self) -> None:
        """As truncated, and the file has changed when it is asked for again."""
        return self.answer_truncated('"old"') if self.count <= self.times else self.answer_ok('"new"')

    def answer_endless(self) -> None:
        self.head(200, Content_Type="video/mp4")
        self.wfile.write(self.server.video[:32])
        self.until_the_end(bytes(65536), 0)

    def answer_slow(self) -> None:
        """A sound video at ten bytes a second."""
        self.head(200, Content_Type="video/mp4", Content_Length=str(len(self.server.video)))
        self.until_the_end(self.server.video[:1], 0.1)

    def answer_slow_head(self) -> None:
        """Headers without end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.until_the_end(b"a", 0.05)

    def answer_silent(self) -> None:
        self.until_the_end(b"", 0.1)

    def until_the_end(self, piece: bytes, pause_s: float) -> None:
        end_s = time.monotonic() + LONGEST_S
        while time.monotonic() < end_s and not self.server.closing.wait(pause_s):
            self.wfile.write(piece)

    def answer_huge(self) -> None:
        self.head(200, Content_Type="video/mp4", Content_Length=str(10 * 2**30))
        self.wfile.write(self.server.video)

    def answer_html(self) -> None:
        self.send(HTML, Content_Type="text/html; charset=utf-8")

    answer_html_mp4 = answer_html

    def answer_page(self) -> None:
        kind, body = self.server.pages[self.path]
        self.send(body, Content_Type=kind)

    def answer_empty(self) -> None:
        self.send(b"", Content_Type="video/mp4")

    def answer_compressed(self) -> None:
        self.send(b"\x1f\x8b" + bytes(100), Content_Type="video/mp4", Content_Encoding="gzip")

    def answer_redirect(self) -> None:
        """To `?to=ADDRESS`."""
        self.head(302, Location=self.options["to"].encode().decode("latin-1"), Content_Length="0")

    def answer_redirect_to_private(self) -> None:
        self.head(302, Location="http://169.254.169.254/latest/meta-data/video.mp4", Content_Length="0")

    def answer_redirect_loop(self) -> None:
        self.head(302, Location=self.path, Content_Length="0")


@contextlib.contextmanager
def serving(video: bytes, tls: ssl.SSLContext | None = None) -> Iterator[MisbehavingServer]:
    """The server in a thread of this process, for as long as the context lasts."""
    server = MisbehavingServer(video, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
