"""Serves a model on a small scale for trying it out: TensorFlow Serving's REST API, metrics, and a page for dropping a photo.

It serves the paths of https://www.tensorflow.org/tfx/serving/api_rest for the signatures that take `image_bytes`. A request
that cannot be answered gets a 4xx status with `{"error": "..."}`, as in TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import prometheus_client
import tensorflow as tf
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.console import say
from tl_keras.data.image_header import read_image_size
from tl_keras.errors import BackboneError, DataError
from tl_keras.serving.batching import MicroBatcher, OverloadError
from tl_keras.serving.export import newest_version
from tl_keras.serving.monitoring import Watch
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.tasks.base import task_of

_SIGNATURES = ("serving_default", "features")
_MAX_INSTANCES = 64
# Pixels to decode from which on an image is answered in a separate lane, so that it does not keep others waiting for long: an
# ordinary phone photo takes 12 million, a twentieth of a second.
_LONG = 16_000_000
# The page loads nothing from other hosts, and its photo stays between the browser and this server.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src blob:"
)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a client's requests.

    Attributes:
      body_bytes: Largest size of a request's body.
      image_pixels: Largest number of pixels of an image, as decoded and as resized, computed before anything is decoded.
      seconds_to_send: Time for a client to send its request.
      seconds_to_answer: Time for the server to answer, from the last byte of the request.
      max_batch: Largest number of images answered at a time.
      max_wait_seconds: Time that an image waits for others to share a batch with.
    """

    body_bytes: int = 10 * 2**20
    image_pixels: int = DEFAULT_MAX_PIXELS
    seconds_to_send: float = 10.0
    seconds_to_answer: float = 30.0
    max_batch: int = 32
    max_wait_seconds: float = 0.005


def make_app(saved_model: pathlib.Path, *, name: str, limits: Limits) -> Starlette:
    """Returns the ASGI application.

    Args:
      saved_model: Directory of version directories, as `export_run` writes; the newest is served.
      name: Name of the model for clients.
      limits: Limits of a client's requests.

    Raises:
      BackboneError: There is no version of the model.
    """
    version = newest_version(saved_model)
    if version is None:
        raise BackboneError(
            f"model: expected a version of a SavedModel in {saved_model}. Received: none. Use python -m tl_keras.export."
        )
    server = _Server(version, name=name, limits=limits)
    model = "/v1/models/{name}"
    routes = [
        Route("/", server.page),
        Route("/healthz", server.health),
        Route("/metrics", server.metrics),
    ]
    for path in (model, f"{model}/versions/{{version}}"):
        # The predict route comes first: "{name}" also matches "model:predict".
        routes += [
            Route(f"{path}:predict", server.predict, methods=["POST"]),
            Route(f"{path}/metadata", server.metadata),
            Route(path, server.status),
        ]
    return Starlette(
        routes=routes, lifespan=server.lifespan, exception_handlers={HTTPException: _error, Exception: _unexpected}
    )


