"""Mel files that lie: damaged, made to run code, made to fill the memory; and odd ones that are right."""

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

from tests.fuzz.harness import MANY, damaged, fuzz, outcome, read_alone
from torchmelinv import files
from torchmelinv.errors import FileError
from torchmelinv.files import read_mel

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
    torch.save({"mel": torch.from_numpy(MEL), "text": "a"} if value is None else value, stream, **options)
    return stream.getvalue()


def safetensors(tmp_path) -> bytes:
    save_file({"mel": torch.from_numpy(MEL)}, tmp_path / "original")
    return (tmp_path / "original").read_bytes()


def npy_that_says(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def shape_that_says(shape: str, descr: str = "'<f4'") -> bytes:
    return npy_that_says(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", MEL.tobytes())


def repacked(content: bytes, change=lambda name, data: data, how=zipfile.ZIP_STORED) -> bytes:
    """An archive with changed entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", how) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return stream.getvalue()


def looked_at(path, suffix, content) -> object:
    path = path / f"x{suffix}"
    path.write_bytes(content)
    found = outcome(lambda: read_mel(path))
    if isinstance(found, torch.Tensor):
        assert found.nbytes <= 2 * len(content) + 2**20
        assert found.is_contiguous()
    else:
        assert isinstance(found, FileError)
        assert str(path) in str(found)
        assert "\n" not in str(found)
    return found


@MANY
@pytest.mark.parametrize(("suffix", "head", "count"), [
    (".npy", 128, 500), (".npz", 0, 400), (".pt", 0, 500), (".safetensors", 80, 300),
])
def test_damaged(tmp_path, suffix, head, count, many):
    whole = {".npy": npy, ".npz": npz, ".pt": pt, ".safetensors": lambda: safetensors(tmp_path)}[suffix]()
    assert looked_at(tmp_path, suffix, whole).tolist() == MEL.tolist()
    fuzz(lambda content: looked_at(tmp_path, suffix, content), damaged(whole, head), count, many)


@MANY
def test_damage_inside_archives(tmp_path, many):
    """The archive is sound, and what it holds is not."""
    pickled = zipfile.ZipFile(io.BytesIO(pt())).read("archive/data.pkl")

    def check(case):
        array, content = case
        looked_at(tmp_path, ".npz", repacked(npz(mel=MEL), lambda *_: array))
        looked_at(tmp_path, ".pt", repacked(pt(), lambda name, data: content if name.endswith("data.pkl") else data))

    fuzz(check, st.tuples(damaged(npy(), 128), damaged(pickled)), 150, many)


HEADERS = st.one_of(
    st.tuples(*2 * [st.one_of(st.integers(-(2**70), 2**70), st.integers(-2, 40))]).map(str),
    st.lists(st.integers(0, 3), max_size=80).map(lambda sizes: str(tuple(sizes))),
    st.sampled_from(["(8, 20", "(True, 5)", "(8.0, 20)", "[8, 20]", "8", "()", "('8', 20)", "(8, 20)*10**9", "(8L, 20L)",
                     "(10**99,)", "-" * 9000 + "1", "(" * 9000, "[" * 90, "__import__('os').getpid()", "(0, 10**30)"]),
)
DTYPES = st.one_of(
    st.sampled_from(["'<f4'", "'>f4'", "'|O'", "'<U9'", "'|V0'", "'|S0'", "'<M8[s]'", "'<f2'", "'<c16'", "'|b1'", "'f4,f4'",
                     "None", "'(1000000,1000000)f4'", "[('a', '<f4')]", "[('a', '|O')]", "('<f4', (9, 9))", "'V2000000000'", "1",
                     "'<f16'"]),
    st.text(max_size=8).map(repr),
)


@MANY
def test_npy_headers(tmp_path, many):
    def check(case):
        shape, descr, version = case
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode("latin1", "replace").decode("latin1")
        looked_at(tmp_path, ".npy", npy_that_says(header, MEL.tobytes(), version))

    fuzz(check, st.tuples(HEADERS, DTYPES, st.sampled_from([1, 1, 2, 3])), 400, many)


PROMISES = st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "F64", "BF16", "F8_E4M3", "U64", "BOOL", "X", 3, None]),
    "shape": st.one_of(st.lists(st.integers(-2, 2**64), max_size=4), st.just([8, 20]), st.text(max_size=3)),
    "data_offsets": st.one_of(st.lists(st.integers(-1, 2**64), max_size=3), st.just([0, 640])),
})


@MANY
def test_safetensors_headers(tmp_path, many):
    def check(promises):
        header = json.dumps(promises).encode()
        looked_at(tmp_path, ".safetensors", struct.pack("<Q", len(header)) + header + MEL.tobytes())

    fuzz(check, st.dictionaries(st.sampled_from(["mel", "a\nb", "__metadata__"]), PROMISES, max_size=3), 200, many)
    for length in (0, 7, 2**32, 2**63, 2**64 - 1):
        looked_at(tmp_path, ".safetensors", struct.pack("<Q", length) + b"[" * 5000)


# Code that a file would like to run


class Villain:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def villains(target):
    touch = f"__import__('pathlib').Path({str(target)!r}).touch()"
    return [Villain(os.system, f"touch '{target}'"), Villain(exec, touch), Villain(eval, touch), Villain(os.mkdir, str(target)),
            Villain(torch.save, 1, str(target))]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("index", range(5))
def test_code_is_never_executed(tmp_path, index, protocol):
    target = tmp_path / "it was here"
    evil = villains(target)[index]
    objects = np.empty(1, dtype=object)
    objects[0] = evil
    plain = pickle.dumps({"mel": evil}, protocol)
    lies = {  # also under each other's names
        "npy": npy(objects), "npz": npz(mel=objects), "bare pickle": plain, "pt": pt({"mel": evil}, pickle_protocol=protocol),
        "old pt": pt({"mel": evil}, _use_new_zipfile_serialization=False),
        "swapped": repacked(pt(), lambda name, data: plain if name.endswith("data.pkl") else data),
    }
    for content in lies.values():
        for suffix in files.MEL_SUFFIXES:
            assert isinstance(looked_at(tmp_path, suffix, content), FileError)
    assert not target.exists()
    pickle.loads(plain)
    assert target.exists()  # it would have been


# Memory that a file would like to have

FLAT = np.zeros((80, 1_150_000), dtype=np.float32)  # 370 MB that deflate to 360 KB


def tuples_within_tuples(depth: int, step: bytes) -> bytes:
    return b"\x80\x02}q\0)" + step * depth + b"K\1s."


def lying_files(folder) -> dict[str, bytes]:
    bomb = npz(np.savez_compressed, mel=FLAT)
    short = bytearray(bomb)  # the same, declared to be small
    for place in range(len(short) - 3):
        if short[place : place + 4] == struct.pack("<I", len(npy(FLAT[:, :0])) + FLAT.nbytes):
            short[place : place + 4] = struct.pack("<I", 1000)
    tensor = torch.zeros(1).expand(2**20, 2**20)
    numel = b"K\x05"  # of a storage of five numbers
    five = zipfile.ZipFile(io.BytesIO(pt(torch.zeros(5)))).read("archive/data.pkl")
    many = five.replace(numel, b"J" + struct.pack("<i", 2**31 - 1))
    assert many != five
    header = b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1)

    def pickled(content, value=None):
        return repacked(pt(value), lambda name, data: content if name.endswith("data.pkl") else data)

    return {
        "bomb.npz": bomb, "short.npz": bytes(short),
        "lzma.npz": repacked(npz(mel=FLAT[:1]), how=zipfile.ZIP_LZMA),
        "header.npz": repacked(npz(), lambda *_: header + bytes(2**26), zipfile.ZIP_DEFLATED),
        "huge.npy": shape_that_says("(1000000, 1000000)"), "header.npy": header + b" " * 99,
        "negative.npy": shape_that_says("(-1, 20)"), "overflow.npy": shape_that_says(f"({2**62}, 8)"),
        "deflated.pt": repacked(pt(torch.zeros(2**20)), how=zipfile.ZIP_DEFLATED),
        "expanded.pt": pt(tensor), "numel.pt": pickled(many, torch.zeros(5)),
        "old.pt": pt(torch.zeros(5), _use_new_zipfile_serialization=False).replace(numel, b"J" + struct.pack("<i", 2**31 - 1)),
        "deep.pt": pickled(tuples_within_tuples(10**6, b"\x85")), "shared.pt": pickled(tuples_within_tuples(60, b"q\1h\1\x86")),
        "big.pt": pickled(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
        "meta.safetensors": struct.pack("<Q", 2**40) + b"{}",
        "empty.npy": b"", "empty.npz": b"", "empty.pt": b"", "empty.safetensors": b"",
    }


def test_no_header_is_believed(tmp_path):
    paths = []
    for name, content in lying_files(tmp_path).items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    for path, (said, peak) in zip(paths, read_alone("read_mel", paths), strict=True):
        assert str(said).startswith("FileError: "), (path.name, said)
        assert peak < 2**26 + 20 * path.stat().st_size, path.name  # 64 MiB, where most lies are of GiB


def test_what_compresses_well_is_still_read(tmp_path):
    """Minutes of digital silence are honest."""
    (tmp_path / "x.npz").write_bytes(npz(np.savez_compressed, mel=FLAT[:, : 2**16]))
    assert read_mel(tmp_path / "x.npz").shape == (80, 2**16)


# Right ones


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u2", "c8", "c16", "f16", "c32"])
@pytest.mark.parametrize("order", "<>")
def test_either_byte_order_is_read_right(tmp_path, dtype, order):
    array = (100 * MEL).astype(f"{order}{dtype}")
    for name, content in (("x.npy", npy(array)), ("x.npz", npz(mel=array))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_mel(tmp_path / name).numpy(), array)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_tensors_of_a_machine_with_the_other_byte_order(tmp_path, dtype):
    array = MEL.astype(f"<{dtype}")

    def other(name, data):
        if name.endswith("byteorder"):
            return b"big"
        return array.astype(f">{dtype}").tobytes() if name.endswith("data/0") else data

    (tmp_path / "x.pt").write_bytes(repacked(pt(torch.from_numpy(array)), other))
    assert np.array_equal(read_mel(tmp_path / "x.pt").numpy(), array)


@pytest.mark.parametrize("suffix", files.MEL_SUFFIXES)
def test_nan_payloads_come_as_they_are(tmp_path, suffix):
    """The door refuses them; a reader changes no bit."""
    bits = np.array([[0x7FC00001, 0xFFC12345, 0x7F800000, 0x7FABCDEF]], dtype=np.uint32)
    mel = torch.from_numpy(bits.view(np.float32))
    path = tmp_path / f"x{suffix}"
    if suffix == ".safetensors":
        save_file({"mel": mel}, path)
    else:
        path.write_bytes({".npy": npy(mel.numpy()), ".npz": npz(mel=mel.numpy())}.get(suffix) or pt(mel))
    assert np.array_equal(read_mel(path).numpy().view(np.uint32), bits)
