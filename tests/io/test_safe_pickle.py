"""Pickles of tensors and plain values pass; crafted ones are refused."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import time
import zipfile

import pytest
import torch

from torchmelinv.io.safe_pickle import PICKLED, read_pickle
from torchmelinv.io.torch_files import read_torch

MEL = torch.arange(12.0).reshape(3, 4)


def saved(value: object) -> dict[str, bytes]:
    """Return the entries of what torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream)
    with zipfile.ZipFile(stream) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(path, entries: dict[str, bytes]):
    """Write the entries as an uncompressed archive."""
    with zipfile.ZipFile(path, "w") as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return path


def first(names, shape):
    return next(iter(names))


class Global:
    """Pickles as a global of PyTorch, without that object being made here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickles as a call of a global, optionally followed by BUILD with a state."""

    def __init__(self, function: Global, *arguments: object, state: object = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state


def write_pickle(value: object) -> bytes:
    """Write protocol 2 by hand, so that anything can be called with anything."""
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        called = write_pickle(value.function) + write_pickle(value.arguments) + b"R"
        return called if value.state is None else called + write_pickle(value.state) + b"b"
    if isinstance(value, tuple) and value and value[0] == "persistent":
        return write_pickle(value[1:]) + b"Q"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(write_pickle, value)) + b"t"
    if isinstance(value, dict):
        items = b"".join(write_pickle(key) + write_pickle(entry) for key, entry in value.items())
        return b"}(" + items + b"u"
    return pickle.dumps(value, 2)[2:-1]


def crafted(value: object) -> bytes:
    return b"\x80\x02" + write_pickle(value) + b"."


def storage(n_items: int, key: str = "0", kind: str = "FloatStorage") -> tuple:
    return ("persistent", "storage", Global("torch", kind), key, "cpu", n_items)


def tensor(n_items=12, offset=0, size=(3, 4), stride=(4, 1), key="0", version="_v2") -> Call:
    function = Global("torch._utils", f"_rebuild_tensor{version}")
    return Call(function, storage(n_items, key), offset, size, stride, False, {})


SHAPE = (3, 4)
PLAIN = {
    "tensor": MEL,
    "parameter": torch.nn.Parameter(MEL),
    "view": MEL[1:, ::2],
    "expanded": torch.tensor(3.0).expand(5),
    "half": MEL.half(),
    "bfloat16": MEL.bfloat16(),
    "complex": MEL.to(torch.complex64),
    "untyped": MEL.to(torch.uint16),
    "empty": torch.empty(0, 3),
    "dictionary": {"mel": MEL, "text": "x", "number": 3, "list": [1.5, (2, None)]},
    "shared": {"mel": MEL, "part": MEL[1:]},
    "ordered": collections.OrderedDict(mel=MEL),
    "values": {"mel": MEL, "size": torch.Size([1]), "dtype": torch.float16},
    "seed": {"mel": MEL, "seed": 2**63 + 1},
    "a shared shape": {"mel": MEL, "a": SHAPE, "b": SHAPE},
}


@pytest.mark.parametrize("name", PLAIN)
def test_tensors_and_plain_values_pass(name, tmp_path):
    torch.save(PLAIN[name], tmp_path / "x.pt")
    found = read_torch(tmp_path / "x.pt", first)
    value = PLAIN[name]
    expected = value["mel"] if isinstance(value, dict) else value
    assert torch.equal(found, expected)


def test_the_hand_written_pickle_is_what_torch_writes(tmp_path):
    entries = saved(MEL)
    name = next(each for each in entries if each.endswith("data.pkl"))
    path = archive(tmp_path / "x.pt", {**entries, name: crafted(tensor())})
    assert torch.equal(read_torch(path, first), MEL)


