"""Malicious mel files: damaged, made to run code, made to fill the memory; and odd valid ones."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome, read_isolated
from torchmelinv.errors import FileError
from torchmelinv.io.mel_formats import ARRAY_SUFFIXES, MEL_SUFFIXES
from torchmelinv.io.mels import read_mel

save_file = pytest.importorskip("safetensors.torch").save_file
MEL = np.random.default_rng(0).random((8, 20), dtype=np.float32)


def npy(array=MEL) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(save=np.savez, **arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, **(arrays or {"mel": MEL, "wave": MEL[0]}))
    return stream.getvalue()


def pt(value=None, **options) -> bytes:
    stream = io.BytesIO()
    if value is None:
        value = {"mel": torch.from_numpy(MEL), "text": "a"}
    torch.save(value, stream, **options)
    return stream.getvalue()


def safetensors(tmp_path) -> bytes:
    save_file({"mel": torch.from_numpy(MEL)}, tmp_path / "original")
    return (tmp_path / "original").read_bytes()


def npy_with_header(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header_with(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


def npy_with_shape(shape: str) -> bytes:
    return npy_with_header(header_with(shape), MEL.tobytes())


def repacked(content: bytes, change=lambda name, data: data, how=zipfile.ZIP_STORED) -> bytes:
    """Return an archive with changed entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", how) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return stream.getvalue()


def with_pickle(content: bytes, value=None) -> bytes:
    """Return a pt file with another pickle."""
    return repacked(pt(value), lambda name, data: content if name.endswith("data.pkl") else data)


def check_reading(folder, suffix, content) -> object:
    """Return the outcome of reading a mel: a tensor of bounded size, or a one-line error."""
    path = folder / f"x{suffix}"
    path.write_bytes(content)
    result = outcome(lambda: read_mel(path))
    if isinstance(result, torch.Tensor):
        assert result.nbytes <= 2 * len(content) + 2**20
        assert result.is_contiguous()
    else:
        assert isinstance(result, FileError)
        assert str(path) in str(result)
        assert "\n" not in str(result)
    return result


@MANY
@pytest.mark.parametrize(
    ("suffix", "head", "count"),
    [
        (".npy", 128, 500),
        (".npz", 0, 400),
        (".pt", 0, 500),
        (".safetensors", 80, 300),
    ],
)
def test_damaged_files(tmp_path, suffix, head, count, many):
    make = {".npy": npy, ".npz": npz, ".pt": pt, ".safetensors": lambda: safetensors(tmp_path)}
    content = make[suffix]()
    assert check_reading(tmp_path, suffix, content).tolist() == MEL.tolist()
    fuzz(lambda case: check_reading(tmp_path, suffix, case), damaged(content, head), count, many)


@MANY
def test_damage_inside_intact_archives(tmp_path, many):
    pickled = zipfile.ZipFile(io.BytesIO(pt())).read("archive/data.pkl")

    def check(case):
        array, content = case
        check_reading(tmp_path, ".npz", repacked(npz(mel=MEL), lambda *_: array))
        check_reading(tmp_path, ".pt", with_pickle(content))

    fuzz(check, st.tuples(damaged(npy(), 128), damaged(pickled)), 150, many)


HEADERS = st.one_of(
    st.tuples(*2 * [st.one_of(st.integers(-(2**70), 2**70), st.integers(-2, 40))]).map(str),
    st.lists(st.integers(0, 3), max_size=80).map(lambda sizes: str(tuple(sizes))),
    st.sampled_from(
        [
            "(8, 20",
            "(True, 5)",
            "(8.0, 20)",
            "[8, 20]",
            "8",
            "()",
            "('8', 20)",
            "(8, 20)*10**9",
            "(8L, 20L)",
            "(10**99,)",
            "-" * 9000 + "1",
            "(" * 9000,
            "[" * 90,
            "__import__('os').getpid()",
            "(0, 10**30)",
        ]
    ),
)
DTYPES = st.one_of(
    st.sampled_from(
        [
            "'<f4'",
            "'>f4'",
            "'|O'",
            "'<U9'",
            "'|V0'",
            "'|S0'",
            "'<M8[s]'",
            "'<f2'",
            "'<c16'",
            "'|b1'",
            "'f4,f4'",
            "None",
            "'(1000000,1000000)f4'",
            "[('a', '<f4')]",
            "[('a', '|O')]",
            "('<f4', (9, 9))",
            "'V2000000000'",
            "1",
            "'<f16'",
        ]
    ),
    st.text(max_size=8).map(repr),
)


