"""Puts the backbone of a finished run into the package as the embedded teacher, with its provenance.

    python tools/embed_teacher.py RUN_DIRECTORY DATA_FILE "COMMAND THAT MADE THE RUN"

Everything in `provenance.json` is read from the run, the data file and the weights file.
"""

import hashlib
import json
import pathlib
import sys

from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import load_model

_EMBEDDED = pathlib.Path(__file__).parent.parent / "tl_keras" / "backbones" / "embedded"


def main(run: pathlib.Path, data: pathlib.Path, command: str) -> None:
    """Writes the weights file and `provenance.json`."""
    result = RunDirectory(run).require_result()
    config = json.loads((run / "config.json").read_text())["config"]
    backbone = load_model(run / "model.keras").model.get_layer("backbone")
    name = f"{result.backbone.lower()}_{config['model']['alpha']:.2f}_{config['model']['image_size']}_{data.stem}.weights.h5"
    _EMBEDDED.mkdir(exist_ok=True)
    backbone.save_weights(_EMBEDDED / name)
    provenance = {
        "file": name,
        "sha256": _sha256(_EMBEDDED / name),
        "command": command,
        "data": {"file": data.name, "sha256": _sha256(data), "content_hash": result.hashes["data"]},
        "seed": result.seed,
        "images": result.images,
        "validation_accuracy": result.validation_accuracy,
        "test_accuracy": result.test_accuracy,
        "seconds": result.seconds,
        "hardware": result.hardware["description"],
        "versions": result.versions,
        "config": config,
    }
    (_EMBEDDED / "provenance.json").write_text(json.dumps(provenance, indent=1) + "\n")


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
