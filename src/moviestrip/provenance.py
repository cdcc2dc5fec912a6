"""What each output was made from, written beside it, and the walk from a table back to the videos."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moviestrip import __version__
from moviestrip.errors import FatalError
from moviestrip.storage import digest_of, write_json


def provenance_path(output: Path) -> Path:
    return output.parent / f".{output.name}.provenance.json"


def write_provenance(output: Path, stage: str, inputs: Mapping[str, Path], settings: Mapping[str, Any]) -> None:
    """Record beside `output` its digest, the stage, the settings it read and the digests of its inputs."""
    write_json(
        provenance_path(output),
        {
            "output": output.name,
            "sha256": digest_of(output),
            "stage": stage,
            "code_version": __version__,
            "settings": dict(settings),
            "inputs": {
                name: {"path": os.path.relpath(path, output.parent), "sha256": recorded_digest(path)}
                for name, path in inputs.items()
            },
        },
    )


def recorded_digest(path: Path) -> str:
    """The digest an earlier stage recorded for this file, or a fresh one for files from outside the run."""
    record = provenance_path(path)
    return json.loads(record.read_text())["sha256"] if record.is_file() else digest_of(path)


@dataclass(frozen=True)
class Link:
    """One step of the chain: a file, the stage that made it, and whether it is still what was recorded."""

    path: Path
    depth: int
    stage: str
    sha256: str
    intact: bool
    more: int  # siblings made by the same stage, not listed one by one


def chain(path: Path) -> list[Link]:
    """From `path` back to files nobody made, one example of each kind of input, each file explained once."""
    if not path.exists():
        raise FatalError(f"{path}: there is no such file")
    return _links(path, 0, 0, set())


def _links(path: Path, depth: int, more: int, explained: set[Path]) -> list[Link]:
    record_path = provenance_path(path)
    if not record_path.is_file():
        return [Link(path, depth, "from outside", digest_of(path) if path.exists() else "", path.exists(), more)]
    record = json.loads(record_path.read_text())
    intact = path.exists() and digest_of(path) == record["sha256"]
    links = [Link(path, depth, record["stage"], record["sha256"], intact, more)]
    if path.resolve() in explained:
        return links
    explained.add(path.resolve())
    kinds = {name: name.split(":")[0] for name in record["inputs"]}
    counts = Counter(kinds.values())
    for kind, count in counts.items():
        name = next(name for name in record["inputs"] if kinds[name] == kind)
        source = Path(os.path.normpath(path.parent / record["inputs"][name]["path"]))
        links += _links(source, depth + 1, count - 1, explained)
    return links
