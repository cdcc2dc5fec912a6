"""Each floor of the package imports only floors below it."""

import ast
from pathlib import Path

import pytest

# From the top down; names on one line stand side by side and do not import each other.
FLOORS = [
    {"cli"},
    {"stages", "imports", "doctor", "status", "config_documentation", "demo", "scoring"},
    {"report", "figures", "exports"},
    {"papers"},
    {"evaluation"},
    {"training"},
    {"models"},
    {"features"},
    {"datasets"},
    {"curate", "tracking", "pose", "video"},
    {"world", "download"},
    {"body"},
    {"geometry", "skeleton"},
    {"settings"},
    {"tables", "provenance", "parts"},
    {"storage", "checksum", "config", "layout", "progress", "unpickle"},
    {"errors"},
]
ALLOWED_BESIDE = {("report", "figures"), ("geometry", "skeleton")}
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "moviestrip"
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_floors(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "moviestrip":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("moviestrip.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path):
    floor = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if floor == "__init__":
        return
    assert floor in LEVEL, f"{floor} has no floor: add it to FLOORS"
    for other in imported_floors(path) - {floor}:
        assert other in LEVEL, f"{path} imports unknown {other}"
        below = LEVEL[other] > LEVEL[floor]
        assert below or (floor, other) in ALLOWED_BESIDE, f"{floor} may not import {other}"


def test_the_check_sees_an_upward_import(tmp_path: Path):
    path = tmp_path / "bad.py"
    path.write_text("from moviestrip.cli import main\nfrom moviestrip import tables\nimport moviestrip.report.page\n")
    assert imported_floors(path) == {"cli", "tables", "report"}
