"""Tests of tl_keras.serving.look_alikes, and of /v1/similar on a server in this process, with its page in a browser."""

import asyncio
import io
import json

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
from tl_keras.errors import DataError
from tl_keras.search.index import write_index
from tl_keras.serving.image_inputs import image_inputs
from tl_keras.serving.look_alikes import LookAlikes
from tl_keras.serving.predictor import embed_images, load_predictor
from tl_keras.serving.server import Limits, make_app


@pytest.fixture(scope="module")
def index(run, tmp_path_factory):
    """The ten images of the run, embedded by it, and a row whose name leads out of the folder."""
    path = tmp_path_factory.mktemp("index") / "features.npz"
    facts = json.loads((run.path / "saved_model" / "1" / "assets.extra" / "tl_keras.json").read_text())
    files = image_inputs(run.path / "images")
    features = embed_images(load_predictor(run.path), [file.name for file in files])
    names = [file.name.rpartition("/")[2] for file in files]
    identity = {"backbone": "MobileNetV2", "view": facts["preprocess"], "weights": facts["weights_sha256"]}
    (run.path / "outside.png").write_bytes((run.path / "images" / "0.png").read_bytes())
    write_index(
        path,
        [np.concatenate([features, -features[:1]])],
        dimension=features.shape[1],
        names=[*names, "../outside.png"],
        sizes=np.full((len(names) + 1, 2), 8),
        about={"network": "run1", "identity": identity, "source": str(run.path / "images")},
    )
    return path


async def ask(app, path, *, body=b"", query=b""):
    """Returns the status and the body that an application answers."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    method = "POST" if body else "GET"
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": query}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.long
def test_a_photo_finds_itself_and_pictures_come_from_the_folder_alone(run, index):
    app = make_app(run.path / "saved_model", name="digits", limits=Limits(max_batch=4), index=index)
    photo = (run.path / "images" / "4.png").read_bytes()

    async def asked():
        async with app.router.lifespan_context(app):
            requests = [
                ("/v1/similar", photo, b""),
                ("/v1/similar", photo, b"count=2"),
                ("/v1/similar", photo, b"count=0"),
                ("/v1/similar", photo, b"count=" + b"9" * 5000),
            ]
            answers = [await ask(app, path, body=body, query=query) for path, body, query in requests]
            pictures = [await ask(app, f"/v1/similar/{row}.jpg") for row in (4, 10, 99, "9" * 5000)]
            return answers, pictures, await ask(app, "/v1/similar", body=b"\xff\xd8\xff\xe0 no image")

    answers, pictures, broken = asyncio.run(asked())
    assert [status for status, _ in answers] == [200, 200, 400, 400]
    (found,) = json.loads(answers[0][1])["similar"]
    assert (found[0]["name"], len(found)) == ("4.png", 11)
    assert found[0]["cosine"] == pytest.approx(1, abs=1e-4)
    assert len(json.loads(answers[1][1])["similar"][0]) == 2
    assert [status for status, _ in pictures] == [200, 404, 404, 404]
    assert PIL.Image.open(io.BytesIO(pictures[0][1])).format == "JPEG"
    assert broken[0] == 400


def test_an_index_of_another_network_is_refused_before_anything_is_served(run, index, tmp_path):
    other = LookAlikes(index).index
    about = {**other.about, "identity": {**other.about["identity"], "weights": "other"}}
    write_index(
        tmp_path / "other.npz", [other.features], dimension=16, names=other.names, sizes=other.sizes, about=about
    )
    with pytest.raises(DataError, match="Received: version 1 of the model, which has another weights"):
        make_app(run.path / "saved_model", name="digits", limits=Limits(), index=tmp_path / "other.npz")


def test_a_damaged_image_has_no_picture(index, tmp_path):
    found = LookAlikes(index)
    about = {**found.index.about, "source": str(tmp_path)}
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    path = tmp_path / "index.npz"
    write_index(path, [np.ones((1, 4))], dimension=4, names=["damaged.png"], sizes=np.ones((1, 2)), about=about)
    with pytest.raises(DataError):
        LookAlikes(path).picture(0)


@pytest.mark.long
def test_the_page_has_a_tab_of_look_alikes(run, index, browser, served):
    with_index = make_app(run.path / "saved_model", name="digits", limits=Limits(max_batch=4), index=index)
    with served(with_index) as address:
        page = browser.new_page()
        page.goto(address)
        page.set_input_files("#file", run.path / "images" / "4.png")
        page.wait_for_selector("#similar img", state="attached")
        page.click("#similar-tab")
        first = page.locator("#similar li").first
        assert first.locator("figcaption").text_content() == "4.png, 1.000"
        page.evaluate("document.querySelector('#similar img').decode()")
        page.keyboard.press("ArrowLeft")
        assert page.locator("#answer").is_visible() and not page.locator("#similar").is_visible()
        page.close()
