"""Which array of a file is the mel: by its name, its key or its dimensions, else a clear error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.mel_layout import MelLayout
from torchmelinv.io.mels import read_mel


@pytest.mark.parametrize(("key", "many"), [(None, False), ("mel", False), ("u*/mel", True)])
def test_a_key_with_wildcards_selects_many(key, many):
    assert MelLayout(key=key).selects_many == many


@pytest.mark.parametrize(
    ("key", "name", "short"),
    [
        ("*/mel", "a/mel", "a"),
        ("*/mel", "a/b/mel", "a/b"),
        ("outputs/*/mel", "outputs/a/mel", "a"),
        ("outputs/*", "outputs/a", "a"),
        ("utt_*", "utt_1", "utt_1"),
        ("*_mel", "a_mel", "a_mel"),
        ("a/utt_[0-9]/mel/x", "a/utt_1/mel/x", "utt_1"),
        ("*", "a/mel", "a/mel"),
        ("*/mel", "/mel", ""),
        ("mel", "mel", "mel"),
        (None, "a/mel", "a/mel"),
    ],
)
def test_a_name_is_shown_without_the_groups_of_the_key(key, name, short):
    assert MelLayout(key=key).short_name(name) == short


def test_the_name_marks_the_mel_among_several_arrays(tmp_path):
    mel = torch.rand(8, 20)
    np.savez(tmp_path / "a.npz", wave=np.zeros(5), Mel=mel.numpy(), config=np.array("{}"))
    torch.save({"log_mel": mel, "text": "hello", "length": 20}, tmp_path / "a.pt")
    np.savez_compressed(tmp_path / "b.npz", anything=mel.numpy())
    for name in ("a.npz", "a.pt", "b.npz"):
        assert torch.equal(read_mel(tmp_path / name), mel)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": np.zeros((2, 3)), "b": np.ones((2, 2))},
            r"'a' \(2, 3\), 'b' \(2, 2\); choose the mel by its key \(--key NAME",
        ),
        ({"a": np.zeros(3), "b": np.zeros(3)}, r"'a' \(3,\), 'b' \(3,\); choose"),
        ({"mel": np.zeros(3), "log_mel": np.zeros(3)}, "'mel'"),
        ({}, "holds nothing"),
        ({"mel": np.array("text")}, "not of numbers"),
        ({"mel": np.zeros(3, dtype=bool)}, "array of bool"),
    ],
)
def test_ambiguous_archives_raise(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FileError, match=message):
        read_mel(tmp_path / "x.npz")


def test_the_only_array_of_two_dimensions_is_the_mel(tmp_path):
    arrays = {"S_db": np.ones((2, 5)), "sr": np.array(44100), "pitch": np.zeros(5)}
    np.savez(tmp_path / "x.npz", **arrays)
    torch.save(arrays, tmp_path / "x.pt")
    for name in ("x.npz", "x.pt"):
        assert read_mel(tmp_path / name).shape == (2, 5)
