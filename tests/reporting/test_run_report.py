"""Tests of tl_keras.reporting.run_report, on the page of a real run."""

import html.parser
import json
import re
import shlex
import shutil

import numpy as np
import PIL.Image
import pytest
from forked_commands import run_command

from tl_keras.config import quick_start
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import DataError
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.training.loop import train_and_evaluate

VOID = ("meta", "link", "img", "br", "wbr")  # elements that are never closed


class Page(html.parser.HTMLParser):
    """Elements of a page with their attributes, its text and commands, and whether every element that was opened was closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.commands, self.open = [], [], [], []
        self.headings, self.contents = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "pre":
            self.commands.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)
        if self.open[-3:] == ["ul", "li", "a"]:
            self.contents.append(data)
        if "pre" in self.open:
            self.commands[-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(in_memory):
    return Page(in_memory[1])


@pytest.mark.long
def test_every_element_is_closed(page):
    assert page.open == []


@pytest.mark.long
def test_it_shows_where_the_student_looks_unless_its_last_map_has_a_single_place(page, compared):
    def bright(page):
        return [image for image in page.of("img") if image["alt"].startswith("The same, bright where")]

    assert len(bright(page)) == len([image for image in page.of("img") if image["alt"].endswith("the network sees it")])
    small = Page(compared[1])
    assert not bright(small)
    assert "cannot be shown" in " ".join(small.texts)


def test_it_loads_nothing_from_elsewhere(page, in_memory):
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href")
    ]
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", in_memory[1]))
    assert not page.of("script")


def test_text_from_the_data_is_escaped(in_memory):
    text = in_memory[1]
    assert "<script" not in text
    assert all(name in text for name in ("&lt;script&gt;three&lt;/script&gt;", "$5 &amp; $6", "七"))


def test_headings_pictures_and_tables_are_named(page):
    assert [tag for tag, _ in page.elements if re.fullmatch("h[12]", tag)][:2] == ["h1", "h2"]
    assert all(image["alt"] for image in page.of("img"))
    assert len([each for each in page.of("div") if each.get("role") == "img" and each["aria-label"]]) == len(
        page.of("svg")
    )
    assert len(page.of("caption")) == len(page.of("table"))


def test_it_says_what_result_json_says(page, in_memory):
    result = json.loads((in_memory[0] / "result.json").read_text())
    text = " ".join(page.texts)
    assert f"accuracy on {result['images']['test']} test images is {result['test_accuracy']:.1%}." in text
    assert f"{result['test_accuracy']:.1%}" in page.texts  # counted anew from the answers
    assert f"{result['parameters_trained']:,}" in text
    assert result["hashes"]["student_weights"] in text


def test_a_cell_of_the_confusion_matrix_leads_to_its_images_and_the_contents_to_their_parts(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [each["href"][1:] for each in page.of("a")]
    assert {"classes", "examples", "training", "again"} <= set(links)
    assert set(links) <= set(ids)
    assert any(link.startswith("cell-") for link in links)


def test_where_no_test_image_was_looked_at_it_is_about_validation_and_says_so(compared):
    workdir, text = compared
    result = json.loads((workdir / "long" / "seed_0" / "result.json").read_text())
    assert f"on {result['images']['validation']} validation images is {result['validation_accuracy']:.1%}." in text
    assert "a little too good" in text


def test_a_split_that_is_too_small_to_measure_is_said(in_memory, compared):
    said = "Few images to measure on: "
    assert said in in_memory[1]
    assert said not in compared[1]


@pytest.mark.long
def test_files_that_were_left_out_are_named_under_data_and_nothing_is_said_twice(small_teacher, tmp_path):
    for label, value in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            tone = np.full((32, 32, 3), value + number, np.uint8)
            PIL.Image.fromarray(tone).save(tmp_path / "photos" / label / f"{number}.png")
    (tmp_path / "photos" / "dark" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (tmp_path / "photos" / "light" / "list.txt").write_text("0.png")
    config = quick_start()
    config.data.source, config.export = str(tmp_path / "photos"), "none"
    config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
    config.model.method, config.training.epochs = "feature_extraction", 1
    result = train_and_evaluate(config, tmp_path / "run")
    page = Page(write_report(tmp_path / "run").read_text())
    text = " ".join("".join(page.texts).split())
    data = text[text.rindex("Data ") :]
    assert "dark/torn.jpg" in data
    assert "ther files, left alone: 1 .txt" in data
    assert all(text.count(remark[1:]) == 1 for remark in result.remarks)


def test_a_page_of_an_earlier_version_says_what_reading_finds_today(compared, tmp_path):
    workdir = shutil.copytree(compared[0] / "long" / "seed_0", tmp_path / "run")
    result = json.loads((workdir / "result.json").read_text())
    assert result.pop("remarks") is not None
    (workdir / "result.json").write_text(json.dumps(result))
    assert "By class" in write_report(workdir).read_text()


@pytest.fixture(scope="module")
def numbers(small_teacher, audit, tmp_path_factory):
    """The text of a page of a run on one number, whose name is in lower case, with an audit, and its elements."""
    workdir, random = tmp_path_factory.mktemp("numbers") / "run", np.random.default_rng(0)
    values = random.integers(0, 200, 40)
    pixels = np.repeat(values, 16 * 16 * 3).reshape(40, 16, 16, 3).astype(np.uint8)
    source = ArraySource(pixels, values.astype(np.float64)[:, None], class_names=("temp_c",))
    source.notes = [*source.notes, "temp_c: 0 to 199, median 100", "numbers from the column temp_c"]
    config = quick_start()
    config.task, config.export = "regression", "none"
    config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
    config.model.method, config.training.epochs = "feature_extraction", 1
    train_and_evaluate(config, workdir, source=source)
    under_strain = [{**row, "accuracy": -1.5, "interval": (-2.25, -0.5)} for row in audit["conditions"]]
    (workdir / "audit.json").write_text(json.dumps({**audit, "score_name": "r2", "conditions": under_strain}))
    page = Page(write_report(workdir, source=source).read_text())
    return " ".join("".join(page.texts).split()), page


def test_a_number_keeps_its_name_where_a_sentence_begins_with_it(numbers):
    assert "temp_c: 0 to 199, median 100." in numbers[0] and "Temp_c" not in numbers[0]
    assert "Numbers from the column temp_c." in numbers[0]


def test_numbers_have_no_classes_and_one_name_for_their_score(numbers):
    assert "Images by split" in numbers[0] and "by class" not in numbers[0]
    assert "R²" in numbers[0] and not re.search(r"\b[Rr]2\b", numbers[0])
    assert "the median for all: temp_c (mean error" in numbers[0]


def test_a_score_that_is_no_part_of_a_whole_is_not_in_percent_where_it_was_audited(numbers):
    assert "-1.500" in numbers[0] and "-2.250 to -0.500" in numbers[0] and "-150.0%" not in numbers[0]


def test_a_link_of_the_contents_has_the_name_of_its_heading(page, numbers):
    for each in (page, numbers[1]):
        assert each.contents
        assert [title for title in each.contents if title not in each.headings] == []


def test_without_an_audit_it_says_how_to_make_one(page, in_memory):
    assert f"python -m tl_keras.audit --workdir={in_memory[0]}" in [command.strip() for command in page.commands]


def test_what_an_audit_found_is_on_the_page(in_memory, source, audit, tmp_path):
    shutil.copytree(in_memory[0], tmp_path / "run")
    (tmp_path / "run" / "audit.json").write_text(json.dumps(audit))
    page = Page(write_report(tmp_path / "run", source=source).read_text())
    text = " ".join(page.texts)
    assert audit["advice"] in page.texts
    assert "70.0% of which are answered correctly" in text
    assert "block 3 (the cut)" in text
    assert not any("tl_keras.audit" in command for command in page.commands)
    assert page.open == []
    assert len(page.of("caption")) == len(page.of("table"))


def test_the_page_of_a_compared_run_has_the_others(compared):
    assert "Beside the other runs" in compared[1]
    assert "short/seed_0" in compared[1]


def test_the_command_has_exactly_the_config_of_the_run(compared):
    run = compared[0] / "long" / "seed_0"
    commands = Page(compared[1]).commands
    command = next(each for each in commands if each.startswith("python -m tl_keras.train") and "seed_0_again" in each)
    flags = [flag for flag in shlex.split(command)[3:] if not flag.startswith("--workdir")]
    done = run_command("train", f"--workdir={run}", "--noreport", *flags)
    assert "holds this run, finished" in done.stderr  # another config is refused


@pytest.mark.long
def test_the_command_has_each_format_once_that_was_exported_later(compared, tmp_path):
    workdir = shutil.copytree(compared[0] / "long" / "seed_0", tmp_path / "run")
    (row,) = export_run(workdir, ["saved_model"])
    shutil.copytree(workdir / "saved_model" / "1", workdir / "saved_model" / "2")  # two versions
    RunDirectory(workdir).record_export({**row, "path": "saved_model/2"})
    (command,) = [each for each in Page(write_report(workdir).read_text()).commands if "run_again" in each]
    assert "--config.export=saved_model" in shlex.split(command)


def test_where_the_images_are_gone_it_is_one_line(in_memory):
    with pytest.raises(DataError) as raised:
        write_report(in_memory[0])
    assert "\n" not in str(raised.value)


def test_a_directory_without_a_finished_run_is_one_line(tmp_path):
    with pytest.raises(DataError, match="finished run"):
        write_report(tmp_path)
