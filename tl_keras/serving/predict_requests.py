"""Reads what clients send: TensorFlow Serving's JSON, a form with files, or a photo as it is."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tl_keras.data.file_kinds import kind_of
from tl_keras.serving.served_model import SIGNATURES

_MAX_INSTANCES = 64


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A request to predict.

    Attributes:
      signature: Name of a signature of the model.
      images: Images as files, or texts in UTF-8.
      by_row: Whether the answer has a row for each, and not a column for each output.
    """

    signature: str
    images: list[bytes]
    by_row: bool


async def read_predict_request(request: Request, body: bytes, takes: str) -> PredictRequest:
    """Returns what a request asks.

    A form (`curl -F file=@photo.jpg`) has an image in each of its files; a body that begins as an image file does
    (`curl --data-binary @photo.jpg`) is one; any other is JSON.

    Args:
      request: The request, for its header.
      body: Its body.
      takes: Input of the model: `image_bytes` or `text`.

    Raises:
      HTTPException: 400, if it is none of these.
    """
    if takes != "text":
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return PredictRequest(SIGNATURES[0], _checked(await _files(request, body)), True)
        if kind_of(body):
            return PredictRequest(SIGNATURES[0], [body], True)
    return _json_request(body, takes)


async def _files(request: Request, body: bytes) -> list[bytes]:
    """Returns the files of a form."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(request.scope, receive).form(max_files=_MAX_INSTANCES, max_fields=_MAX_INSTANCES) as form:
        return [await value.read() for _, value in form.multi_items() if isinstance(value, UploadFile)]


def _checked(images: list[bytes]) -> list[bytes]:
    if not images:
        raise HTTPException(
            400, "request: expected a form with a file, such as curl -F file=@photo.jpg. Received: none."
        )
    return images


def _json_request(body: bytes, takes: str) -> PredictRequest:
    """Returns what a request in TensorFlow Serving's JSON asks.

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
        or_a_file = "" if takes == "text" else ", or the bytes of an image file"
        raise HTTPException(
            400, f"request: expected {expected}{or_a_file}. Received something else ({reason[:200]})."
        ) from error
    signature = request.get("signature_name", SIGNATURES[0])
    if signature not in SIGNATURES:
        raise HTTPException(
            400, f"signature_name: expected one of {', '.join(SIGNATURES)}. Received: {signature!s:.50}."
        )
    return PredictRequest(signature, images, by_row)
