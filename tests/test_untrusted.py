"""Tests of tl_keras.untrusted: archives that claim what is not in them, or that lead elsewhere."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from tl_keras import untrusted


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [untrusted.MAX_JSON_DEPTH + 1, 900, 100_000])
def test_deeply_nested_json_is_refused(depth):
    with pytest.raises(ValueError, match="nested more than 100 levels"):
        untrusted.parse_json(nested(depth))


def test_json_of_customary_depth_is_read():
    assert untrusted.parse_json(nested(untrusted.MAX_JSON_DEPTH)) is not None


@pytest.mark.parametrize("text", [b"\xff\xfe{", b"{", b""])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        untrusted.parse_json(text)


def an_archive(entries: dict[str, bytes]) -> tuple[zipfile.ZipFile, int]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(file), len(file.getvalue())


def an_hdf5_file(fill) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_group("layers")["vars"] = np.zeros(3, np.float32)
        fill(opened)
    return file.getvalue()


def with_external_storage(file):
    file.create_dataset("layers/stolen", (8,), "u1", external=[("/etc/hostname", 0, 8)])


def with_virtual_storage(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "values", (3,))
    file.create_virtual_dataset("layers/stolen", layout)


def with_external_link(file):
    file["layers/stolen"] = h5py.ExternalLink("/home/other.h5", "/values")


def with_soft_link(file):
    file["layers/stolen"] = h5py.SoftLink("/layers/vars")


def with_a_claim(file):
    file.create_dataset("layers/stolen", (2**40,), "f4", chunks=(1024,))


LEADS_ELSEWHERE = {
    with_external_storage: "layers/stolen is stored in other files",
    with_virtual_storage: "layers/stolen is stored in other files",
    with_external_link: "layers/stolen leads elsewhere",
    with_soft_link: "layers/stolen leads elsewhere",
    with_a_claim: "unpack to 4096.0 GiB",
}


@pytest.mark.parametrize(("fill", "message"), LEADS_ELSEWHERE.items())
def test_hdf5_that_leads_elsewhere_or_claims_too_much_is_refused(tmp_path, fill, message):
    content = an_hdf5_file(fill)
    (tmp_path / "weights.h5").write_bytes(content)
    for file in (io.BytesIO(content), tmp_path / "weights.h5"):
        with pytest.raises(ValueError, match=message):
            untrusted.check_hdf5(file, bytes_on_disk=len(content))


def test_hdf5_inside_an_archive_is_looked_at():
    archive, size = an_archive({"config.json": b"{}", "model.weights.h5": an_hdf5_file(with_external_link)})
    with pytest.raises(ValueError, match="leads elsewhere"):
        untrusted.check_keras_archive(archive, bytes_on_disk=size)


def test_a_plain_archive_passes():
    archive, size = an_archive({"config.json": b"{}", "model.weights.h5": an_hdf5_file(lambda file: None)})
    untrusted.check_keras_archive(archive, bytes_on_disk=size)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"config.json": bytes(untrusted.MAX_JSON_BYTES + 1)}, "config.json in it unpacks to 32.0 MiB"),
        ({"assets/vocabulary.txt": bytes(65 * 2**20)}, "it unpacks to 65.0 MiB"),
        ({f"assets/{i}": b"" for i in range(10_001)}, "it holds 10001 files"),
    ],
)
def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(entries, message):
    archive, size = an_archive(entries)
    with pytest.raises(ValueError, match=message):
        untrusted.check_keras_archive(archive, bytes_on_disk=size)


def test_two_entries_of_one_name_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("config.json", "[]")
    with pytest.raises(ValueError, match="two files of one name"):
        untrusted.check_keras_archive(zipfile.ZipFile(file), bytes_on_disk=100)


def test_an_entry_is_read_up_to_its_limit():
    archive, _ = an_archive({"tl_keras.json": json.dumps({"a": 1}).encode()})
    assert untrusted.read_json_entry(archive, "tl_keras.json") == {"a": 1}
    with pytest.raises(ValueError, match="more than"):
        untrusted.read_entry(archive, "tl_keras.json", at_most=3)


def a_header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": descr})
    return file.getvalue()


@pytest.mark.parametrize("descr", ["|u1", "<f8", "<U100000"])
def test_an_npz_whose_header_claims_more_than_is_there_is_refused(tmp_path, descr):
    with zipfile.ZipFile(tmp_path / "claims.npz", "w") as archive:
        archive.writestr("x_train.npy", a_header((56 * 2**30, 1, 1), descr) + bytes(10))
    with pytest.raises(ValueError, match=r"x_train\.npy in it claims .* GiB and unpacks to 0\.0 MiB"):
        untrusted.check_npz(tmp_path / "claims.npz")


def test_an_npz_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "_memory", lambda: 2**20)
    np.savez_compressed(tmp_path / "black.npz", x_train=np.zeros((200, 100, 100), np.uint8))
    with pytest.raises(ValueError, match="of memory"):
        untrusted.check_npz(tmp_path / "black.npz")


def test_black_images_pass_though_they_compress_a_thousandfold(tmp_path):
    np.savez_compressed(tmp_path / "black.npz", x_train=np.zeros((2000, 32, 32), np.uint8), y_train=np.zeros(2000, int))
    untrusted.check_npz(tmp_path / "black.npz")
