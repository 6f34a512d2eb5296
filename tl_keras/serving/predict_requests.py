"""Reads what clients send: TensorFlow Serving's JSON, a form with files, or a photo as it is."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tl_keras.data.file_kinds import kind_of
from tl_keras.serving.served_model import SIGNATURES

_MAX_INSTANCES = 64
_WHITE_SPACE = b" \t\r\n"

# Starlette's parser of forms warns of each one that is none, which would let strangers fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


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
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
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
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(takes, "something else, which is no JSON" if body else "an empty body") from error
    if not isinstance(request, dict):
        raise _unreadable(takes, f"JSON that is {_kind(request)}")
    by_row = "instances" in request
    if by_row == ("inputs" in request):
        raise _unreadable(takes, "both" if by_row else "neither")
    given = request["instances"] if by_row else request["inputs"]
    if not by_row and isinstance(given, dict) and set(given) == {takes}:
        given = given[takes]
    if not isinstance(given, list) or not 1 <= len(given) <= _MAX_INSTANCES:
        found = f"a list of {len(given)}" if isinstance(given, list) else _kind(given)
        raise _unreadable(
            takes, f"{found} in place of a list of 1 to {_MAX_INSTANCES} {'texts' if takes == 'text' else 'images'}"
        )
    read = _text if takes == "text" else _file
    values = [row.get(takes, row) if isinstance(row, dict) else row for row in given]
    images = [read(value, f"number {number} of {len(given)}") for number, value in enumerate(values, start=1)]
    signature = request.get("signature_name") or SIGNATURES[0]  # an empty one is the first, as in TensorFlow Serving
    if signature not in SIGNATURES:
        raise HTTPException(
            400, f"signature_name: expected one of {', '.join(SIGNATURES)}. Received: {signature!s:.50}."
        )
    return PredictRequest(signature, images, by_row)


def _text(value: Any, which: str) -> bytes:
    if not isinstance(value, str):
        raise _unreadable("text", f"{_kind(value)} in place of a text, {which}")
    return value.encode("utf-8", "replace")


def _file(value: Any, which: str) -> bytes:
    """Returns the file that TensorFlow Serving's JSON object of base64 holds, which may have line breaks."""
    encoded = value.get("b64") if isinstance(value, dict) else None
    if not isinstance(encoded, str):
        raise _unreadable("image_bytes", f'{_kind(value)} without "b64", {which}')
    try:
        return base64.b64decode(encoded.encode("ascii").translate(None, _WHITE_SPACE), validate=True)
    except ValueError as error:
        raise _unreadable("image_bytes", f"other characters than those of base64, {which}") from error


def _kind(value: Any) -> str:
    """Returns what a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _unreadable(takes: str, received: str) -> HTTPException:
    each = '"..."' if takes == "text" else '{"b64": "..."}'
    or_a_file = "" if takes == "text" else ", or the bytes of an image file"
    return HTTPException(
        400,
        f'request: expected {{"instances": [{each}]}} or {{"inputs": [{each}]}}{or_a_file}. Received {received}.',
    )
