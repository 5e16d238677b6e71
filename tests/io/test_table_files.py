"""Tables as pyarrow and Hugging Face `datasets` write them; broken ones are refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from torchmelinv.errors import FileError
from torchmelinv.io import table_files
from torchmelinv.io.mels import MelLayout, find_mels, mel_entries, read_mel
from torchmelinv.io.picture_files import Picture

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
F4 = pyarrow.float32()
MELS = [np.random.default_rng(n).random((8, 20 + n), dtype=np.float32) for n in range(7)]
PLAIN = MelLayout()
NAMES = [f"speaker/{n}" for n in range(7)]


def table(column="mel", **columns):
    values = pyarrow.array([mel.tolist() for mel in MELS], pyarrow.list_(pyarrow.list_(F4)))
    return pyarrow.table({**columns, column: values, "text": ["hello"] * 7})


def check_mels(path, names, layout=PLAIN, mels=MELS):
    entries = mel_entries(path, layout)
    assert [entry.name for entry in entries] == names
    for entry, mel in zip(entries, mels, strict=True):
        assert np.array_equal(read_mel(path, layout, entry).numpy(), mel)


def test_parquet_in_row_groups(tmp_path):
    parquet.write_table(table(id=NAMES), tmp_path / "x.parquet", row_group_size=3)
    check_mels(tmp_path / "x.parquet", NAMES)
    parquet.write_table(table("features"), tmp_path / "y.parquet")
    check_mels(tmp_path / "y.parquet", [f"y_{n}" for n in range(7)])


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_arrow_of_both_formats(tmp_path, kind):
    open_writer = {"stream": pyarrow.ipc.new_stream, "file": pyarrow.ipc.new_file}[kind]
    content = table(id=NAMES)
    with open_writer(str(tmp_path / "x.arrow"), content.schema) as writer:
        writer.write_table(content, max_chunksize=3)
    check_mels(tmp_path / "x.arrow", NAMES)


def test_bytes_and_other_kinds_of_lists(tmp_path):
    stream = io.BytesIO()
    np.save(stream, MELS[0])
    fixed = pyarrow.array(
        [MELS[0].tolist()], pyarrow.list_(pyarrow.list_(pyarrow.float64(), 20), 8)
    )
    large = pyarrow.array([MELS[0].tolist()], pyarrow.large_list(pyarrow.large_list(F4)))
    columns = {"fixed": fixed, "large": large, "npy": [stream.getvalue()], "other": [b"password"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    for key in ("fixed", "large", "npy"):
        found = read_mel(tmp_path / "x.parquet", MelLayout(key=key))
        assert np.array_equal(found.numpy().astype("f4"), MELS[0])
    with pytest.raises(FileError, match=r"neither an npy file nor a png") as caught:
        read_mel(tmp_path / "x.parquet", MelLayout(key="other"))
    assert "password" not in str(caught.value)
    with pytest.raises(FileError, match="in 'fixed', 'large', 'npy', 'other'; choose one"):
        read_mel(tmp_path / "x.parquet")


def test_a_saved_dataset_of_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image").fromarray(np.arange(160, dtype="u1").reshape(8, 20))
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "mel": datasets.Array2D((None, 8), "float32"),
            "nested": datasets.Sequence(datasets.Sequence(datasets.Value("float32"))),
            "image": datasets.Image(),
        }
    )
    rows = {"id": NAMES, "mel": [m.T for m in MELS], "nested": MELS, "image": [image] * 7}
    saved = datasets.Dataset.from_dict(rows, features=features)
    saved.save_to_disk(tmp_path / "saved", num_shards=2)
    (tmp_path / "saved" / "cache-0123.arrow").write_bytes(b"x")
    paths = find_mels(tmp_path / "saved")
    assert [path.name for path in paths] == [
        "data-00000-of-00002.arrow",
        "data-00001-of-00002.arrow",
    ]
    check_mels(paths[0], NAMES[:4], MelLayout(key="mel", frames_first=True), MELS[:4])
    check_mels(paths[1], NAMES[4:], MelLayout(key="nested"), MELS[4:])
    found = read_mel(
        paths[0],
        layout := MelLayout("image", picture=Picture(0, 255)),
        mel_entries(paths[0], layout)[0],
    )
    assert np.array_equal(found.numpy(), np.asarray(image))
    saved.to_parquet(tmp_path / "x.parquet")
    check_mels(tmp_path / "x.parquet", NAMES, MelLayout(key="nested"))


@pytest.mark.parametrize(
    "rows", [[[[1.0, 2.0], [3.0]]], [[[1.0, None]]], [[None, [1.0]]], [None], [[]], [[[]]]]
)
def test_rows_that_are_no_array(tmp_path, rows):
    column = pyarrow.array(rows, pyarrow.list_(pyarrow.list_(F4)))
    parquet.write_table(pyarrow.table({"mel": column}), tmp_path / "x.parquet")
    if rows == [[[]]]:
        assert read_mel(tmp_path / "x.parquet").numel() == 0
        return
    with pytest.raises(FileError, match=r"lengths|null|lists"):
        read_mel(tmp_path / "x.parquet")


def test_rows_that_would_fill_the_memory(tmp_path, monkeypatch):
    """A dictionary and run lengths store many equal values in some kilobytes."""
    row = pyarrow.array([[[0.0] * 2**9] * 2**6], pyarrow.list_(pyarrow.list_(F4)))
    whole = pyarrow.table({"mel": pyarrow.concat_arrays([row] * 100)})
    parquet.write_table(whole, tmp_path / "x.parquet", row_group_size=100, compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 2**16
    monkeypatch.setattr(table_files, "most_bytes", lambda size: 256 * size)  # less than in truth
    with pytest.raises(FileError, match="would expand"):
        mel_entries(tmp_path / "x.parquet")


def test_state_files_that_are_broken(tmp_path):
    content = table(id=NAMES)
    with pyarrow.ipc.new_stream(str(tmp_path / "x.arrow"), content.schema) as writer:
        writer.write_table(content)
    for text in ("{", "[]", "[" * 10**5, json.dumps({"_data_files": [3]})):
        (tmp_path / "state.json").write_text(text)
        assert find_mels(tmp_path) == [tmp_path / "x.arrow"]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("opened", [pyarrow.ipc.new_file, pyarrow.ipc.new_stream])
def test_compressed_batches_are_refused(tmp_path, compression, opened):
    """One kilobyte of them may hold many times the memory; without compression they are read."""
    path = str(tmp_path / "x.arrow")
    content = table(id=pyarrow.array(NAMES).dictionary_encode())
    for used in (None, compression):
        options = pyarrow.ipc.IpcWriteOptions(compression=used)
        with opened(path, content.schema, options=options) as file:
            file.write_table(content)
        if used is None:
            check_mels(tmp_path / "x.arrow", NAMES)
    with pytest.raises(FileError, match="batches are compressed"):
        mel_entries(path)
