"""Tests of tl_keras.command_line, through the commands as a user runs them."""

import os
import pathlib
import subprocess
import sys

import pytest
from forked_commands import run_command

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tl_keras"
# Every module that can be run, whether a table of ours names it or not.
COMMANDS = [
    "backbones",
    *sorted(path.stem for path in PACKAGE.glob("[a-z]*.py") if '__name__ == "__main__"' in path.read_text()),
]


def test_the_commands_of_the_readme_are_among_them():
    assert {"train", "advise", "inspect", "sweep", "predict", "serve"} <= set(COMMANDS)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs a command of the package in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_the_flags_and_imports_neither_tensorflow_nor_keras(command):
    code = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('tl_keras.{command}', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    done = run("-c", code)
    assert "--" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 set()", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch=3"], "epochs"),
        (["--zzzz=3"], "command line flag 'zzzz'. Use --help"),
        (["--epochs=many"], "epochs"),
        (["--config.model.colour=red"], "colour"),
        (["--config.training.weight_decay=much"], "weight_decay"),
        (["--config=missing.py"], "missing.py"),
        (["photos/"], "photos/"),
        (["--batch_size=0"], "batch_size"),
        (["--backbone=MobilNetV2"], "Did you mean MobileNetV2"),
        (["--method=finetune"], "Did you mean fine_tune"),
        (["--seeds=0"], "seeds"),
        (["--seeds=3"], "expected --compare=methods beside it"),
        (["--budget=10min"], "expected --backbone=auto or --method=auto"),
    ],
)
def test_a_wrong_flag_is_one_line_and_status_2(tmp_path, arguments, message):
    done = run("-m", "tl_keras.train", f"--workdir={tmp_path / 'run'}", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "run").exists()


def test_a_recipe_behind_a_space_is_the_only_one_of_distill(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    options = [
        "--config",
        str(PACKAGE.parent / "configs" / "digits.py"),
        "--config.training.epochs=7",
        "--teacher_run=run",
        f"--workdir={tmp_path}",
    ]
    done = run("-m", "tl_keras.distill", *options)
    assert done.stderr.startswith("error: workdir: expected a directory for the runs of both students")


def test_the_home_in_a_path_is_found_where_no_shell_has_put_it(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    done = run("-m", "tl_keras.distill", "--teacher_run=run", "--workdir=~/", HOME=str(tmp_path))
    assert done.stderr.startswith("error: workdir: expected a directory for the runs of both students")


@pytest.mark.slow
def test_a_command_imports_no_package_that_keras_can_do_without_and_has_it_later():
    code = (
        "import sys; from tl_keras import command_line; command_line.require_tensorflow()\n"
        "print('keras' in sys.modules, {'IPython', 'matplotlib', 'pandas', 'sklearn'} & set(sys.modules))\n"
        "import matplotlib.pyplot, sklearn.base; print('there')"
    )
    done = run("-c", code)
    assert done.stdout.splitlines() == ["True set()", "there"], done.stdout + done.stderr


@pytest.mark.slow
def test_a_program_has_the_whole_of_keras():
    code = "import tl_keras; tl_keras.ArraySource; from keras.src.wrappers import fixes; print(fixes.sklearn.__name__)"
    assert run("-c", code).stdout.splitlines() == ["sklearn"]


def test_without_tensorflow_the_line_to_run_is_printed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'tensorflow' else real(name, *a)\n"
    )
    for arguments in (["-m", "tl_keras.train"], ["-c", "import tl_keras; tl_keras.train_and_evaluate"]):
        done = run(*arguments, PYTHONPATH=str(tmp_path))
        assert done.returncode != 0
        assert "pip install 'tl_keras[cpu]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data=photos"],
        ["train", "--data=photos", "--method=auto"],
        ["sweep", "--data=photos"],
        ["inspect", "--data=photos"],
        ["advise", "--data=photos"],
        ["evaluate", "--model=run", "--data=photos"],
        ["embed", "--data=photos", "--out=features.npz"],
        ["label_next", "--data=photos"],
        ["monitor", "--reference=run", "--data=photos"],
        ["audit", "--workdir=photos"],
        ["distill", "--teacher_run=photos"],
    ],
    ids=" ".join,
)
def test_what_is_read_is_said_before_tensorflow_is_imported(tmp_path, arguments):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit(7)\n")
    (tmp_path / "photos").mkdir()
    command, *flags = (each.replace("photos", f"{tmp_path}/photos") for each in arguments)
    done = run("-m", f"tl_keras.{command}", *flags, PYTHONPATH=f"{tmp_path}{os.pathsep}{PACKAGE.parent}")
    assert (done.returncode, done.stderr) == (7, f"reading {tmp_path}/photos\n")


@pytest.mark.long
@pytest.mark.parametrize("command", ["inspect", "label_next"])
def test_a_place_that_cannot_be_written_is_named_by_its_flag_before_images_are_read(command, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "file").write_text("")
    process = run_command(command, f"--data={tmp_path / 'photos'}", f"--out={tmp_path / 'file' / 'report'}")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: out: expected a directory. Received:")
    assert process.stderr.splitlines()[-1].endswith("Use another --out.")


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--backbone=missing.keras", "backbone: expected an existing file. Received: missing.keras"),
        ("--backbone=MobilNetV2", "Received: MobilNetV2. Did you mean MobileNetV2"),
        ("--weights=missing.weights.h5", "weights: expected an existing file. Received: missing.weights.h5"),
        ("--workdir=setup.cfg", "workdir: expected a directory. Received: setup.cfg"),
        ("--workdir=setup.cfg/run", "workdir: expected a directory. Received: setup.cfg/run"),
    ],
)
def test_a_bad_value_is_refused_before_tensorflow_is_imported(tmp_path, command, flag, message):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--data=digits', '--workdir={tmp_path / 'run'}', {flag!r}]\n"
        f"try: runpy.run_module('tl_keras.{command}', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = run("-c", code)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "2 set()\n"
