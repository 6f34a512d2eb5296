"""Tests of tl_keras.data.stamps; `test_inspection_memory.py` has what is made of them."""

import os

from tl_keras.data.stamps import stamps_of_files


def test_a_stamp_is_of_one_file_at_one_time_and_sure_after_a_while(tmp_path, monkeypatch):
    paths = [os.fsencode(tmp_path / name) for name in ("a", "b", "missing")]
    for path in paths[:2]:
        with open(path, "wb") as file:
            file.write(b"the same")
    stamps, settled = stamps_of_files(paths)
    assert len(set(stamps.tolist())) == 3 and not settled.any()
    monkeypatch.setattr("tl_keras.data.stamps._SETTLED_NS", -(10**12))
    monkeypatch.chdir(tmp_path)
    again, settled = stamps_of_files([b"a", *paths[1:]])  # by another name of the same path
    assert again.tolist() == stamps.tolist() and settled.tolist() == [True, True, False]
