"""Tests of tl_keras.serving.server, as a process of its own that real clients ask."""

import asyncio
import base64
import concurrent.futures
import contextlib
import gc
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import time
import weakref

import numpy as np
import PIL.Image
import pytest
from forked_commands import start_command

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
from tl_keras.serving.served_model import ServedModel
from tl_keras.serving.server import Limits, make_app, timeout

PREDICT = "/v1/models/digits:predict"


@pytest.fixture(scope="module")
def server(run):
    """A server's port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--name=digits", f"--port={port}", "--max_body_mb=2", "--timeout_seconds=2"]
    process = start_command("serve", f"--workdir={run.path}", *options)
    try:
        while True:
            assert process.is_alive()
            try:
                ask(port, "/healthz")
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.join()


def ask(port, path, body=None):
    """Returns the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def refused_as_too_large(port, body):
    """Whether the server answers 413, or closes while the client still sends, which http.client sees as a broken pipe."""
    try:
        return ask(port, PREDICT, body)[0] == 413
    except (BrokenPipeError, ConnectionResetError):
        return True


def instances(*images, **more):
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode()} for image in images], **more})


def image(run, index):
    return (run.path / "images" / f"{index}.png").read_bytes()


def png_of(width, height):
    """Returns the start of a PNG file that says it is so large."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(30)


def jpeg_of_scans(scans, *, side):
    """Returns a progressive JPEG of so many scans, at least the first and the last, which is repeated."""
    file = io.BytesIO()
    PIL.Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + (scans - whole.count(b"\xff\xda")) * last + whole[-2:]


def grey_png(width, height):
    """Returns a whole PNG file, small for what it holds."""
    file = io.BytesIO()
    PIL.Image.new("L", (width, height), 128).save(file, "PNG")
    return file.getvalue()


@pytest.mark.long
def test_rows_and_columns_give_what_predict_gives(run, server, predicted):
    files = [run.path / "images" / f"{index}.png" for index in range(10)]
    encoded = [{"b64": base64.b64encode(file.read_bytes()).decode()} for file in files]
    _, by_row = ask(server[0], PREDICT, json.dumps({"instances": [{"image_bytes": value} for value in encoded]}))
    _, by_column = ask(server[0], PREDICT, json.dumps({"inputs": {"image_bytes": encoded}}))
    rows, columns = json.loads(by_row)["predictions"], json.loads(by_column)["outputs"]
    assert [row["label"] for row in rows] == columns["label"] == [row["label"] for row in predicted]
    np.testing.assert_allclose([row["score"] for row in rows], [row["score"] for row in predicted], atol=1e-5)


def test_awkward_labels_are_answered_exactly(run, source, server):
    status, answer = ask(server[0], PREDICT, instances(image(run, 0)))
    assert status == 200
    assert source.class_names[0] in json.loads(answer)["predictions"][0]["top_k_labels"]


def test_a_signature_with_one_output_goes_without_its_name(run, server):
    status, answer = ask(server[0], PREDICT, instances(image(run, 0), signature_name="features"))
    assert status == 200
    assert len(json.loads(answer)["predictions"][0]) == 16


def test_health_says_when_nothing_is_answered_any_more(run):
    app = make_app(run.path / "saved_model", name="digits", limits=Limits())
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    async def check():
        await app({"type": "http", "method": "GET", "path": "/healthz", "headers": []}, receive, send)
        return sent[-2]["status"]

    async def check_before_and_after():
        async with app.router.lifespan_context(app):
            before = await check()
            batcher = next(task for task in asyncio.all_tasks() if "MicroBatcher.run" in repr(task))
            batcher.cancel()
            await asyncio.sleep(0.01)
            return before, await check()

    assert asyncio.run(check_before_and_after()) == (200, 503)


def test_status_and_metadata(server):
    status = json.loads(ask(server[0], "/v1/models/digits")[1])
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    metadata = json.loads(ask(server[0], "/v1/models/digits/versions/1/metadata")[1])
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "features"}  # those that predict answers
    assert signatures["serving_default"]["inputs"]["image_bytes"]["dtype"] == "DT_STRING"


def test_status_and_metadata_are_tensorflow_servings_own_messages(server):
    status = pytest.importorskip(
        "tensorflow_serving.apis.get_model_status_pb2", reason="pip install --no-deps tensorflow-serving-api"
    )
    metadata = pytest.importorskip("tensorflow_serving.apis.get_model_metadata_pb2")
    from google.protobuf import json_format

    answered = json.loads(ask(server[0], "/v1/models/digits")[1])
    json_format.ParseDict(answered, status.GetModelStatusResponse())
    answered = json.loads(ask(server[0], "/v1/models/digits/metadata")[1])
    json_format.ParseDict(answered["metadata"]["signature_def"], metadata.SignatureDefMap())


def test_what_predict_asks_and_answers_fits_tensorflow_servings_messages(run, server):
    predict = pytest.importorskip(
        "tensorflow_serving.apis.predict_pb2", reason="pip install --no-deps tensorflow-serving-api"
    )
    import tensorflow as tf

    request = predict.PredictRequest()
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([image(run, index) for index in range(3)]))
    request = predict.PredictRequest.FromString(request.SerializeToString())
    asked = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
    answers = tf.saved_model.load(str(run.path / "saved_model" / "1")).signatures["serving_default"](**asked)

    rows = json.loads(ask(server[0], PREDICT, instances(*(image(run, index) for index in range(3))))[1])["predictions"]
    assert set(rows[0]) == set(answers)
    for name, tensor in answers.items():
        answer = tf.make_ndarray(tf.make_tensor_proto(tensor))
        assert answer.shape == (3, *np.shape(rows[0][name]))
        if answer.dtype.kind == "f":
            np.testing.assert_allclose([row[name] for row in rows], answer, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (PREDICT, "{", 400, "request: expected"),
        (PREDICT, "[" * 100_000, 400, "request: expected"),
        (PREDICT, '"text"', 400, "request: expected"),
        (PREDICT, '{"instances": []}', 400, "1 to 64 images"),
        (PREDICT, '{"instances": [{"b64": ""}], "signature_name": "\\ud800"}', 400, "signature_name: expected"),
        (PREDICT, '{"instances": [{"b64": "%%"}]}', 400, "request: expected"),
        (PREDICT, instances(b"no image"), 400, "another kind of file"),
        (PREDICT, instances(png_of(8, 8)), 400, "damaged"),
        (PREDICT, instances(png_of(4_000_000, 1)), 400, "4000000 x 1"),
        (PREDICT, instances(png_of(0, 8)), 400, "at least 1 pixel"),
        (PREDICT, instances(png_of(10_000, 8_000)), 400, "too large"),
        (PREDICT, instances(jpeg_of_scans(101, side=8)), 400, "at most 100 scans"),
        (PREDICT, instances(jpeg_of_scans(15_000, side=64)), 400, "Received: 15,000"),
        (PREDICT, jpeg_of_scans(15_000, side=64), 400, "Received: 15,000"),
        (PREDICT, b"GIF89a", 400, "image: expected"),
        (PREDICT, instances(jpeg_of_scans(2, side=64)[:-2]), 400, "a JPEG without an end"),
        (PREDICT, instances(b"", signature_name="none"), 400, "signature_name"),
        (PREDICT, " " * 3_000_000, 413, "2,000,000 bytes"),
        ("/v1/models/cats:predict", instances(b""), 404, "not found"),
        ("/v1/models/digits/versions/7:predict", instances(b""), 404, "not found"),
        (f"/v1/models/digits/versions/{'9' * 5000}:predict", instances(b""), 404, "not found"),
        (f"/v1/models/digits/versions/{'9' * 5000}", None, 404, "not found"),
        ("/v1/models/digits/versions/one/metadata", None, 404, "not found"),
    ],
)
def test_what_cannot_be_answered_is_a_clear_4xx(server, path, body, status, says):
    found, answer = ask(server[0], path, body)
    assert found == status
    assert says in json.loads(answer)["error"]


@pytest.mark.parametrize("way", ["bytes", "form"])
def test_a_photo_is_answered_as_curl_sends_it(run, server, way):
    file, header = image(run, 0), {"Content-Type": "application/x-www-form-urlencoded"}  # of curl --data-binary
    body = file
    if way == "form":
        header = {"Content-Type": "multipart/form-data; boundary=--x"}
        body = (
            b'----x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + file
            + b"\r\n----x--\r\n"
        )
    connection = http.client.HTTPConnection("127.0.0.1", server[0], timeout=60)
    connection.request("POST", PREDICT, body, header)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == ask(server[0], PREDICT, instances(file))
    connection.close()


def test_many_clients_with_many_images_are_answered_or_told_to_wait(run, server):
    body = instances(*(image(run, index % 10) for index in range(16)))
    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        statuses = [status for status, _ in clients.map(lambda _: ask(server[0], PREDICT, body), range(64))]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 32


def asked(app, path, *, body=b"", token=""):
    """Returns the status and the JSON that an application answers, which runs in this process."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    async def whole():
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {
            "type": "http",
            "method": "POST" if body else "GET",
            "path": path,
            "headers": headers,
            "query_string": b"",
        }
        await app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    return whole()


