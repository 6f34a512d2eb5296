"""Tests of tl_keras.__main__: the table of commands, and a command by its name."""

import pathlib
import subprocess
import sys

import tl_keras
from tl_keras.__main__ import COMMANDS, table

PACKAGE = pathlib.Path(tl_keras.__file__).parent
NAMES = [name for commands in COMMANDS.values() for name in commands]


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_the_table_has_every_command_once():
    commands = [
        path.parent.name if path.stem == "__main__" else path.stem
        for path in (*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__main__.py"))
        if path != PACKAGE / "__main__.py" and "command_line.run(" in path.read_text()
    ]
    assert sorted(NAMES) == sorted({name for name in commands if name != "command_line"})


def test_without_a_command_the_table_is_printed_and_tensorflow_is_not_imported():
    code = (
        "import runpy, sys; sys.argv = ['tl_keras']; runpy.run_module('tl_keras', run_name='__main__')\n"
        "print({'tensorflow', 'keras', 'numpy', 'absl'} & set(sys.modules))"
    )
    done = run("-c", code)
    assert done.stdout == f"{table()}\nset()\n", done.stderr


def test_a_command_has_its_own_help():
    by_name, by_module = run("-m", "tl_keras", "predict", "--help"), run("-m", "tl_keras.predict", "--help")
    assert by_name.returncode == 0
    assert "--model" in by_name.stdout
    assert by_name.stdout == by_module.stdout


def test_a_room_with_a_main_is_a_command():
    assert run("-m", "tl_keras", "backbones").stdout == run("-m", "tl_keras.backbones").stdout


def test_a_mistake_of_the_user_is_one_line_and_status_2():
    done = run("-m", "tl_keras", "train", "--epoch=3")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "epochs" in done.stderr


def test_an_unknown_command_offers_the_nearest():
    done = run("-m", "tl_keras", "trian")
    assert done.returncode == 2
    assert done.stderr.startswith("error: command: expected one of demo, ")
    assert "Received: trian. Did you mean train" in done.stderr


def test_the_console_script_is_the_same():
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("tl_keras")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{table()}\n"
