"""Imports run one way, and nothing imports TensorFlow before it is needed."""

import ast
import pathlib
import subprocess
import sys

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tl_keras"

# A room may import from its own row and from those above it.
ROWS = (
    {"errors", "locked", "unfreeze", "untrusted"},
    {"config", "backbones", "data", "heads"},
    {"freezing"},
    {"builder"},
    {"distribution"},
    {"training", "serving", "evaluation"},
    {"reporting"},
    {"advice", "weaknesses"},
)
COMMANDS = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} - set().union(*ROWS)


def row_of(room: str) -> int:
    return next((row for row, rooms in enumerate(ROWS) if room in rooms), len(ROWS))


def imported_rooms(path: pathlib.Path) -> set[str]:
    modules = [
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tl_keras.")
    ]
    return {module.split(".")[1] for module in modules}


def test_imports_run_one_way():
    library = [
        path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem not in COMMANDS | {"__init__"}
    ]
    for path in library:
        if path.name == "__main__.py" or "recipes" in path.parts:
            continue
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for imported in imported_rooms(path) - {room}:
            assert row_of(imported) <= row_of(room), f"{path.relative_to(PACKAGE)} imports {imported}"


def test_the_data_know_no_backbone():
    rooms = set().union(*(imported_rooms(path) for path in (PACKAGE / "data").glob("*.py")))
    assert rooms <= {"data", "errors", "untrusted"}


def test_importing_the_package_imports_neither_tensorflow_nor_keras():
    code = "import sys, tl_keras; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_no_two_test_files_share_a_name():
    """Pytest would take one for the other."""
    names = [path.name for path in pathlib.Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
