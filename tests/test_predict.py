"""Tests of what tl_keras.predict prints."""

from forked_commands import run_command

from tl_keras.predict import as_text, errors_by_reason

CAT = {"file": "a.jpg", "top_k": [{"label": "cat", "score": 0.75}, {"label": "dog", "score": 0.25}]}
BROKEN = {"file": "long_name.jpg", "error": "image: damaged", "reason": "damaged"}


def test_a_line_has_the_file_and_its_labels_or_what_is_wrong():
    assert as_text([CAT, BROKEN]).splitlines() == [
        "a.jpg          cat 0.7500  dog 0.2500",
        "long_name.jpg  image: damaged",
    ]


def test_of_grades_the_median_is_the_answer():
    ranked = [{"label": "sharp", "score": 0.48}, {"label": "soft", "score": 0.29}, {"label": "blurred", "score": 0.23}]
    row = {"file": "a.jpg", "label": "soft", "score": 0.29, "grade": 1, "top_k": ranked[:1]}
    assert as_text([row]) == "a.jpg  soft 0.2900"
    assert as_text([{**row, "top_k": ranked}]).startswith("a.jpg  soft 0.2900  sharp 0.4800")


def test_what_is_not_answered_is_counted_by_reason():
    assert errors_by_reason([CAT, BROKEN]) == "1 of 2 files not answered; damaged: 1, the first is long_name.jpg"
    assert errors_by_reason([CAT]) == ""


def test_a_file_of_texts_is_not_answered_into_a_file(tmp_path):
    (tmp_path / "questions.txt").write_text("What is a caldera?\n")
    process = run_command(
        "predict", "--model=run", f"--texts={tmp_path / 'questions.txt'}", f"--out={tmp_path / 'a.csv'}"
    )
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: texts: expected --texts=FILE without --out")