@MANY
def test_npy_headers(tmp_path, many):
    def check(case):
        shape, descr, version = case
        header = header_with(shape, descr).encode("latin1", "replace").decode("latin1")
        check_reading(tmp_path, ".npy", npy_with_header(header, MEL.tobytes(), version))

    fuzz(check, st.tuples(HEADERS, DTYPES, st.sampled_from([1, 1, 2, 3])), 400, many)


ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "BF16", "F8_E4M3", "U64", "BOOL", "X", 3, None]),
        "shape": st.one_of(
            st.lists(st.integers(-2, 2**64), max_size=4), st.just([8, 20]), st.text(max_size=3)
        ),
        "data_offsets": st.one_of(st.lists(st.integers(-1, 2**64), max_size=3), st.just([0, 640])),
    }
)


@MANY
def test_safetensors_headers(tmp_path, many):
    def check(entries):
        header = json.dumps(entries).encode()
        content = struct.pack("<Q", len(header)) + header + MEL.tobytes()
        check_reading(tmp_path, ".safetensors", content)

    names = st.sampled_from(["mel", "a\nb", "__metadata__"])
    fuzz(check, st.dictionaries(names, ENTRIES, max_size=3), 200, many)
    for length in (0, 7, 2**32, 2**63, 2**64 - 1):
        check_reading(tmp_path, ".safetensors", struct.pack("<Q", length) + b"[" * 5000)


# Code in files


