"""What each output was made from, written beside it, and the walk from a table back to the videos."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

from moviestrip import __version__
from moviestrip.errors import FatalError
from moviestrip.storage import digest_of, write_json

State = Literal["as recorded", "changed since", "remade since it was read", "gone"]
OUTSIDE = "from outside"
LINE_COLUMNS = 80
DIGEST_LETTERS = 12


def provenance_path(output: Path) -> Path:
    return output.parent / f".{output.name}.provenance.json"


def write_provenance(
    outputs: Path | Sequence[Path], stage: str, inputs: Mapping[str, Path], settings: Mapping[str, Any]
) -> None:
    """Record beside each output its digest, the stage, the settings it read and the digests of its inputs."""
    digests = {name: recorded_digest(path) for name, path in inputs.items()}
    for output in [outputs] if isinstance(outputs, Path) else outputs:
        write_json(
            provenance_path(output),
            {
                "output": output.name,
                "sha256": digest_of(output),
                "stage": stage,
                "code_version": __version__,
                "settings": dict(settings),
                "inputs": {
                    name: {"path": os.path.relpath(path, output.parent), "sha256": digests[name]}
                    for name, path in inputs.items()
                },
            },
        )


def recorded_digest(path: Path) -> str:
    """The digest an earlier stage recorded for this file, or a fresh one for files from outside the run."""
    record = provenance_path(path)
    return json.loads(record.read_text())["sha256"] if record.is_file() else digest_of(path)


def read_record(output: Path) -> dict[str, Any] | None:
    """What `write_provenance` recorded beside an output, or None for a file that no stage made."""
    record = provenance_path(output)
    return json.loads(record.read_text()) if record.is_file() else None


@dataclass(frozen=True)
class Link:
    """One step of the chain: a file, the stage that made it, and whether it is still what was recorded.

    Attributes:
        more: siblings that the same stage read and that are not listed one by one; each is still the one that was
            read, or it would be.
        settings: the keys that the stage read.
        read_by: the file it was read for.
    """

    path: Path
    depth: int
    stage: str
    sha256: str
    state: State
    more: int
    code_version: str
    settings: Mapping[str, Any]
    read_by: Path | None

    @property
    def intact(self) -> bool:
        return self.state == "as recorded"


# Of the names of a file's inputs: those to follow, each with the siblings that it stands for.
Follow = Callable[[Path, Sequence[str]], Mapping[str, Sequence[str]]]


def one_of_each_kind(_: Path, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The first of each kind of input stands for the others; `labels:studio-0000` is of the kind `labels`."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(name.split(":")[0], []).append(name)
    return {first: others for first, *others in kinds.values()}


def chain(path: Path, follow: Follow = one_of_each_kind) -> list[Link]:
    """From `path` back to files nobody made, each file explained once."""
    if not path.exists():
        raise FatalError(f"{path}: there is no such file")
    return list(_Walk(follow).links(path, 0, None, None, 0))


class _Walk:
    """One walk: it digests and explains each file once."""

    def __init__(self, follow: Follow):
        self.follow = follow
        self.explained: set[Path] = set()
        self.digests: dict[Path, str] = {}

    def links(self, path: Path, depth: int, read_by: Path | None, read: str | None, more: int) -> Iterator[Link]:
        """The link of a file and those behind it; `read` is the digest of what was read."""
        record = read_record(path)
        if record is None:
            state = self._state(path, read, read)
            yield Link(path, depth, OUTSIDE, self._digest(path), state, more, "", {}, read_by)
            return
        state = self._state(path, record["sha256"], read)
        version, settings = record["code_version"], record["settings"]
        yield Link(path, depth, record["stage"], record["sha256"], state, more, version, settings, read_by)
        if path.resolve() in self.explained:
            return
        self.explained.add(path.resolve())
        inputs = record["inputs"]
        places = {name: Path(os.path.normpath(path.parent / found["path"])) for name, found in inputs.items()}
        for name, siblings in self.follow(path, list(inputs)).items():
            odd = [sibling for sibling in siblings if not _is_the_same(places[sibling], inputs[sibling]["sha256"])]
            yield from self.links(places[name], depth + 1, path, inputs[name]["sha256"], len(siblings) - len(odd))
            for sibling in odd:
                yield self._odd(places[sibling], depth + 1, path, inputs[sibling]["sha256"])

    def _odd(self, path: Path, depth: int, read_by: Path, read: str) -> Link:
        """A sibling that is not what was read: shown, not followed."""
        record = read_record(path) or {"stage": OUTSIDE, "sha256": read, "code_version": "", "settings": {}}
        state = self._state(path, record["sha256"], read)
        version, settings = record["code_version"], record["settings"]
        return Link(path, depth, record["stage"], record["sha256"], state, 0, version, settings, read_by)

    def _state(self, path: Path, recorded: str | None, read: str | None) -> State:
        if not path.exists():
            return "gone"
        if recorded is not None and self._digest(path) != recorded:
            return "changed since"
        return "as recorded" if read in (None, recorded) else "remade since it was read"

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest_of(path) if path.exists() else ""
        return self.digests[path]


def _is_the_same(path: Path, read: str) -> bool:
    """Whether a file is there and still the one that was read, by its record; its bytes are not read again."""
    return path.exists() and recorded_digest(path) == read


def folder_of(links: Sequence[Link]) -> Path:
    """The folder that holds every file of a chain, as given to `chain`."""
    return Path(os.path.commonpath([link.path.parent for link in links]))


def tree_lines(links: Sequence[Link], with_settings: bool = False) -> list[str]:
    """A chain as text: what was read for a file stands below it, further in."""
    folder = folder_of(links)
    lines, told = [f"in {folder}:"], set()
    for link in links:
        lines += _link_lines(link, folder, "  " * link.depth, with_settings and link.path not in told)
        told.add(link.path)
    return [*lines, verdict_line(links)]


def _link_lines(link: Link, folder: Path, indent: str, with_settings: bool) -> list[str]:
    parts = [f"{indent}{link.path.relative_to(folder)}", link.stage, link.sha256[:DIGEST_LETTERS]]
    parts += [f"+ {link.more} like it"] if link.more else []
    parts += [] if link.intact else [f"! {link.state}"]
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= LINE_COLUMNS:
            lines[-1] += f"  {part}"
        else:
            lines.append(f"{indent}    {part}")
    if with_settings and link.code_version:
        lines += settings_lines(link, indent + "    | ")
    return lines


def settings_lines(link: Link, indent: str) -> list[str]:
    """The code version and every key that the stage read, with its value."""
    keys = [f"{key}={value}" for key, value in flat_settings(link.settings)]
    text = ", ".join(keys) or "no key read"
    width = max(30, LINE_COLUMNS - len(indent))
    return [f"{indent}{line}" for line in wrap(f"moviestrip {link.code_version}; {text}", width)]


def flat_settings(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Settings by dotted key, such as `evaluation.protocol`."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat_settings(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", json.dumps(value, ensure_ascii=False)


def verdict_line(links: Sequence[Link]) -> str:
    """Whether every file of a chain is still what was recorded."""
    states: dict[Path, State] = {}
    for link in links:
        if states.get(link.path, "as recorded") == "as recorded":
            states[link.path] = link.state
    odd = [state for state in states.values() if state != "as recorded"]
    if not odd:
        return "1 file, as recorded" if len(states) == 1 else f"{len(states)} files, each as recorded"
    counted = ", ".join(f"{odd.count(state)} {state}" for state in dict.fromkeys(odd))
    return f"{len(odd)} of {len(states)} files not as recorded: {counted}"


def links_as_json(links: Sequence[Link]) -> list[dict[str, Any]]:
    """A chain for machines."""
    return [
        {
            "path": str(link.path),
            "stage": link.stage,
            "sha256": link.sha256,
            "state": link.state,
            "more_like_it": link.more,
            "code_version": link.code_version,
            "settings": dict(link.settings),
            "read_by": None if link.read_by is None else str(link.read_by),
        }
        for link in links
    ]
