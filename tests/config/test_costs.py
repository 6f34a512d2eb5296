"""Tests of tl_keras.config.costs: what confusions cost, from a file."""

import pytest

from tl_keras.config.costs import read_costs
from tl_keras.errors import ConfigError


def test_rows_and_columns_may_come_in_any_order(tmp_path):
    (tmp_path / "costs.csv").write_text("right,dog,cat\ndog,0,7\ncat,1.5,0\n\n")
    assert read_costs(tmp_path / "costs.csv", ("cat", "dog")) == ((0.0, 1.5), (7.0, 0.0))


def test_a_spreadsheet_may_write_semicolons_and_decimal_commas(tmp_path):
    (tmp_path / "costs.csv").write_text("right;dog;cat\ndog;0;7\ncat;1,5;0\n")
    assert read_costs(tmp_path / "costs.csv", ("cat", "dog")) == ((0.0, 1.5), (7.0, 0.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Received in .*: none"),
        (",cat,cow\ncat,0,1\ncow,1,0\n", "expected columns named cat, dog"),
        (",cat,dog\ncat,0,1\n", "expected rows named cat, dog"),
        (",cat,dog\ncat,0,much\ndog,1,0\n", "much for cat taken for dog"),
        (",cat,dog\ncat,0,1\ndog,1\n", "nothing for dog taken for dog"),
        (
            ",cat,dog\ncat,30,20\ndog,1,0\n",
            "expected the right answer to cost least.*30 for cat answered rightly and less for dog",
        ),
        (",cat,dog\ncat,0,0\ndog,0,0\n", "equal costs in each row"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_in_a_line(text, said, tmp_path):
    if text is not None:
        (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_costs(tmp_path / "costs.csv", ("cat", "dog"))
