"""A program with OpenPose's command line that misbehaves as it is told.

`--mode` says how, `--about` in which video's frames (all without it), `--until FILE` only while FILE does not exist
yet: it is made by the first call. Every call appends its process ids to `--calls`, if given.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POINTS = {"BODY_25": 25, "COCO": 18, "BODY_135": 135}
flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
mode, about = flags.get("--mode", "well"), flags.get("--about", "")
output = Path(flags["--write_json"])
points = POINTS[flags["--model_pose"]]


def frames() -> list[str]:
    if "--video" in flags:
        stem = Path(flags["--video"]).stem
        return [f"{stem}_{index:012d}" for index in range(int(flags["--video_frames"]))]
    return [path.stem for path in sorted(Path(flags["--image_dir"]).iterdir())]


def answer(name: str, text: str | None = None) -> None:
    values = [float(place) for place in range(3 * points)]
    people = [{"person_id": [-1], "pose_keypoints_2d": values}] * int(flags.get("--people", 1))
    text = text if text is not None else json.dumps({"version": 1.3, "people": people})
    (output / f"{name}_keypoints.json").write_text(text)


def person(values: list[str]) -> str:
    return '{"people": [{"pose_keypoints_2d": [' + ", ".join(values) + "]}]}"


NONSENSE = {
    "nan": person(["NaN"] + ["1"] * (3 * points - 1)),
    "1e999": person(["1"] * (3 * points - 1) + ["1e999"]),
    "deep": '{"people": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "wrong-length": person(["1"] * 72),
}


def start_grandchild() -> int:
    """A process of its own that ignores being asked to end."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return subprocess.Popen([sys.executable, "-S", "-c", code]).pid


def misbehave(name: str) -> None:
    if mode in NONSENSE:
        answer(name, NONSENSE[mode])
    elif mode == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("loading", file=sys.stderr, flush=True)
        time.sleep(600)
    elif mode == "crash":
        sys.exit("out of memory")
    elif mode == "kill-self":
        print("out of memory", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "fewer":
        return
    elif mode == "more":
        answer(name)
        answer(name + "9")
    elif mode == "strange":
        answer(name)
        answer("vz_000007")
    elif mode == "slow":
        time.sleep(0.02)
        answer(name)
    elif mode == "cut":
        answer(name, '{"version": 1.3, "people": [{"pose_')
        sys.exit("disk full")
    else:
        raise SystemExit(f"--mode {mode}: not known")


pids = [os.getpid()]
if mode == "grandchild":
    pids.append(start_grandchild())
if "--calls" in flags:
    with Path(flags["--calls"]).open("a") as calls:
        shown = sorted({name.rpartition("_")[0] for name in frames()})
        calls.write(json.dumps({"pids": pids, "videos": shown, "threads": os.environ.get("OMP_NUM_THREADS")}) + "\n")
first = not Path(flags["--until"]).exists() if "--until" in flags else True
if "--until" in flags:
    Path(flags["--until"]).touch()
for frame in frames():
    concerned = frame.rpartition("_")[0] == about if about else True
    if mode in ("well", "grandchild") or not concerned or not first:
        answer(frame)
    else:
        misbehave(frame)
if "--status" in flags:
    sys.exit(int(flags["--status"]))
