"""Serves a model on a small scale for trying it out: TensorFlow Serving's REST API, metrics, and a page for dropping a photo.

It serves the paths of https://www.tensorflow.org/tfx/serving/api_rest for the signatures that take `image_bytes`. A request
that cannot be answered gets a 4xx status with `{"error": "..."}`, as in TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import math
import pathlib
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tl_keras.config import DEFAULT_MAX_PIXELS
from tl_keras.console import say
from tl_keras.errors import BackboneError, DataError
from tl_keras.serving.batching import MicroBatcher, OverloadError, fastest_batch
from tl_keras.serving.export import newest_version
from tl_keras.serving.look_alikes import LookAlikes
from tl_keras.serving.newer_versions import NewerVersions
from tl_keras.serving.page import POLICY, page_of
from tl_keras.serving.predict_requests import PredictRequest, read_predict_request
from tl_keras.serving.served_model import SIGNATURES, ServedModel, exempt_from_collection
from tl_keras.serving.server_counters import CONTENT_TYPE, ServerCounters
from tl_keras.serving.token_check import RequireToken

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

# Pixels to decode from which on an image is answered in a separate lane, so that it does not keep others waiting for long: an
# ordinary phone photo takes 12 million, a twentieth of a second.
_LONG = 16_000_000
# Number of bytes of a request up to which its headers are read at once, since to ask another thread takes longer.
_SHORT = 2**20
# Part of the time to answer that an image may be expected to wait; the rest is for its own batch.
_MOST_WAIT = 0.8
_MOST_AT_A_TIME = 64
_SECONDS_BETWEEN_LOOKS = 2.0
# Numbers of look-alikes of a photo: unless it is asked for, and at most.
_LOOK_ALIKES, _MOST_LOOK_ALIKES = 12, 100


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a client's requests.

    Attributes:
      body_bytes: Largest size of a request's body.
      image_pixels: Largest number of pixels of an image, as decoded and as resized, computed before anything is decoded.
      seconds_to_send: Time for a client to send its request.
      seconds_to_answer: Time for the server to answer, from the last byte of the request.
      max_batch: Largest number of images answered at a time; 0 means the number that the model answers fastest at, measured at
        the start.
      max_wait_seconds: Time that an image waits for others to share a batch with.
    """

    body_bytes: int = 10 * 2**20
    image_pixels: int = DEFAULT_MAX_PIXELS
    seconds_to_send: float = 10.0
    seconds_to_answer: float = 30.0
    max_batch: int = 0
    max_wait_seconds: float = 0.005


def make_app(
    saved_model: pathlib.Path,
    *,
    name: str,
    limits: Limits,
    token: str = "",
    index: pathlib.Path | None = None,
    runtime: str = "saved_model",
) -> Starlette:
    """Returns the ASGI application.

    Args:
      saved_model: Directory of version directories, as `export_run` writes; the newest is served, and replaced by a newer one.
      name: Name of the model for clients.
      limits: Limits of a client's requests.
      token: Secret that requests must show, all but those for `/healthz`; empty for none.
      runtime: Runtime that computes the network, see `ServedModel`.
      index: File of images that `embed` has made with the same run, for `/v1/similar`; None for none.

    Raises:
      BackboneError: There is no version of the model.
      DataError: The index cannot be read, or was made with another network.
    """
    version = newest_version(saved_model)
    if version is None:
        raise BackboneError(
            f"model: expected a version of a SavedModel in {saved_model}. Received: none. Use python -m tl_keras.export."
        )
    look_alikes = LookAlikes(index) if index else None
    load = functools.partial(ServedModel, name=name, runtime=runtime)
    beside = () if runtime == "saved_model" else (saved_model.parent / runtime,)
    server = _Server(saved_model, load, load(version), name=name, limits=limits, beside=beside, look_alikes=look_alikes)
    model, routes = "/v1/models/{name}", []
    for path in (model, f"{model}/versions/{{version}}"):
        # The predict route comes first: it is asked most, and "{name}" also matches "model:predict".
        routes += [
            Route(f"{path}:predict", server.predict, methods=["POST"]),
            Route(f"{path}/metadata", server.metadata),
            Route(path, server.status),
        ]
    routes += [
        Route("/", server.page),
        Route("/healthz", server.health),
        Route("/metrics", server.metrics),
    ]
    if look_alikes:
        server.require_index_of_model()
        routes += [
            Route("/v1/similar", server.similar, methods=["POST"]),
            Route("/v1/similar/{row}.jpg", server.picture),
        ]
    return Starlette(
        routes=routes,
        lifespan=server.lifespan,
        exception_handlers={HTTPException: _error, Exception: _unexpected},
        middleware=[Middleware(RequireToken, token=token)] if token else [],
    )


