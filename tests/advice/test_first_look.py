"""Tests of tl_keras.advice.first_look: the page and the table, and the page in a browser."""

import csv
import shutil

import pytest

from tl_keras.advice.first_look import look_at, table_beside, write_look
from tl_keras.advice.image_index import chosen_embedder, index_images
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import ConfigError

AWKWARD = "<script>alert(1)</script>\udce9.png"  # whose name is not UTF-8


@pytest.fixture(scope="module")
def written(painted, tmp_path_factory):
    """A page of 25 images, one of them a copy with an awkward name, and the paths of page and table."""
    folder = tmp_path_factory.mktemp("looked") / "photos"
    shutil.copytree(painted.folder, folder)
    shutil.copyfile(folder / "red" / "03.png", folder / AWKWARD.replace("/", "_"))
    images = index_images(
        open_unlabelled(folder), chosen_embedder(str(painted.run), painted.config.model), painted.config
    )
    look = look_at(images, painted.config, clusters=2)
    page = tmp_path_factory.mktemp("page") / "below" / "look.html"
    return look, page, write_look(look, page)


def test_the_table_has_cluster_and_copies_of_every_image(written):
    look, _, table = written
    with table.open(encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    clusters = {name: {row["cluster"] for row in rows if row["image"].startswith(name)} for name in ("red/", "blue/")}
    assert sorted(map(sorted, clusters.values())) == [["1"], ["2"]]
    assert [(row["image"], row["copy_of"]) for row in rows if row["copy_of"]] == [
        ("red/03.png", AWKWARD.replace("/", "_"))
    ]
    assert all(row["name"].endswith("%") for row in rows)  # the run names them by its own classes
    assert [len(members) for members in look.clusters] == [13, 12]


def test_a_table_of_another_kind_beside_the_page_is_not_replaced(written, tmp_path):
    look, page, table = written
    (tmp_path / "labels.csv").write_text("path,label\n0.png,cat\n")
    with pytest.raises(ConfigError, match=r"labels\.csv, which would be replaced"):
        write_look(look, tmp_path / "labels.html")
    assert (tmp_path / "labels.csv").read_text() == "path,label\n0.png,cat\n" and not (
        tmp_path / "labels.html"
    ).exists()
    assert table_beside(page) == table


def test_the_page_needs_nothing_else_and_fits_a_phone(written, browser):
    _, path, _ = written
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "http" not in text
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto(path.as_uri())
    headings = page.locator("h2").all_text_contents()
    assert headings[0].startswith("Cluster 1: ") and "Copies: 1" in headings
    assert "1 image cannot be decoded and is left out: damaged.png" in page.locator("p").all_text_contents()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.close()
