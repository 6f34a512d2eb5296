"""Contains what every command shares: parsing flags, one line for a user's mistake, and the exit status.

Nothing here imports TensorFlow, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from absl import flags

from tl_keras.console import import_quietly, printable, protect_terminal, say, show_details
from tl_keras.distribution.backend import choose_backend
from tl_keras.errors import ConfigError, DependencyError, Terminated, TransferError
from tl_keras.stop_signals import stop_signals

BEGAN = time.perf_counter()  # start of the command, after the start of Python itself

# Packages that Keras imports if they are installed, for features that no command uses.
_KERAS_CAN_DO_WITHOUT = ("IPython", "matplotlib", "pandas", "sklearn")

_VERBOSE = flags.DEFINE_boolean("verbose", False, "Print each epoch, the freeze plan, and what the cache does.")

_HELP = {"--help", "-h", "-help", "--h", "--helpshort", "--helpfull"}


def run(
    main: Callable[[list[str]], int | None],
    *,
    usage: str,
    arguments: list[str] | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Parses the flags, calls `main` with the other arguments, and exits.

    Exit status: 0 done; 2 bad arguments or bad input; 1 if training or export itself failed; 130 on Ctrl-C and
    143 on SIGTERM, with a line that says how it continues. A user's mistake is one line on stderr.

    Args:
      main: Function that takes the arguments that are not flags, and may return an exit status.
      usage: Text that `--help` prints before the flags.
      arguments: Arguments of the command, without its name. None means those of the process.
      prepare: Function that is called before the flags are parsed, and may change `sys.argv`.
    """
    protect_terminal()
    with stop_signals():
        try:
            if _HELP & set(sys.argv[1:] if arguments is None else arguments):
                print(f"{usage.strip()}\n\nFlags:\n{flags.FLAGS.main_module_help().partition(':')[2].strip(chr(10))}")
                sys.exit(0)
            prepare()
            sys.exit(main(_parsed(sys.argv[1:] if arguments is None else arguments)) or 0)
        except TransferError as error:
            print(f"error: {printable(error)}", file=sys.stderr)
            sys.exit(error.exit_status)
        except BrokenPipeError:  # the reader, such as `| head`, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except KeyboardInterrupt as stop:
            print("; ".join(["stopped", *map(printable, stop.args)]), file=sys.stderr)
            sys.exit(stop.exit_status if isinstance(stop, Terminated) else 130)


def _parsed(arguments: list[str]) -> list[str]:
    """Returns the arguments that are not flags."""
    try:
        rest = flags.FLAGS(["tl_keras", *arguments])[1:]
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, ImportError) as error:
        # absl raises flags.Error; ml_collections passes on the errors of a config file or an override.
        said = " ".join(str(error).split())
        raise ConfigError(
            f"flags: {said}{'' if said.endswith(('.', '?')) else '.'} Use --help to see the flags."
        ) from error
    show_details(_VERBOSE.value)
    return rest


def require_tensorflow(strategy: str = "auto", *, reading: str = "", whole_keras: bool = False) -> None:
    """Imports TensorFlow with suitable environment variables, unless the user set them. Commands call it after checking flags.

    Args:
      strategy: Strategy of the run; Keras starts on its backend.
      reading: Name of what a command is going to read, which is said first, because the import takes seconds; empty for nothing.
      whole_keras: Whether other code may use Keras in this process, with its wrappers of scikit-learn, plots and data frames,
        whose packages take a third of the import's time.

    Raises:
      DependencyError: TensorFlow, or the backend, is not installed.
    """
    choose_backend(strategy)
    if importlib.util.find_spec("tensorflow") is None:
        raise DependencyError(
            "TensorFlow is not installed. Run: pip install 'tl_keras[cpu]'  (or tl_keras[gpu], tl_keras[tpu])"
        )
    if reading:
        say(f"reading {printable(reading)}")
    # Enables oneDNN's kernels. By itself TensorFlow uses them on the newest processors only; on an AVX-512 processor without VNNI
    # they make MobileNetV2 three times faster (benchmarks/forward.py).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # INFO and WARNING lines do not concern the user
    with _withheld(() if whole_keras else _KERAS_CAN_DO_WITHOUT):
        if level in ("0", "1"):
            importlib.import_module("tensorflow")
        else:
            import_quietly("tensorflow")


@contextlib.contextmanager
def _withheld(packages: Iterable[str]) -> Iterator[None]:
    """Makes packages that are not imported yet seem not installed, until the context ends."""
    modules: dict[str, Any] = sys.modules
    absent = [name for name in packages if name not in modules]
    modules.update(dict.fromkeys(absent))  # with None there, an import raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