UNTYPED = Global("torch.storage", "UntypedStorage")
HOSTILE = {
    "a storage that nobody fills": Call(UNTYPED, 640_000),
    "a storage from a typed class": Call(Global("torch", "FloatStorage"), 160_000),
    "a tensor that sets its storage": Call(
        Global("torch._utils", "_rebuild_tensor_v2"),
        *(storage(12), 0, (3, 4), (4, 1), False, {}),
        state=(Call(UNTYPED, 640_000), 0, (400, 400), (400, 1)),
    ),
    "build of a dictionary": Call(Global("collections", "OrderedDict"), state={"__class__": 1}),
    "a tensor of an allocated storage": Call(
        Global("torch._utils", "_rebuild_tensor_v2"),
        *(Call(UNTYPED, 640_000), 0, (400, 400), (400, 1), False, {}),
    ),
    "a storage larger than its entry": tensor(13, size=(13,), stride=(1,)),
    "a storage without an entry": tensor(key="1"),
    "a negative storage": tensor(-1),
    "a view beyond the storage": tensor(size=(4, 4)),
    "a view that begins beyond it": tensor(offset=12, size=(1,), stride=(1,)),
    "a view with a large stride": tensor(size=(2,), stride=(2**40,)),
    "a view with a negative stride": tensor(size=(2,), stride=(-1,)),
    "a view with a fractional size": tensor(size=(2.5,), stride=(1,)),
    "an untyped view beyond the storage": Call(
        Global("torch._utils", "_rebuild_tensor_v3"),
        *(
            ("persistent", "storage", UNTYPED, "0", "cpu", 48),
            *(0, (12,), (1,), False, {}, Global("torch", "float64")),
        ),
    ),
    "one storage with two sizes": {"a": tensor(4, size=(4,), stride=(1,)), "b": tensor()},
    "another persistent id": ("persistent", "file", Global("torch", "FloatStorage"), "0", "cpu", 1),
    "a short persistent id": ("persistent", "storage"),
    "a function of torch": Call(Global("torch", "load"), "x"),
    "a function of the system": Call(Global("posix", "system"), "true"),
    "a key that hashes as a small one": {2**61 - 1: 1},
    "a tuple as a key": {(1, 2): 1},
    "a size as a key": {"x": 1, Call(Global("torch", "Size"), (1, 2)): 1},
    "a size of sizes": Call(Global("torch", "Size"), (Call(Global("torch", "Size"), (1,)),)),
    "a size of a list": Call(Global("torch", "Size"), [1, 2]),
    "a dictionary from a dictionary": Call(Global("collections", "OrderedDict"), {"a": 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_crafted_pickles_are_refused(name, tmp_path):
    entries = saved(MEL)
    pickled = next(each for each in entries if each.endswith("data.pkl"))
    path = archive(tmp_path / "x.pt", {**entries, pickled: crafted(HOSTILE[name])})
    with pytest.raises(ValueError, match="pickled Python objects"):
        read_torch(path, first)


def test_no_value_of_another_tensor_can_be_read(tmp_path):
    """The memory of a tensor that was freed before is not what a crafted file returns."""
    secret = torch.full((400, 400), 7.0)
    del secret
    for name in HOSTILE:
        entries = saved(MEL)
        pickled = next(each for each in entries if each.endswith("data.pkl"))
        path = archive(tmp_path / "x.pt", {**entries, pickled: crafted(HOSTILE[name])})
        with pytest.raises(ValueError, match="pickled"):
            read_torch(path, first)


@pytest.mark.parametrize(
    "opcode", [b"2", b"\x81", b"\x82\x01", b"\x92", b"\x94", b"\x8f", b"o", b"ix\ny\n", b"K\x01b"]
)
def test_opcodes_that_no_tensor_needs_are_refused(opcode):
    with pytest.raises(ValueError, match="pickled"):
        read_pickle(b"\x80\x02(K\x01" + opcode + b".", {})


def test_a_huge_memo_takes_no_memory():
    read_pickle(b"\x80\x02K\x01r" + struct.pack("<I", 2**31) + b".", {})


def test_nested_shared_tuples_take_no_time():
    """Hashing these would take 2^60 steps."""
    level = b"\x86q\x01h\x01h\x01"
    content = b"\x80\x02}K\x01K\x01" + level * 60 + b"\x86K\x00s."
    start = time.process_time()
    with pytest.raises(ValueError, match="pickled"):
        read_pickle(content, {})
    assert time.process_time() - start < 1


def test_two_entries_of_one_name_are_refused(tmp_path):
    entries = saved(MEL)
    name = next(each for each in entries if each.endswith("data/0"))
    path = archive(tmp_path / "x.pt", entries)
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate name"):
        target.writestr(name, bytes(4000))
    with pytest.raises(ValueError, match=r"the key .* twice"):
        read_torch(path, first)


def test_colliding_keys_take_no_time():
    many = b"".join(pickle.dumps(k * (2**61 - 1), 2)[2:-1] + b"K\0" for k in range(40_000))
    start = time.process_time()
    with pytest.raises(ValueError, match="pickled"):
        read_pickle(b"\x80\x02}(" + many + b"u.", {})
    assert time.process_time() - start < 1


def test_damaged_pickles_are_refused():
    content = next(value for name, value in saved(MEL).items() if name.endswith("data.pkl"))
    sizes = {"0": MEL.nbytes}
    read_pickle(content, sizes)
    for length in range(len(content)):
        with pytest.raises(ValueError):  # noqa: PT011
            read_pickle(content[:length], sizes)
    assert "never loaded" in PICKLED


def nested(leaf: object, keys: list[str], depth: int = 5) -> object:
    """Return dictionaries within each other, each of which stands in the file once."""
    for _ in range(depth):
        leaf = dict.fromkeys(keys, leaf)
    return leaf


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested({}, [str(number) for number in range(200)]), "more than 100000 entries"),
        (nested(0, ["a" * 2**20, "b" * 2**20]), "long names"),
        ({"a/b": MEL, "a": {"b": MEL}}, "twice"),
    ],
)
def test_shared_entries_take_neither_time_nor_memory(tmp_path, value, message):
    path = archive(tmp_path / "a.pt", saved(value))
    start = time.monotonic()
    with pytest.raises(ValueError, match=message):
        read_torch(path, first)
    assert time.monotonic() - start < 10
