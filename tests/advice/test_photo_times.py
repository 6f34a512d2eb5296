"""Tests of tl_keras.advice.photo_times: what cameras write tells which photos are of one moment."""

import PIL.Image

from tl_keras.advice.photo_times import photos_of_one_moment


def test_photos_of_one_camera_within_seconds_are_of_one_moment(tmp_path):
    taken = [("A", 0), ("A", 5), ("A", 40), ("B", 3), ("B", 9), ("A", 3000), (None, 0)]
    for number, (model, seconds) in enumerate(taken):
        exif = PIL.Image.Exif()
        if model:
            exif[0x0110] = model
            exif.get_ifd(0x8769)[0x9003] = f"2026:05:01 12:{seconds // 60:02}:{seconds % 60:02}"
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.jpg", exif=exif)
    (tmp_path / "7.jpg").write_bytes(b"no image")
    paths = [tmp_path / f"{number}.jpg" for number in range(8)]
    shortest, middle, _ = photos_of_one_moment(paths)
    of_each = {row: set((shortest == shortest[row]).nonzero()[0]) for row in range(8)}
    assert of_each == {0: {0, 1}, 1: {0, 1}, 2: {2}, 3: {3, 4}, 4: {3, 4}, 5: {5}, 6: {6}, 7: {7}}
    assert set((middle == middle[0]).nonzero()[0]) == {0, 1, 2}
    assert photos_of_one_moment(paths[6:]) == []
