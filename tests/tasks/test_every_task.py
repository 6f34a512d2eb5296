"""Every task goes the whole way: a table, three methods, result, report, evaluation, answers, export, server, monitoring."""

import asyncio
import base64
import csv
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import tl_keras
from tl_keras.advice.advisor import advise, describe
from tl_keras.advice.candidates import Candidate
from tl_keras.console import in_words
from tl_keras.data.options import SourceOptions
from tl_keras.experiments.folds import train_with_folds
from tl_keras.experiments.measure import as_text
from tl_keras.predict import as_text as predictions_as_text
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.monitoring import compare_images

COLOURS = ("blue", "green", "red")
COLUMNS = {"multi_label": "label=labels", "ordinal": "label=number", "regression": "label=brightness"}
SCORES = {"multi_label": "mean_average_precision", "ordinal": "quadratic_weighted_kappa", "regression": "r2"}
CHANCE = {
    "multi_label": 0.55,
    "ordinal": 0.1,
    "regression": 0.1,
}  # and a little more; the small teacher's weights are random
PARTS = {"multi_label": "By label", "ordinal": "In grades", "regression": "By number"}


def write_table(folder):
    """Writes 120 images with each of three colours by chance, and a table of their colours, the number of these, and brightness."""
    random, rows = np.random.default_rng(0), []
    folder.mkdir()
    for number in range(120):
        has = random.random(3) < 0.5
        pixels = random.integers(0, 60, (20, 20, 3)) + np.where(has, 180, 0)[::-1]
        PIL.Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        labels = ";".join(name for name, there in zip(COLOURS, has, strict=True) if there)
        rows.append(
            [f"{number}.png", labels, ("none", "one", "two", "three")[has.sum()], f"{1000 + pixels.mean():.2f}"]
        )
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "labels", "number", "brightness"], *rows])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images with table.csv."""
    folder = tmp_path_factory.mktemp("of_tasks") / "images"
    write_table(folder)
    return folder


@pytest.fixture(scope="module")
def config_of(images, small_teacher):
    """A function that returns a short config of a task."""

    def config_of(task, *, method="feature_extraction", export="none"):
        config = tl_keras.TransferConfig(task=task, export=export)
        config.data.source, config.data.columns = f"csv:{images / 'table.csv'}", COLUMNS[task]
        config.data.class_order = "none,one,two,three" if task == "ordinal" else ""
        config.model.backbone, config.model.method = str(small_teacher), method
        config.training.epochs, config.training.head_epochs = 60, 0
        config.training.learning_rate = 0.05
        return config

    return config_of


@pytest.fixture(scope="module", params=list(COLUMNS))
def trained(request, config_of, tmp_path_factory):
    """The task, its run directory and its result, trained to a SavedModel."""
    workdir = tmp_path_factory.mktemp("trained") / request.param
    return request.param, workdir, tl_keras.train_and_evaluate(config_of(request.param, export="saved_model"), workdir)


@pytest.mark.long
def test_it_learns_and_names_its_score(trained):
    task, workdir, result = trained
    assert result.score_name == SCORES[task]
    assert result.score > CHANCE[task]
    assert result.interval[0] <= result.score <= result.interval[1]
    stored = json.loads((workdir / "result.json").read_text())
    assert stored[f"test_{SCORES[task]}"] == result.score
    assert "test_accuracy" not in stored
    assert stored["measures"]["examples"] == result.images["test"]


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=[] if task == "regression" else pytest.mark.slow) for task in COLUMNS]
)
def test_it_has_folds(task, config_of, tmp_path):
    config = config_of(task)
    config.training.epochs = 8
    result = train_with_folds(config, tmp_path / "run", folds=2)
    assert result.folds[SCORES[task]] == result.validation_score > CHANCE[task]
    assert result.folds["interval"][0] <= result.validation_score <= result.folds["interval"][1]
    with (tmp_path / "run" / "out_of_fold.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"{number}.png" for number in range(120)]
    assert len({row["label"] for row in rows}) > 2 and {row["fold"] for row in rows} == {"1", "2"}
    if task == "regression":  # in the unit of the labels, whatever mean each fold had
        assert np.abs(np.mean([float(row["values_of_brightness"]) - float(row["label"]) for row in rows])) < 10
    assert "Out of fold, each answered by a model" in write_report(tmp_path / "run").read_text()


@pytest.mark.parametrize(
    ("task", "method"),
    [
        pytest.param(task, method, marks=[] if (task, method) == ("multi_label", "fine_tune") else pytest.mark.slow)
        for task in COLUMNS
        for method in ("replicate", "fine_tune")
    ],
)
def test_the_other_methods_train_it(task, method, config_of, tmp_path):
    config = config_of(task, method=method)
    config.training.epochs = config.training.head_epochs = 2
    config.training.learning_rate, config.data.mixup = 1e-3, 0.2
    config.model.unfreeze = "blocks:1" if method == "fine_tune" else ""
    result = tl_keras.train_and_evaluate(config, tmp_path / method)
    assert np.isfinite(result.validation_loss)


def test_the_export_answers_as_the_model_does(trained, images):
    task, workdir, result = trained
    assert result.export[0]["largest_logit_difference"] < 1e-4
    files = [images / f"{number}.png" for number in range(6)]
    by_model, by_export = (tl_keras.predict_images(path, files) for path in (workdir, workdir / "saved_model"))
    numbers = {
        "multi_label": lambda row: list(row["scores"].values()),
        "ordinal": lambda row: [row["score"], row["expected_grade"], row["grade"]],
        "regression": lambda row: [each["value"] for each in row["values"]],
    }[task]
    for one, other in zip(by_model, by_export, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-4)
    lines = predictions_as_text(by_model).splitlines()
    assert len(lines) == 6


def test_the_signature_is_that_of_the_docs(trained, images):
    task, workdir, _ = trained
    serve = tf.saved_model.load(str(workdir / "saved_model" / "1")).signatures["serving_default"]
    answers = {
        key: value.numpy() for key, value in serve(image_bytes=tf.constant([(images / "0.png").read_bytes()])).items()
    }
    if task == "regression":
        assert set(answers) == {"values", "low", "high", "outlier"}
        assert answers["low"][0, 0] < answers["values"][0, 0] < answers["high"][0, 0]
        assert 1000 < answers["values"][0, 0] < 1300
    elif task == "ordinal":
        assert set(answers) == {"probabilities", "label", "score", "grade", "expected_grade", "outlier"}
        assert answers["label"][0].decode() == ("none", "one", "two", "three")[answers["grade"][0]]
        assert answers["probabilities"].sum() == pytest.approx(1)
    else:
        assert set(answers) == {"probabilities", "thresholds", "labels", "scores", "outlier"}
        found = {label.decode() for label in answers["labels"][0] if label}
        above = answers["probabilities"][0] >= answers["thresholds"][0]
        assert found == {name for name, there in zip(COLOURS, above, strict=True) if there}
        assert (answers["scores"][0] > 0).sum() == len(found)


def test_it_is_evaluated_by_the_model_alone(trained, images):
    task, workdir, result = trained
    options = SourceOptions(columns=COLUMNS[task])  # the order of grades is the model's
    metrics = tl_keras.evaluate_model(workdir, f"csv:{images / 'table.csv'}", options=options)
    assert metrics["task"] == task
    assert metrics[SCORES[task]] > CHANCE[task]
    assert metrics["trained_on"] == result.images["train"]
    assert "120 images" in as_text(metrics).splitlines()[0]


def test_its_report_has_its_own_part(trained):
    task, workdir, _ = trained
    page = tl_keras.write_report(workdir).read_text()
    assert PARTS[task] in page
    assert "Inherited weaknesses" in page  # with the command that measures them
    assert "answered correctly" not in page


def test_incoming_images_are_compared(trained, images):
    _, workdir, _ = trained
    found = compare_images(workdir, images)
    assert not found["changed"]
    assert sum(row["share"] for row in found["labels"]) == pytest.approx(1)


@pytest.mark.slow
def test_it_is_audited_by_its_score(trained):
    task, workdir, result = trained
    audit = tl_keras.audit_run(workdir, images=24)
    assert audit.score_name == result.score_name == SCORES[task]
    assert audit.accuracy <= 1
    assert {row.kind for row in audit.conditions} == {"corruption", "attack"}
    RunDirectory(workdir).write_json("audit.json", audit.to_json())
    assert in_words(SCORES[task]).capitalize() in tl_keras.write_report(workdir).read_text()
    RunDirectory(workdir).path.joinpath("audit.json").unlink()


@pytest.mark.slow
def test_teacher_method_and_view_are_chosen_by_its_score(trained, config_of):
    task, _, _ = trained
    config = config_of(task)
    teacher = Candidate(config.model.backbone, config.model.weights, config.model.alpha)
    advice = advise(config, [teacher], measure_time=False, try_recipes=True)
    text = describe(advice)
    assert f"{in_words(SCORES[task])} to expect" in text
    assert advice.recommendation.config.task == task
    assert any("resize" in reason for reason in advice.recommendation.measured)


def test_the_server_answers_and_counts(trained, images):
    pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
    from tl_keras.serving.server import Limits, make_app

    task, workdir, _ = trained
    image = base64.b64encode((images / "0.png").read_bytes()).decode()
    body = json.dumps({"instances": [{"image_bytes": {"b64": image}}]}).encode()
    status, answer, counters = asyncio.run(ask(make_app(workdir / "saved_model", name="it", limits=Limits()), body))
    assert status == 200
    (prediction,) = json.loads(answer)["predictions"]
    assert {"multi_label": "labels", "ordinal": "grade", "regression": "values"}[task] in prediction
    assert task != "regression" or 'tl_keras_answers_total{label="' in counters


async def ask(app, body):
    """Returns status and body of a predict request, and the counters after it."""
    async with app.router.lifespan_context(app):
        status, answer = await request(app, "POST", "/v1/models/it:predict", body)
        return status, answer, (await request(app, "GET", "/metrics"))[1].decode()


async def request(app, method, path, body=b""):
    """Returns what the app answers, without a network between."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    await app({**scope, "headers": [], "http_version": "1.1", "scheme": "http", "server": ("it", 80)}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
