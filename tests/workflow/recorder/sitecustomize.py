"""On the path of a run under test: every `moviestrip` command leaves the names of what moviestrip itself imports."""

import atexit
import builtins
import json
import os
import sys
from pathlib import Path

imported: set[str] = set()
import_as_usual = builtins.__import__


def import_and_note(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and globals is not None and str(globals.get("__name__")).startswith("moviestrip"):
        imported.add(name.partition(".")[0])
    return import_as_usual(name, globals, locals, fromlist, level)


def record() -> None:
    if Path(sys.argv[0]).name == "moviestrip" and len(sys.argv) > 1:
        said = {"command": sys.argv[1], "modules": sorted(imported)}
        Path(os.environ["MOVIESTRIP_IMPORTS"], f"{os.getpid()}.json").write_text(json.dumps(said))


if "MOVIESTRIP_IMPORTS" in os.environ:
    builtins.__import__ = import_and_note
    atexit.register(record)
