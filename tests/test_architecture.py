"""Imports run one way, and nothing imports TensorFlow before it is needed."""

import ast
import pathlib
import subprocess
import sys

import pytest

from tl_keras.backbones.specs import backbone_names

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tl_keras"

# One room a row, the lowest first: a room may import from those above its row, never from those below.
ROOMS = (
    "errors",
    "keras_internals",
    "locked",
    "unfreeze",
    "untrusted",
    "console",
    "stop_signals",
    "files",
    "user_folders",
    "lora",
    "config",
    "data",
    "backbones",
    "text",
    "freezing",
    "heads",
    "builder",
    "distribution",
    "runs",
    "evaluation",
    "tasks",
    "probes",
    "search",
    "serving",
    "training",
    "experiments",
    "reporting",
    "advice",
    "weaknesses",
    "labels",
    "pieces",
)
LIBRARY = [
    path
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in ROOMS and path.name != "__main__.py"
]


def rooms_imported(code: str, *, package: str) -> set[str]:
    """Returns the rooms that code in `package` imports, by whatever form of import."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            modules |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            modules |= {str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return {module.split(".")[1] for module in modules if module.startswith("tl_keras.")}


def imported_rooms(path: pathlib.Path) -> set[str]:
    package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    return rooms_imported(path.read_text(encoding="utf-8"), package=package)


@pytest.mark.parametrize(
    "code",
    [
        "import tl_keras.serving",
        "import tl_keras.serving.export as export",
        "from tl_keras import serving",
        "from tl_keras import errors as e, serving as s",
        "from tl_keras.serving import export",
        "from tl_keras.serving.export import export_run",
        "from .. import serving",
        "from ..serving import export",
        "def later():\n    from tl_keras.serving import export",
        "importlib.import_module('tl_keras.serving.export')",
    ],
)
def test_every_form_of_import_is_seen(code):
    assert "serving" in rooms_imported(code, package="tl_keras.training")


def test_imports_run_one_way():
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for path in LIBRARY
        for room in [path.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        for imported in imported_rooms(path) - {room}
        if imported not in ROOMS or ROOMS.index(imported) > ROOMS.index(room)
    ]
    assert wrong == []


def test_outside_the_table_a_backbone_is_named_as_a_default_alone():
    """Nothing asks which backbone it has."""
    named = {}
    for path in PACKAGE.rglob("*.py"):
        strings = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        if path.parent.name != "backbones" and (names := {*strings} & {*backbone_names()}):
            named[str(path.relative_to(PACKAGE))] = names
    assert named == {
        "config/model_fields.py": {"MobileNetV2"},
        "config/quick_start_config.py": {"MobileNetV2"},
        "advice/candidates.py": {"MobileNetV2"},
    }


def test_the_data_know_no_backbone():
    rooms = set().union(*(imported_rooms(path) for path in (PACKAGE / "data").glob("*.py")))
    assert rooms <= {"config", "console", "data", "errors", "files", "untrusted", "user_folders"}


def test_importing_the_package_imports_neither_tensorflow_nor_keras():
    code = "import sys, tl_keras; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_no_two_test_files_share_a_name():
    """Pytest would take one for the other."""
    names = [path.name for path in pathlib.Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


# Modules whose tests stand in a file of another name, by that file.
TESTED_ELSEWHERE = {
    "__main__.py": "test_commands_table.py",
    "backbones/__main__.py": "backbones/test_main.py",
    "backbones/hub_layers.py": "backbones/test_hub.py",  # models of KerasHub are the whole of what it reads
    "backbones/hub_sizes.py": "backbones/test_hub.py",
    # The files of both kinds of records.
    "data/shards.py": "data/test_tfrecord.py",
    # The middleware of a server whose requests are tested with and without the secret.
    "serving/token_check.py": "serving/test_server.py",
    # Two lines each, which the command that reads recipes runs.
    "recipes/default.py": "test_run_flags.py",
    "recipes/quick_start.py": "test_run_flags.py",
    # Tables that are tested where they are read again.
    "advice/data_table.py": "advice/test_leak.py",
    "experiments/out_of_fold_table.py": "tasks/test_every_task.py",
    # The command is tested together with what it calls, whose name it has.
    "export.py": "serving/test_export.py",
    "sweep.py": "experiments/test_sweep.py",
    "shrink.py": "experiments/test_shrinking.py",
    "config/distillation_fields.py": "experiments/test_teacher_comparison.py",
    "distill.py": "experiments/test_teacher_comparison.py",
    "experiments/timing.py": "experiments/test_teacher_comparison.py",
}


def test_every_module_has_its_test_file():
    """It is `tests/ROOM/test_MODULE.py`, or `test_ROOM_MODULE.py` where two rooms have a module of that name."""
    tests, lacking = pathlib.Path(__file__).parent, []
    for path in (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"):
        names = [f"test_{path.stem}.py", f"test_{path.parent.name}_{path.stem}.py"]
        expected = (
            [TESTED_ELSEWHERE[str(path)]] if str(path) in TESTED_ELSEWHERE else [path.parent / name for name in names]
        )
        if not any((tests / name).is_file() for name in expected):
            lacking.append(str(path))
    assert lacking == []
    assert all((PACKAGE / path).is_file() for path in TESTED_ELSEWHERE)


def test_tensorflow_datasets_and_keras_cv_are_imported_only_by_runs_that_ask_for_them():
    asked_for = ("tensorflow_datasets", "keras_cv")
    alone = "data/rand_augment.py"  # which is imported only inside a function
    eager = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.startswith((*asked_for, "tl_keras.data.rand_augment")) for name in names):
                eager.append(str(path.relative_to(PACKAGE)))
    assert eager == [alone]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the lines of a function, those of its docstring left out."""
    return node.end_lineno - node.lineno + 1 - (ast.get_docstring(node, clean=False) or "").count("\n")


def test_files_and_functions_are_short():
    long = []
    for path in PACKAGE.rglob("*.py"):
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(PACKAGE))
        if text.count("\n") > 400 and name != "backbones/families.py":  # a table
            long.append(name)
        functions = (
            node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        long += [f"{name}: {node.name}" for node in functions if lines_of(node) > 60]
    assert long == []


def test_no_function_takes_more_than_six_arguments_by_position():
    many = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
                if len([name for name in names if name not in ("self", "cls")]) > 6:
                    many.append(f"{path.relative_to(PACKAGE)}: {node.name}")
    assert many == []