class _Server:
    """Serves the newest version of one model, and counts its answers."""

    def __init__(
        self,
        saved_model: pathlib.Path,
        load: Callable[[pathlib.Path], ServedModel],
        model: ServedModel,
        *,
        name: str,
        limits: Limits,
        beside: Sequence[pathlib.Path] = (),
        look_alikes: LookAlikes | None = None,
    ):
        self._name, self._limits = name, limits
        self._load, self._model, self._look_alikes = load, model, look_alikes
        self._newer = NewerVersions(saved_model, beside=beside, ready=self._ready)
        self._counters = ServerCounters()
        self._batchers: dict[tuple[str, bool], MicroBatcher] = {}
        self._answering: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Answers requests from start to stop."""
        ask = functools.partial(self._ask, SIGNATURES[0])
        size = self._limits.max_batch or await asyncio.to_thread(
            fastest_batch, ask, self._model.example(), most=_MOST_AT_A_TIME
        )
        self._batchers = {
            (signature, takes_long): MicroBatcher(
                functools.partial(self._ask, signature),
                max_batch=size,
                max_wait_seconds=self._limits.max_wait_seconds,
                most_seconds=_MOST_WAIT * self._limits.seconds_to_answer,
                workers=1 if takes_long else 2,
                observe=self._counters.batches.observe,
            )
            for signature in SIGNATURES
            for takes_long in (False, True)
        }
        self._answering = [
            asyncio.create_task(batcher.run()) for batcher in self._batchers.values() for _ in range(batcher.workers)
        ]
        self._looking = asyncio.create_task(self._look_for_versions())
        exempt_from_collection()
        yield
        gc.unfreeze()
        for task in (*self._answering, self._looking):
            task.cancel()

    def _ask(self, signature: str, images: Sequence[bytes]) -> list[dict[str, Any]]:
        """Returns the answers of the version that is served when the batch is formed."""
        return self._model.ask(signature, images)

    async def _look_for_versions(self) -> None:
        """Replaces the model by a newer version when there is one; of two, the older answers until the newer is ready."""
        settled = self._model
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            if settled is not self._model:  # by now no batch holds the older one, which is then collected
                settled = self._model
                exempt_from_collection()
            if newer := await self._newer.look(self._model.number):
                self._model = newer
                say(f"version {newer.number} answers from now on")

    def _ready(self, version: pathlib.Path) -> ServedModel:
        """Returns a version that has answered once, so that the first request does not wait for what it prepares."""
        model = self._load(version)
        for signature in SIGNATURES:
            model.ask(signature, [model.example()])
        return model

    async def page(self, request: Request) -> Response:
        """Returns the page for people."""
        model, look_alikes = self._model, self._look_alikes is not None
        page = page_of(self._name, takes=model.takes, class_names=model.class_names, look_alikes=look_alikes)
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    async def health(self, request: Request) -> Response:
        """Returns whether requests are answered."""
        if any(task.done() for task in (*self._answering, self._looking)):
            return PlainTextResponse("server: expected an answer to every request. Restart it.\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        """Returns the counters in Prometheus's format."""
        return Response(self._counters.text(), media_type=CONTENT_TYPE)

    async def status(self, request: Request) -> Response:
        """Returns the state of the model, like TensorFlow Serving's GetModelStatus."""
        self._require_known(request)
        state = {
            "version": str(self._model.number),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return JSONResponse({"model_version_status": [state]})

    async def metadata(self, request: Request) -> Response:
        """Returns the signatures of the model, like TensorFlow Serving's GetModelMetadata."""
        self._require_known(request)
        return JSONResponse(self._model.metadata)

    async def predict(self, request: Request) -> Response:
        """Answers a predict request, in the row or the column format."""
        start = time.monotonic()
        status = 500
        try:
            self._require_known(request)
            asked = await read_predict_request(request, await self._body(request), self._model.takes)
            answers = await self._answers(asked)
            status = 200
            if asked.by_row:
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
            self._counters.requests.labels(str(status)).inc()
            self._counters.seconds.observe(time.monotonic() - start)

    def require_index_of_model(self) -> None:
        """Raises a DataError unless the version that answers now made the index."""
        assert self._look_alikes is not None
        self._look_alikes.index.require_same_network(self._model.identity, f"version {self._model.number} of the model")

    async def similar(self, request: Request) -> Response:
        """Answers with the images of the index that are nearest to each of a request, which is written as for `predict`."""
        assert self._look_alikes is not None
        count = request.query_params.get("count", str(_LOOK_ALIKES))
        if count not in map(str, range(1, _MOST_LOOK_ALIKES + 1)):
            raise HTTPException(400, f"count: expected 1 to {_MOST_LOOK_ALIKES}. Received: {count:.20}.")
        asked = await read_predict_request(request, await self._body(request), self._model.takes)
        try:
            self.require_index_of_model()
        except DataError as error:  # a newer version has been swapped in
            raise HTTPException(409, str(error)) from error
        answers = await self._answers(dataclasses.replace(asked, signature="features"))
        features = [answer["features"] for answer in answers]
        found = await asyncio.to_thread(self._look_alikes.find, features, count=int(count))
        return JSONResponse({"similar": found})

    async def picture(self, request: Request) -> Response:
        """Returns a small picture of an image of the index."""
        assert self._look_alikes is not None
        try:
            jpeg = await asyncio.to_thread(self._look_alikes.picture, _row(request.path_params["row"]))
        except DataError as error:
            raise HTTPException(404, str(error)) from error
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def _answers(self, asked: PredictRequest) -> list[dict[str, Any]]:
        answering: list[asyncio.Future[Any]] = []
        try:
            answering = self._submit(asked, await self._sizes(asked.images))
            async with timeout(self._limits.seconds_to_answer):
                answers = await asyncio.gather(*answering)
        except DataError as error:
            raise HTTPException(400, str(error)) from error
        except OverloadError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": str(math.ceil(error.seconds))}) from error
        except asyncio.TimeoutError as error:
            raise HTTPException(504, "server: the answer took too long. Try again, with fewer images.") from error
        finally:
            for answer in answering:  # of a request that failed, what still waits is not computed
                answer.cancel()
        if asked.signature == SIGNATURES[0]:
            self._count(answers)
        return answers

    def _submit(self, asked: PredictRequest, sizes: Sequence[tuple[int, int]]) -> list[asyncio.Future[Any]]:
        """Puts all images of a request into their lanes, or none."""
        lanes: dict[MicroBatcher, list[int]] = {}
        for index, (_, cost) in enumerate(sizes):
            lanes.setdefault(self._batchers[asked.signature, cost > _LONG], []).append(index)
        for batcher, members in lanes.items():
            batcher.require_room([asked.images[index] for index in members])
        answers: dict[int, asyncio.Future[Any]] = {}
        for batcher, members in lanes.items():
            images, pixels = [asked.images[index] for index in members], [sizes[index][0] for index in members]
            answers.update(zip(members, batcher.submit(images, pixels=pixels), strict=True))
        return [answers[index] for index in range(len(sizes))]

    async def _sizes(self, images: list[bytes]) -> list[tuple[int, int]]:
        """Returns size and cost of each image, as `ServedModel.size` does."""
        sizes = functools.partial(self._model.sizes, images, max_pixels=self._limits.image_pixels)
        return sizes() if sum(map(len, images)) < _SHORT else await asyncio.to_thread(sizes)

    def _count(self, answers: Sequence[dict[str, Any]]) -> None:
        """Counts answers for `/metrics`, and says what the statistics of many show."""
        model = self._model
        for answer in answers:
            names = model.task.names_in(answer)
            for name in names:
                self._counters.labels.labels(name).inc()
            self._counters.outliers.inc(answer["outlier"] > 1)
            if found := model.watch.add(names, answer["outlier"]):
                say(found)

    async def _body(self, request: Request) -> bytes:
        """Returns the request's body, unless it is too large or too slow."""
        limit = self._limits.body_bytes
        too_large = HTTPException(
            413, f"request: expected at most {limit:,} bytes. Received more. Send a smaller image."
        )
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise too_large
        body = bytearray()
        try:
            async with timeout(self._limits.seconds_to_send):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise too_large
            return bytes(body)
        except asyncio.TimeoutError as error:
            raise HTTPException(
                408,
                f"request: expected it within {self._limits.seconds_to_send:g} seconds. Received: a part of it.",
                headers={"Connection": "close"},
            ) from error

    def _require_known(self, request: Request) -> None:
        known = str(self._model.number)
        name, version = request.path_params["name"], request.path_params.get("version", known)
        if request.url.path.endswith(":predict") and request.method != "POST":
            raise HTTPException(405, f"request: expected POST. Received: {request.method}.", {"Allow": "POST"})
        if (name, version) != (self._name, known):
            raise HTTPException(
                404,
                f"Servable not found for request: Specific({name:.50}, {version:.50}); there is {self._name}, {known}.",
            )


def _row(text: str) -> int:
    """Returns the row that a path names; -1, which no index has, where it is none."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else -1


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = error.detail.encode("utf-8", "replace").decode()  # what a client sent may have half a character
    return JSONResponse({"error": said}, status_code=error.status_code, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "server: an error of its own; its log has it"}, status_code=500)
