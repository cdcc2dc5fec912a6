"""A loopback host of 28,272 small videos that misbehaves: a fixed share of its addresses fail, each in its own way."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Of every hundred addresses, by the last two digits of a hash of the path.
GONE, BUSY_ONCE, ALWAYS_BUSY, CUT_SHORT, ENDLESS, PAGE, INWARD = range(7)
FAULTS = {0: GONE, 1: GONE, 2: BUSY_ONCE, 3: BUSY_ONCE, 4: ALWAYS_BUSY, 5: CUT_SHORT, 6: ENDLESS, 7: PAGE, 8: INWARD}
OUTCOMES = {
    GONE: "permanent",
    BUSY_ONCE: "ok",
    ALWAYS_BUSY: "transient",
    CUT_SHORT: "transient",
    ENDLESS: "refused",
    PAGE: "bad_video",
    INWARD: "refused",
}
ENDLESS_BYTES = 64 * 2**20  # the end of the endless one: the client has long hung up


def fault_of(path: str) -> int | None:
    return FAULTS.get(int(hashlib.sha256(path.encode()).hexdigest(), 16) % 100)


def outcome_of(path: str) -> str:
    fault = fault_of(path)
    return "ok" if fault is None else OUTCOMES[fault]


class Crowd(ThreadingHTTPServer):
    """Serves some videos under any number of addresses, and counts who got a whole one how often."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, videos: Sequence[bytes]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.videos = videos
        self.asked: Counter[str] = Counter()
        self.served_whole: Counter[str] = Counter()
        self.counting = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def video_of(self, path: str) -> bytes:
        return self.videos[int(hashlib.sha256(path.encode()).hexdigest(), 16) // 100 % len(self.videos)]

    def handle_error(self, request, client_address) -> None:
        """A client that is killed hangs up; that is what the test does."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Crowd

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self._answer(404, b"")
            return
        with self.server.counting:
            self.server.asked[self.path] += 1
            times = self.server.asked[self.path]
        fault, video = fault_of(self.path), self.server.video_of(self.path)
        if fault == GONE:
            self._answer(404, b"gone")
        elif fault == ALWAYS_BUSY:
            self._answer(503, b"later")  # a longer Retry-After would be kept for the whole host, as it should
        elif fault == BUSY_ONCE and times == 1:
            self._answer(429, b"soon", ("Retry-After", "0"))
        elif fault == CUT_SHORT:
            self._cut_short(video)
        elif fault == ENDLESS:
            self._endless(video)
        elif fault == PAGE:
            self._answer(200, b"<!doctype html><title>Sign in</title>", ("Content-Type", "text/html"))
        elif fault == INWARD:
            self._answer(302, b"", ("Location", "http://10.0.0.1/v.mp4"))
        else:
            self._answer(200, video, ("Content-Type", "video/mp4"))
            with self.server.counting:
                self.server.served_whole[self.path] += 1

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut_short(self, video: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(video)))
        self.end_headers()
        self.wfile.write(video[: len(video) // 2])
        self.close_connection = True

    def _endless(self, video: bytes) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for _ in range(ENDLESS_BYTES // 2**16):
            self.wfile.write((video * (2**16 // len(video) + 1))[: 2**16])


@contextmanager
def crowd(videos: Sequence[Path]) -> Iterator[Crowd]:
    """The host, while in use."""
    server = Crowd([path.read_bytes() for path in videos])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