class _Server:
    """Serves one version of one model, and counts its answers."""

    def __init__(self, version: pathlib.Path, *, name: str, limits: Limits):
        self._name, self._version, self._limits = name, int(version.name), limits
        self._loaded = open_saved_model(str(version))
        self._metadata = _metadata(version, name=name)
        facts = json.loads((version / "assets.extra" / "tl_keras.json").read_text(encoding="utf-8"))
        self._task = task_of(facts)
        answers = self._task.answer_names(facts["class_names"])
        self._watch = Watch(answers, np.array(facts["validation_answers"], np.int64))
        (self._takes,) = self._loaded.signatures["serving_default"].structured_input_signature[1]
        is_text = self._takes == "text"
        self._preprocess = None if is_text else PreprocessSpec.from_json(facts["preprocess"])
        self._page = pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8").replace("{{name}}", name)
        self._registry = prometheus_client.CollectorRegistry()
        counter = functools.partial(prometheus_client.Counter, registry=self._registry)
        self._requests = counter("tl_keras_requests_total", "Predict requests, by HTTP status.", ["status"])
        self._labels = counter("tl_keras_answers_total", "Images answered, by label.", ["label"])
        self._outliers = counter("tl_keras_outliers_total", "Images unlike 95% of the validation images.")
        self._seconds = prometheus_client.Histogram(
            "tl_keras_request_seconds", "From a request's first byte to its answer.", registry=self._registry
        )
        self._batches = prometheus_client.Histogram(
            "tl_keras_batch_images",
            "Images answered at a time.",
            registry=self._registry,
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )
        self._batchers: dict[tuple[str, bool], MicroBatcher] = {}
        self._answering: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Answers requests from start to stop."""
        self._batchers = {
            (signature, takes_long): MicroBatcher(
                functools.partial(_ask, self._loaded.signatures[signature], self._takes),
                max_batch=self._limits.max_batch,
                max_wait_seconds=self._limits.max_wait_seconds,
                observe=self._batches.observe,
            )
            for signature in _SIGNATURES
            for takes_long in (False, True)
        }
        self._answering = [asyncio.create_task(batcher.run()) for batcher in self._batchers.values()]
        yield
        for task in self._answering:
            task.cancel()

    async def page(self, request: Request) -> Response:
        """Returns the page for people."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _PAGE_POLICY})

    async def health(self, request: Request) -> Response:
        """Returns whether requests are answered."""
        if any(task.done() for task in self._answering):
            return PlainTextResponse("server: expected an answer to every request. Restart it.\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        """Returns the counters in Prometheus's format."""
        return Response(
            prometheus_client.generate_latest(self._registry), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    async def status(self, request: Request) -> Response:
        """Returns the state of the model, like TensorFlow Serving's GetModelStatus."""
        self._require_known(request)
        state = {
            "version": str(self._version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return JSONResponse({"model_version_status": [state]})

    async def metadata(self, request: Request) -> Response:
        """Returns the signatures of the model, like TensorFlow Serving's GetModelMetadata."""
        self._require_known(request)
        return JSONResponse(self._metadata)

    async def predict(self, request: Request) -> Response:
        """Answers a predict request, in the row or the column format."""
        start = time.monotonic()
        status = 500
        try:
            self._require_known(request)
            signature, images, by_row = _parse(await self._body(request), self._takes)
            answers = await self._answers(signature, images)
            status = 200
            if by_row:
                only = len(answers[0]) == 1  # a single output goes without its name, as in TensorFlow Serving
                rows = [next(iter(answer.values())) if only else answer for answer in answers]
                return JSONResponse({"predictions": rows})
            columns = {key: [answer[key] for answer in answers] for key in answers[0]}
            return JSONResponse({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))})
        except HTTPException as error:
            status = error.status_code
            raise
        except ClientDisconnect:
            status = 400
            return Response(status_code=status)
        finally:
            self._requests.labels(str(status)).inc()
            self._seconds.observe(time.monotonic() - start)

    async def _answers(self, signature: str, images: list[bytes]) -> list[dict[str, Any]]:
        sizes = await asyncio.to_thread(lambda: [self._size(image) for image in images])
        answering = asyncio.gather(
            *(
                self._batchers[signature, cost > _LONG].answer(image, pixels=pixels)
                for image, (pixels, cost) in zip(images, sizes, strict=True)
            )
        )
        try:
            answers = await asyncio.wait_for(answering, self._limits.seconds_to_answer)
        except DataError as error:
            raise HTTPException(400, str(error)) from error
        except OverloadError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "1"}) from error
        except asyncio.TimeoutError as error:
            raise HTTPException(504, "server: the answer took too long. Try again, with fewer images.") from error
        if signature == "serving_default":
            for answer in answers:
                names = self._task.names_in(answer)
                for name in names:
                    self._labels.labels(name).inc()
                self._outliers.inc(answer["outlier"] > 1)
                if found := self._watch.add(names, answer["outlier"]):
                    say(found)
        return answers

    def _size(self, image: bytes) -> tuple[int, int]:
        """Returns the largest number of pixels held while an image is answered, and its cost.

        The cost is the number of pixels that decoding passes over: a progressive JPEG takes a pass for each scan.
        """
        limit = self._limits.image_pixels
        if self._preprocess is None:  # a text, whose length the request's bounds
            return len(image), len(image)
        try:
            size = read_image_size(image, max_pixels=limit)
        except DataError as error:
            raise HTTPException(400, str(error)) from error
        resized = self._preprocess.resized_pixels(size.height, size.width)
        if resized > limit:
            raise HTTPException(
                400,
                f"image: too large. Expected at most {limit:,} pixels while it is resized for the model. Received: "
                f"{size.width} x {size.height}, which takes {resized:,}. Send a less narrow one.",
            )
        return max(size.pixels, resized), size.pixels * size.scans + resized

    async def _body(self, request: Request) -> bytes:
        """Returns the request's body, unless it is too large or too slow."""
        limit = self._limits.body_bytes
        too_large = HTTPException(
            413, f"request: expected at most {limit:,} bytes. Received more. Send a smaller image."
        )
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise too_large

        async def read() -> bytes:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
            return bytes(body)

        try:
            return await asyncio.wait_for(read(), self._limits.seconds_to_send)
        except asyncio.TimeoutError as error:
            raise HTTPException(
                408,
                f"request: expected it within {self._limits.seconds_to_send:g} seconds. Received: a part of it.",
                headers={"Connection": "close"},
            ) from error

    def _require_known(self, request: Request) -> None:
        known = str(self._version)
        name, version = request.path_params["name"], request.path_params.get("version", known)
        if (name, version) != (self._name, known):
            raise HTTPException(
                404,
                f"Servable not found for request: Specific({name:.50}, {version:.50}); there is {self._name}, {known}.",
            )