@pytest.mark.long
def test_a_new_version_takes_over_without_an_error_and_a_damaged_one_once_it_is_mended(
    run, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr("tl_keras.serving.server._SECONDS_BETWEEN_LOOKS", 0.05)
    shutil.copytree(run.path / "saved_model" / "1", tmp_path / "1")
    models = []

    def remembered(*arguments, **keywords):
        model = ServedModel(*arguments, **keywords)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("tl_keras.serving.server.ServedModel", remembered)
    app = make_app(tmp_path, name="digits", limits=Limits(max_batch=4), token="secret")

    async def watch():
        async with app.router.lifespan_context(app):
            assert gc.get_freeze_count()  # the collector passes over the network while answers wait
            assert (await asked(app, PREDICT, body=image(run, 0)))[0] == 401
            assert (await asked(app, "/healthz"))[0] == (await asked(app, "/"))[0] == 200
            shutil.copytree(run.path / "saved_model" / "1", tmp_path / "3")
            (tmp_path / "3" / "variables" / "variables.index").write_bytes(b"")  # as when a disk is full
            statuses = []
            while "version 3 is not served" not in capfd.readouterr().err:
                statuses.append((await asked(app, PREDICT, body=image(run, 0), token="secret"))[0])
            for version in ("2", "3"):  # an older one than what is damaged, and that one mended
                shutil.copytree(run.path / "saved_model" / "1", tmp_path / version, dirs_exist_ok=True)
                served = b""
                while f'"{version}"'.encode() not in served:
                    statuses.append((await asked(app, PREDICT, body=image(run, 0), token="secret"))[0])
                    served = (await asked(app, "/v1/models/digits", token="secret"))[1]
            async with timeout(20):
                while sum(model() is not None for model in models) > 1:  # those that were replaced are not kept
                    await asyncio.sleep(0.05)
            return statuses

    assert set(asyncio.run(watch())) == {200}
    assert not gc.get_freeze_count()


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/digits/versions/1:predict"])
def test_predict_is_asked_by_post(server, path):
    status, answer = ask(server[0], path)
    assert status == 405
    assert json.loads(answer)["error"] == "request: expected POST. Received: GET."


def test_of_several_images_the_broken_one_is_named(run, server):
    status, answer = ask(server[0], PREDICT, instances(image(run, 0), b"no image", image(run, 1)))
    assert status == 400
    assert json.loads(answer)["error"].startswith("image 2 of 3: expected a JPEG, PNG")


def test_a_photo_that_is_none_is_refused_in_words(server):
    status, answer = ask(server[0], PREDICT, b"no image")
    assert status == 400
    assert ", or the bytes of an image file. Received something else" in json.loads(answer)["error"]


def test_a_small_file_of_sixty_megapixels_is_refused(server):
    status, answer = ask(server[0], PREDICT, instances(grey_png(10_000, 6_000)))
    assert status == 400
    assert "10000 x 6000" in json.loads(answer)["error"]


def test_what_takes_long_keeps_no_other_waiting(run, server):
    port, _ = server
    long = instances(jpeg_of_scans(100, side=4000))
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        start = time.monotonic()
        answered = other.submit(ask, port, PREDICT, long)
        time.sleep(0.5)
        for index in range(5):
            assert ask(port, PREDICT, instances(image(run, index)))[0] == 200
            assert ask(port, "/healthz")[0] == 200
        assert not answered.done()  # it takes long indeed
        short = time.monotonic() - start
        assert answered.result()[0] == 200
    assert time.monotonic() - start > 1.5 * short


def test_a_body_without_a_length_is_limited_too(server):
    chunks = (b" " * 100_000 for _ in range(30))
    assert refused_as_too_large(server[0], chunks)


def slow_client(port):
    """Sends half a request and waits; returns the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        return int(client.recv(100).split()[1])


def test_a_slow_client_is_sent_away(server):
    assert slow_client(server[0]) == 408


@pytest.mark.parametrize(
    "start",
    [
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX-header: ",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",  # answered; nobody reads its body
    ],
)
def test_a_connection_is_not_held_open_byte_by_byte(server, start):
    with socket.create_connection(("127.0.0.1", server[0]), timeout=0.2) as client:
        client.sendall(start.encode())
        until = time.monotonic() + 10
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() < until:
                try:
                    if not client.recv(1000):
                        break
                except TimeoutError:
                    client.sendall(b"a")
        assert time.monotonic() < until


def test_a_connection_is_kept_for_the_next_request(server):
    connection = http.client.HTTPConnection("127.0.0.1", server[0], timeout=60)
    connection.connect()
    first = connection.sock
    for _ in range(2):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        time.sleep(1)
    assert connection.sock is first
    connection.close()


def test_the_metrics_count_answers(run, server):
    ask(server[0], PREDICT, instances(image(run, 0)))
    metrics = ask(server[0], "/metrics")[1].decode()
    assert 'tl_keras_requests_total{status="200"}' in metrics
    assert "tl_keras_outliers_total" in metrics


def test_the_page_is_one_file_that_asks_for_nothing_from_elsewhere(server):
    status, page = ask(server[0], "/")
    assert status == 200
    assert b"/v1/models/digits:predict" in page
    assert b"http" not in page
    functions = re.findall(rb"function (\w+)\(", page)
    assert len(set(functions)) == len(functions) > 3  # of two of one name the later one is both


def resident_megabytes(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
def test_under_load_the_right_are_answered_the_broken_refused_and_memory_stays_flat(run, server, predicted):
    """3,000 requests, 32 at a time, a tenth of them broken in four ways; prints the latencies."""
    port, pid = server
    files = [run.path / "images" / f"{index}.png" for index in range(10)]
    labels = [row["label"] for row in predicted]
    good = [instances(file.read_bytes()) for file in files]
    broken = [
        lambda: ask(port, PREDICT, instances(b"no image"))[0] == 400,
        lambda: ask(port, PREDICT, huge)[0] == 400,
        lambda: refused_as_too_large(port, b" " * 20_000_000),
        lambda: slow_client(port) == 408,
    ]
    huge = instances(grey_png(10_000, 6_000))
    seconds = []

    def one(number):
        if number % 10 == 9:
            return broken[number // 10 % 4]()
        start = time.monotonic()
        status, answer = ask(port, PREDICT, good[number % 10])
        seconds.append(time.monotonic() - start)
        return status == 200 and json.loads(answer)["predictions"][0]["label"] == labels[number % 10]

    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        assert all(clients.map(one, range(500)))
        before = resident_megabytes(pid)
        seconds.clear()
        assert all(clients.map(one, range(3000)))
    grown = resident_megabytes(pid) - before
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    print(f"\np50 {p50:.0f} ms, p99 {p99:.0f} ms; memory {before:.0f} MB, grown by {grown:.0f} MB")
    assert grown < 0.1 * before
