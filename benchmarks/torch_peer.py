"""PyTorch's side of the measurements, run by an interpreter that has torch and timm.

`python -m benchmarks.torch_peer forward|train NETWORK PIXELS BATCH_SIZE KIND`, a process for `measuring.answering`. KIND:
`float32` or `bfloat16`, with `-compiled` through torch.compile. All are channels-last, the faster layout on processors.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import torch

from benchmarks.measuring import answer_requests, per_second

_SECONDS = 3.0
_NUM_CLASSES = 5

# timm imports torchvision, whose builds for CPUs are not on every index; from one without its operators it needs only
# that they have been declared.
if not hasattr(torch.ops.torchvision, "nms"):
    _operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402


def main() -> None:
    """Builds, warms up, and answers."""
    task, network, pixels, batch_size, kind = sys.argv[1:]
    precision, _, compiled = kind.partition("-")
    make = {"forward": _forward, "train": _train}[task]
    work = make(network, int(pixels), int(batch_size), precision == "bfloat16", bool(compiled))
    for _ in range(2):
        work()
    answer_requests(lambda: per_second(work, amount=int(batch_size), seconds=_SECONDS))


def _images(pixels: int, batch_size: int) -> torch.Tensor:
    return torch.randn(batch_size, 3, pixels, pixels).contiguous(memory_format=torch.channels_last)


def _precision(bfloat16: bool) -> contextlib.AbstractContextManager:
    return torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()


def _forward(network: str, pixels: int, batch_size: int, bfloat16: bool, compiled: bool) -> Callable[[], object]:
    model = timm.create_model(network, num_classes=0).eval().to(memory_format=torch.channels_last)
    if compiled:
        torch._inductor.config.freezing = True  # folds normalisation and packs weights, as our engines do
        model = torch.compile(model)
    images = _images(pixels, batch_size)

    def work():
        with torch.inference_mode(), _precision(bfloat16):
            return model(images)

    return work


def _train(network: str, pixels: int, batch_size: int, bfloat16: bool, compiled: bool) -> Callable[[], object]:
    model = timm.create_model(network, num_classes=_NUM_CLASSES).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4)
    step_model = torch.compile(model) if compiled else model
    images, labels = _images(pixels, batch_size), torch.arange(batch_size) % _NUM_CLASSES

    def work():
        optimizer.zero_grad(set_to_none=True)
        with _precision(bfloat16):
            loss = torch.nn.functional.cross_entropy(step_model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return work


if __name__ == "__main__":
    main()
