"""Tests of tl_keras.weaknesses.table."""

from tl_keras.weaknesses.table import as_text

ROW = {"kind": "attack", "name": "FGSM", "strength": 0.5, "setting": "", "accuracy": 0.4, "interval": [0.2, 0.6]}
MATCH = {"blocks": 4, "depth": "block 3", "is_cut": True, "strength": 4.0, "taken": 0.7, "interval": [0.5, 0.8]}
AUDIT = {
    "split": "test",
    "images": 20,
    "accuracy": 0.9,
    "interval": [0.7, 0.97],
    "conditions": [{**ROW, "unchanged": 0.45, "teacher_unchanged": None}],
    "mimicry": [{**MATCH, "accuracy": 0.1, "teacher_taken": 0.3}],
    "chance": 0.05,
    "remark": "No figures of the teacher: it was left out.",
    "advice": "Do this.",
}


def test_the_table_has_a_row_for_each_figure_and_the_advice_last():
    lines = [" ".join(line.split()) for line in as_text(AUDIT).splitlines()]
    assert lines[0] == "20 test images, accuracy 0.900 (0.700 to 0.970)"
    assert "FGSM 0.5 0.400 (0.200 to 0.600) 0.450 -" in lines
    assert "block 3 (cut) 4 0.700 (0.500 to 0.800) 0.100 0.300" in lines
    assert lines[-2:] == [AUDIT["remark"], AUDIT["advice"]]
