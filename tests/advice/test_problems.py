"""Tests of tl_keras.advice.problems: a case each, with or without remarks."""

from tl_keras.advice.problems import single


def test_each_id_is_a_case_with_its_remark():
    assert single("label", "look", ["a", "b"], ["x", "y"]).rows == (("a",), ("b",))
    assert single("label", "look", ["a", "b"], ["x", "y"]).remarks == ("x", "y")
    assert single("label", "look", ["a", "b"]).remarks == ("", "")
