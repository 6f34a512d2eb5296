"""Tests of tl_keras.serving.predict_requests: every way to send images is understood, and what is none is refused."""

import asyncio

import pytest

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tl_keras.serving.predict_requests import read_predict_request

PNG = b"\x89PNG\r\n\x1a\n rest \r\n--x of it"
FILE = b'--y\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + PNG + b"\r\n"
FORM = "multipart/form-data; boundary=y"
JSON = b'{"inputs": [{"b64": "YQ=="}]}'


def read(body, content_type="", takes="image_bytes"):
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())], "app": None}
    return asyncio.run(read_predict_request(Request(scope), body, takes))


@pytest.mark.parametrize(
    ("body", "content_type", "images"),
    [
        (PNG, "application/x-www-form-urlencoded", [PNG]),
        (PNG, "image/png", [PNG]),
        (FILE + FILE + b"--y--\r\n", FORM, [PNG, PNG]),
        (JSON, "application/x-www-form-urlencoded", [b"a"]),
    ],
)
def test_photos_come_as_they_are_in_forms_and_in_json(body, content_type, images):
    assert read(body, content_type).images == images


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"--y--\r\n", FORM), (FILE * 65 + b"--y--\r\n", FORM), (b"no form", FORM), (b"", "")]
)
def test_what_is_none_of_these_is_refused(body, content_type):
    with pytest.raises(HTTPException) as refused:
        read(body, content_type)
    assert refused.value.status_code == 400


def test_a_text_is_never_taken_for_a_photo():
    assert read(b'{"instances": ["<svg"]}', takes="text").images == [b"<svg"]
