"""Compiles a small step for a TPU, on the backend of Keras: `python compile_small.py TOPOLOGY BATCH` prints JSON or an error."""

import dataclasses
import json
import sys

from tl_keras.distribution.libtpu import prepare_libtpu

prepare_libtpu()

import keras  # noqa: E402
from small_run import a_model  # noqa: E402

from tl_keras.distribution.tpu_compile import compile_step  # noqa: E402
from tl_keras.errors import TransferError  # noqa: E402

keras.utils.set_random_seed(0)
try:
    step = compile_step(a_model("on"), topology=sys.argv[1], global_batch_size=int(sys.argv[2]))
    print(json.dumps(dataclasses.asdict(step)))
except TransferError as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
