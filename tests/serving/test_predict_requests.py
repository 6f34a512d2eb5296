"""Tests of tl_keras.serving.predict_requests: every way to send images is understood, and what is none is refused."""

import asyncio
import tracemalloc

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


def test_a_form_that_is_none_leaves_no_line_in_the_log(caplog):
    with pytest.raises(HTTPException, match="multipart"):
        read(b"no form", FORM)
    assert not caplog.records


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"--y--\r\n", FORM), (FILE * 65 + b"--y--\r\n", FORM), (b"no form", FORM), (b"", "")]
)
def test_what_is_none_of_these_is_refused(body, content_type):
    with pytest.raises(HTTPException) as refused:
        read(body, content_type)
    assert refused.value.status_code == 400


def test_a_text_is_never_taken_for_a_photo():
    assert read(b'{"instances": ["<svg"]}', takes="text").images == [b"<svg"]


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (b"", "an empty body"),
        (b"photo", "something else, which is no JSON"),
        (b"[" * 100_000, "something else, which is no JSON"),
        (b'["instances"]', "JSON that is a list"),
        (b"3", "JSON that is a number"),
        (b'{"instances": [], "inputs": []}', "both"),
        (b"{}", "neither"),
        (b'{"instances": []}', "a list of 0 in place of a list of 1 to 64 images"),
        (b'{"inputs": {"b64": "YQ=="}}', "an object in place of a list of 1 to 64 images"),
        (b'{"instances": [{"b64": "YQ=="}, "YQ=="]}', 'a text without "b64", number 2 of 2'),
        (b'{"instances": [{"b64": 3}]}', 'an object without "b64", number 1 of 1'),
        (b'{"instances": [{"b64": "*"}]}', "other characters than those of base64, number 1 of 1"),
        ('{"instances": [{"b64": "é"}]}'.encode(), "other characters than those of base64, number 1 of 1"),
    ],
)
def test_what_was_received_is_said_in_words(body, received):
    with pytest.raises(HTTPException) as refused:
        read(body)
    assert refused.value.detail.endswith(f", or the bytes of an image file. Received {received}.")


def test_a_number_in_place_of_a_text_is_said():
    with pytest.raises(HTTPException, match="Received a number in place of a text, number 1 of 1") as refused:
        read(b'{"instances": [3]}', takes="text")
    assert refused.value.status_code == 400


def test_base64_may_have_line_breaks_and_the_kind_of_a_form_capitals():
    assert read(b'{"instances": [{"b64": "Y\\nQ==\\n"}]}').images == [b"a"]
    assert read(FILE + b"--y--\r\n", FORM.replace("multipart", "Multipart")).images == [PNG]


def test_white_space_costs_no_memory_of_its_own():
    body = b'{"instances": [{"b64": "%s"}]}' % (b"YQ " * 2**18)
    tracemalloc.start()
    read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(body)  # 20 times as much where the pieces between the spaces are texts


def test_an_empty_name_of_a_signature_is_the_first():
    assert read(JSON[:-1] + b', "signature_name": ""}').signature == "serving_default"
