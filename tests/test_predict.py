"""Tests of what tl_keras.predict prints."""

from tl_keras.predict import as_text, errors_by_reason

CAT = {"file": "a.jpg", "top_k": [{"label": "cat", "score": 0.75}, {"label": "dog", "score": 0.25}]}
BROKEN = {"file": "long_name.jpg", "error": "image: damaged", "reason": "damaged"}


def test_a_line_has_the_file_and_its_labels_or_what_is_wrong():
    assert as_text([CAT, BROKEN]).splitlines() == [
        "a.jpg          cat 0.7500  dog 0.2500",
        "long_name.jpg  image: damaged",
    ]


def test_what_is_not_answered_is_counted_by_reason():
    assert errors_by_reason([CAT, BROKEN]) == "1 of 2 files not answered; damaged: 1, the first is long_name.jpg"
    assert errors_by_reason([CAT]) == ""