def _ask(signature: Any, takes: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
    """Returns a signature's outputs for each image or text, its input `takes`, as JSON values."""
    try:
        answer = signature(**{takes: tf.constant(images)})
    except tf.errors.InvalidArgumentError as error:
        raise DataError("image: expected a file that can be decoded. Received: a damaged one.") from error
    columns = {name: _json_values(value.numpy()) for name, value in answer.items()}
    return [{name: column[row] for name, column in columns.items()} for row in range(len(images))]


def _json_values(values: Any) -> list[Any]:
    decoded = np.char.decode(values.astype(bytes), "utf-8") if values.dtype == object else values
    return decoded.tolist()


def _parse(body: bytes, takes: str) -> tuple[str, list[bytes], bool]:
    """Returns the signature, the images or texts, and whether the answer has a row for each.

    Raises:
      HTTPException: 400, if the request does not follow TensorFlow Serving's REST API.
    """
    each = '"..."' if takes == "text" else '{"b64": "..."}'
    expected = f'{{"instances": [{each}]}} or {{"inputs": [{each}]}}'
    try:
        request = json.loads(body)
        by_row = "instances" in request
        if by_row == ("inputs" in request):
            raise ValueError("neither or both of instances and inputs")
        given = request["instances"] if by_row else request["inputs"]
        if not by_row and isinstance(given, dict) and set(given) == {takes}:
            given = given[takes]
        if not isinstance(given, list) or not 1 <= len(given) <= _MAX_INSTANCES:
            raise ValueError(f"expected a list of 1 to {_MAX_INSTANCES} {'texts' if takes == 'text' else 'images'}")
        values = [row.get(takes, row) if isinstance(row, dict) else row for row in given]
        images = [
            value.encode("utf-8", "replace") if takes == "text" else base64.b64decode(value["b64"], validate=True)
            for value in values
        ]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        reason = f"{type(error).__name__}: {error}"
        raise HTTPException(400, f"request: expected {expected}. Received something else ({reason[:200]}).") from error
    signature = request.get("signature_name", _SIGNATURES[0])
    if signature not in _SIGNATURES:
        raise HTTPException(
            400, f"signature_name: expected one of {', '.join(_SIGNATURES)}. Received: {signature!s:.50}."
        )
    return signature, images, by_row


def _metadata(version: pathlib.Path, *, name: str) -> dict[str, Any]:
    """Returns the supported signatures in the format of TensorFlow Serving's REST API."""
    saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signatures = {
        key: json_format.MessageToDict(
            signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for key, signature in saved.meta_graphs[0].signature_def.items()
        if key in _SIGNATURES
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version.name},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "server: an error of its own; its log has it"}, status_code=500)