class Call:
    """An object that pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def harmful_calls(target):
    """Return calls that create the file `target`."""
    touch = f"__import__('pathlib').Path({str(target)!r}).touch()"
    return [
        Call(os.system, f"touch '{target}'"),
        Call(exec, touch),
        Call(eval, touch),
        Call(os.mkdir, str(target)),
        Call(torch.save, 1, str(target)),
    ]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("index", range(5))
def test_code_is_never_executed(tmp_path, index, protocol):
    target = tmp_path / "created by a pickle"
    call = harmful_calls(target)[index]
    objects = np.empty(1, dtype=object)
    objects[0] = call
    plain = pickle.dumps({"mel": call}, protocol)
    contents = {
        "npy": npy(objects),
        "npz": npz(mel=objects),
        "bare pickle": plain,
        "pt": pt({"mel": call}, pickle_protocol=protocol),
        "old pt": pt({"mel": call}, _use_new_zipfile_serialization=False),
        "swapped": with_pickle(plain),
    }
    for content in contents.values():
        for suffix in MEL_SUFFIXES:
            assert isinstance(check_reading(tmp_path, suffix, content), FileError)
    assert not target.exists()
    pickle.loads(plain)
    assert target.exists()  # the call does work


# Files that would fill the memory

FLAT = np.zeros((80, 1_150_000), dtype=np.float32)  # 370 MB that deflate to 360 KB


def nested_tuples(depth: int, step: bytes) -> bytes:
    return b"\x80\x02}q\0)" + step * depth + b"K\1s."


def false_files() -> dict[str, bytes]:
    bomb = npz(np.savez_compressed, mel=FLAT)
    size = struct.pack("<I", len(npy(FLAT[:, :0])) + FLAT.nbytes)
    short = bomb.replace(size, struct.pack("<I", 1000))  # the same, declared to be small
    assert short != bomb
    tensor = torch.zeros(1).expand(2**20, 2**20)
    numel = b"K\x05"  # of a storage of five numbers
    five = zipfile.ZipFile(io.BytesIO(pt(torch.zeros(5)))).read("archive/data.pkl")
    many = five.replace(numel, b"J" + struct.pack("<i", 2**31 - 1))
    assert many != five
    header = b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1)

    old_pt = pt(torch.zeros(5), _use_new_zipfile_serialization=False)
    return {
        "bomb.npz": bomb,
        "short.npz": short,
        "lzma.npz": repacked(npz(mel=FLAT[:1]), how=zipfile.ZIP_LZMA),
        "header.npz": repacked(npz(), lambda *_: header + bytes(2**26), zipfile.ZIP_DEFLATED),
        "huge.npy": npy_with_shape("(1000000, 1000000)"),
        "header.npy": header + b" " * 99,
        "negative.npy": npy_with_shape("(-1, 20)"),
        "overflow.npy": npy_with_shape(f"({2**62}, 8)"),
        "deflated.pt": repacked(pt(torch.zeros(2**20)), how=zipfile.ZIP_DEFLATED),
        "expanded.pt": pt(tensor),
        "numel.pt": with_pickle(many, torch.zeros(5)),
        "old.pt": old_pt.replace(numel, b"J" + struct.pack("<i", 2**31 - 1)),
        "deep.pt": with_pickle(nested_tuples(10**6, b"\x85")),
        "shared.pt": with_pickle(nested_tuples(60, b"q\1h\1\x86")),
        "big.pt": with_pickle(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
        "meta.safetensors": struct.pack("<Q", 2**40) + b"{}",
        "empty.npy": b"",
        "empty.npz": b"",
        "empty.pt": b"",
        "empty.safetensors": b"",
    }


def test_false_headers_take_no_memory(tmp_path):
    contents = false_files()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    for path, (report, peak) in zip(paths, read_isolated("read_mel", paths), strict=True):
        assert str(report).startswith("FileError: "), (path.name, report)
        # 64 MiB; most of the headers promise GiB.
        assert peak < 2**26 + 20 * path.stat().st_size, path.name


def test_minutes_of_compressed_silence_are_read(tmp_path):
    (tmp_path / "x.npz").write_bytes(npz(np.savez_compressed, mel=FLAT[:, : 2**16]))
    assert read_mel(tmp_path / "x.npz").shape == (80, 2**16)


# Odd valid files


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u2", "c8", "c16", "f16", "c32"])
@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders_are_read(tmp_path, dtype, order):
    array = (100 * MEL).astype(f"{order}{dtype}")
    for name, content in (("x.npy", npy(array)), ("x.npz", npz(mel=array))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_mel(tmp_path / name).numpy(), array)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_tensors_of_a_machine_with_the_other_byte_order(tmp_path, dtype):
    array = MEL.astype(f"<{dtype}")

    def big_endian(name, data):
        if name.endswith("byteorder"):
            return b"big"
        return array.astype(f">{dtype}").tobytes() if name.endswith("data/0") else data

    (tmp_path / "x.pt").write_bytes(repacked(pt(torch.from_numpy(array)), big_endian))
    assert np.array_equal(read_mel(tmp_path / "x.pt").numpy(), array)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
def test_reading_keeps_every_bit_of_nan(tmp_path, suffix):
    """Readers change no bit; `mel_checks` raises for NaN."""
    bits = np.array([[0x7FC00001, 0xFFC12345, 0x7F800000, 0x7FABCDEF]], dtype=np.uint32)
    mel = torch.from_numpy(bits.view(np.float32))
    path = tmp_path / f"x{suffix}"
    if suffix == ".safetensors":
        save_file({"mel": mel}, path)
    elif suffix in (".h5", ".hdf5"):
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["mel"] = mel.numpy()
    else:
        contents = {".npy": npy(mel.numpy()), ".npz": npz(mel=mel.numpy())}
        path.write_bytes(contents.get(suffix) or pt(mel))
    assert np.array_equal(read_mel(path).numpy().view(np.uint32), bits)
