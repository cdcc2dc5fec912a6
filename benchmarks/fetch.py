"""Videos fetched and validated a second by one core, beside `requests`, from a host on loopback, after equal bytes.

    python -m benchmarks.fetch [--videos 200] [--kilobytes 100] [--rounds 5]

Ours is `download_all` (checked address, robots.txt, resume, digest, record, flushed to the disk) and `probe`, a whole
strict decode. The peer is what a script does: `requests.get`, streamed into a file, and a whole decode by PyAV. The
host is a process of its own, so seconds of the processor are the two's alone; the best of the rounds counts.
"""

import argparse
import functools
import hashlib
import http.server
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import requests

from moviestrip.config import FetchSettings
from moviestrip.download import download_all
from moviestrip.video.decode import probe

PUBLISHED = "video2dataset's README: 10M videos in 12 h on 16 cores, 14.5 a second and core (from the internet)"
SETTINGS = FetchSettings(private_addresses="loopback", seconds_between_requests=0)
WIDTH_PX, HEIGHT_PX, FPS = 320, 240, 25


@dataclass(frozen=True)
class Cost:
    """Of one pass over all videos."""

    wall_s: float
    processor_s: float


def encoded(kilobytes: int) -> bytes:
    """A video of about this size: noise that fades, so that frames cost what pictures cost."""
    buffer, generator = io.BytesIO(), np.random.default_rng(0)
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        while buffer.tell() < kilobytes * 1000:
            image = generator.integers(0, 255, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def write_videos(folder: Path, count: int, kilobytes: int) -> None:
    """No two with the same bytes: a box that players skip carries the number."""
    video = encoded(kilobytes)
    for index in range(count):
        (folder / f"{index}.mp4").write_bytes(video + b"\x00\x00\x00\x10free" + index.to_bytes(8, "big"))


def serve(folder: Path) -> None:
    """Until the process is ended; the port is its first line."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    print(server.server_port, flush=True)
    server.serve_forever()


def fetch_ours(urls: Sequence[str], folder: Path, validate: bool) -> list[Path]:
    paths = []
    for found in download_all(urls, folder, SETTINGS):
        if found.status != "ok":
            raise SystemExit(f"{found.url}: {found.status}: {found.reason}; nothing is timed")
        if validate:
            probe(folder / found.file)
        paths.append(folder / found.file)
    return paths


def fetch_with_requests(urls: Sequence[str], folder: Path, validate: bool) -> list[Path]:
    paths = []
    for index, url in enumerate(urls):
        path = folder / f"{index}.mp4"
        with requests.get(url, stream=True, timeout=30) as response, path.open("wb") as file:
            response.raise_for_status()
            for piece in response.iter_content(2**18):
                file.write(piece)
        if validate:
            with av.open(str(path)) as container:
                sum(1 for _ in container.decode(video=0))
        paths.append(path)
    return paths


WAYS: dict[str, Callable[[Sequence[str], Path, bool], list[Path]]] = {
    "moviestrip": fetch_ours,
    "requests and PyAV": fetch_with_requests,
}


def timed(name: str, urls: Sequence[str], validate: bool) -> tuple[Cost, list[str]]:
    """The cost of all videos into an empty folder, and the digests of what came."""
    with tempfile.TemporaryDirectory() as folder:
        wall_s, processor_s = time.perf_counter(), time.process_time()
        paths = WAYS[name](urls, Path(folder), validate)
        cost = Cost(time.perf_counter() - wall_s, time.process_time() - processor_s)
        return cost, [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def compare(urls: Sequence[str], rounds: int, validate: bool) -> None:
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for _ in range(rounds):  # in turn, so that a busy machine is as unkind to both
        digests = set()
        for name, found in costs.items():
            cost, fetched = timed(name, urls, validate)
            found.append(cost)
            digests.add(tuple(fetched))
        if len(digests) != 1:
            raise SystemExit("the two did not fetch the same bytes; nothing is compared")
    speeds = {name: len(urls) / min(cost.processor_s for cost in found) for name, found in costs.items()}
    walls = {name: len(urls) / min(cost.wall_s for cost in found) for name, found in costs.items()}
    print("fetch and validate" if validate else "fetch alone")
    for name, speed in speeds.items():
        print(f"  {name}: {speed:.0f} videos a second of one core, {walls[name]:.0f} a second of wall time")
    ours, peer = speeds.values()
    print(f"  ratio: {ours / peer:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--kilobytes", type=int, default=100, help="of one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory() as name:
        write_videos(Path(name), arguments.videos, arguments.kilobytes)
        command = [sys.executable, "-m", "benchmarks.fetch", "--serve", name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
            try:
                assert host.stdout is not None
                port = int(host.stdout.readline())
                urls = [f"http://127.0.0.1:{port}/{index}.mp4" for index in range(arguments.videos)]
                for validate in (False, True):
                    compare(urls, arguments.rounds, validate)
                print(PUBLISHED)
            finally:
                host.terminate()


if __name__ == "__main__":
    main()
