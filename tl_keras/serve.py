r"""Serves a run's SavedModel for trying it out: TensorFlow Serving's REST API, metrics, and a page for dropping a photo.

    python -m tl_keras.serve --workdir=run1
    python -m tl_keras.serve --workdir=run1 --index=features.npz
    curl --data-binary @photo.jpg localhost:8501/v1/models/model:predict
    { printf '{"instances": [{"b64": "'; base64 -w0 photo.jpg; printf '"}]}'; } |
      curl -d @- localhost:8501/v1/models/model:predict

http://localhost:8501/ is the page, /metrics is for Prometheus, /healthz for a load balancer. For production, TensorFlow
Serving takes the same directory: see docs/serving.md.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import pathlib
import re
import socket
from typing import TYPE_CHECKING, Any

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.console import say
from tl_keras.errors import ConfigError, DependencyError

if TYPE_CHECKING:
    from starlette.applications import Starlette

# Packages of the runtimes beside TensorFlow; each is named as its extra.
_RUNTIMES = {"openvino": "openvino", "litert": "ai_edge_litert"}

_WORKDIR = path_flags.define("workdir", None, "The run directory, with saved_model/ in it.")
_NAME = flags.DEFINE_string("name", "model", "Name of the model in addresses.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0 means every address.")
_PORT = flags.DEFINE_integer("port", 8501, "Port to listen on; the default is that of TensorFlow Serving.", 1, 65535)
_MAX_BATCH = flags.DEFINE_integer(
    "max_batch",
    0,
    "Largest number of images answered at a time; 0 measures which is fastest, at the start.",
    lower_bound=0,
)
_MAX_WAIT = flags.DEFINE_float("max_wait_ms", 5.0, "Time that an image waits for others to share a batch with.", 0.0)
_MAX_BODY = flags.DEFINE_float("max_body_mb", 10.0, "Largest size of a request, in megabytes.", 0.001)
_MAX_PIXELS = flags.DEFINE_integer(
    "max_pixels",
    DEFAULT_MAX_PIXELS,
    "Pixels of the largest image, as sent and as resized; a million take 16 to 35 MB.",
    lower_bound=1,
)
_TIMEOUT = flags.DEFINE_float("timeout_seconds", 10.0, "Time for a client to send its request.", 0.1)
_TOKEN_FILE = path_flags.define(
    "token_file",
    "",
    "File with a secret that requests must show: Authorization: Bearer SECRET; by default none is needed.",
)
_INDEX = path_flags.define(
    "index",
    "",
    "File that python -m tl_keras.embed has written with this run; /v1/similar then finds look-alikes in it.",
)
_RUNTIME = flags.DEFINE_enum(
    "runtime",
    "saved_model",
    ["saved_model", *_RUNTIMES],
    "What computes the network: TensorFlow, or OpenVINO or LiteRT by the run's export of that format.",
)
_WORKERS = flags.DEFINE_integer(
    "workers", 1, "Number of processes that answer, each with the model in memory and its part of the cores.", 1
)

# Half of the usual limit of 1,024 open files.
_MAX_CONNECTIONS = 512


def main(arguments: list[str]) -> int:
    """Serves until it is stopped."""
    if arguments or not _WORKDIR.value:
        raise ConfigError("flags: expected --workdir=RUN_DIRECTORY. Use --help to see the flags.")
    if not re.fullmatch(r"[\w.-]+", _NAME.value):
        raise ConfigError(f"name: expected letters, digits, '_', '.' and '-'. Received: {_NAME.value}.")
    for package in ("starlette", "uvicorn", "httptools", "prometheus_client", "python_multipart"):
        if importlib.util.find_spec(package) is None:
            raise DependencyError(f"server: expected the package {package}. Run: pip install 'tl_keras[serve]'")
    needed = _RUNTIMES.get(_RUNTIME.value)
    if needed and importlib.util.find_spec(needed) is None:
        raise DependencyError(f"runtime: expected the package {needed}. Run: pip install 'tl_keras[{_RUNTIME.value}]'")
    from tl_keras.serving.idle_timeout import ImpatientProtocol

    application = functools.partial(
        _application,
        pathlib.Path(_WORKDIR.value) / "saved_model",
        {
            "body_bytes": int(_MAX_BODY.value * 1e6),
            "image_pixels": _MAX_PIXELS.value,
            "seconds_to_send": _TIMEOUT.value,
            "max_batch": _MAX_BATCH.value,
            "max_wait_seconds": _MAX_WAIT.value / 1e3,
        },
        name=_NAME.value,
        token=_token(),
        index=pathlib.Path(_INDEX.value) if _INDEX.value else None,
        runtime=_RUNTIME.value,
    )
    listening = _bound(_HOST.value, _PORT.value)  # before the model is read, which takes seconds
    options: dict[str, Any] = {
        "log_level": "error",  # a warning for each request that is none would let strangers fill the log
        "access_log": False,
        "proxy_headers": False,  # nothing asks who the client is
        "limit_concurrency": _MAX_CONNECTIONS,
        "http": ImpatientProtocol,
        "timeout_keep_alive": math.ceil(_TIMEOUT.value),
    }
    host = f"[{_HOST.value}]" if ":" in _HOST.value else _HOST.value
    address = f"http://{host}:{_PORT.value}/"
    if _WORKERS.value > 1:
        from tl_keras.serving.worker_processes import serve_in_processes

        say(f"{address} is going to answer in {_WORKERS.value} processes; Ctrl-C stops them")
        return serve_in_processes(application, _WORKERS.value, listening, **options)
    import uvicorn

    from tl_keras.serving.announced_server import AnnouncedServer

    server = AnnouncedServer(uvicorn.Config(application(), **options), address)
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listening])
    return 0


def _bound(host: str, port: int) -> socket.socket:
    """Returns a socket at an address that is free.

    Raises:
      ConfigError: It is not, or is none of this machine.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier server may still be closing
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise ConfigError(
            f"port: expected a free port of {host}. Received: {port} ({reason}). Use another --port or --host."
        ) from error
    bound.set_inheritable(True)
    return bound


def _application(saved_model: pathlib.Path, limits: dict[str, Any], **keywords: Any) -> Starlette:
    """Returns the application; it imports TensorFlow in the process that answers."""
    command_line.require_tensorflow()
    from tl_keras.serving.server import Limits, make_app

    return make_app(saved_model, limits=Limits(**limits), **keywords)


def _token() -> str:
    """Returns the secret in the file that `--token_file` names, or an empty string."""
    if not _TOKEN_FILE.value:
        return ""
    try:
        token = pathlib.Path(_TOKEN_FILE.value).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        token = ""
        reason = getattr(error, "strerror", "") or "other characters than ASCII"
    else:
        reason = "no character but spaces"
    if not token:
        raise ConfigError(
            f"token_file: expected a file with a secret in ASCII. Received: {_TOKEN_FILE.value} ({reason})."
        )
    return token


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
