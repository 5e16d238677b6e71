"""Records name a wrong field, convert NumPy's numbers, update dependent defaults, survive JSON."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.conventions.wrong_fields import BASE
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.errors import ConventionError, TorchmelinvError, nearest

RECORD = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16)


def test_dependent_defaults_follow_a_change():
    changed = RECORD.replace(n_fft=256, sample_rate=16000)
    assert (changed.win_length, changed.filterbank_sample_rate, changed.f_max) == (256, 16000, 8000)
    explicit = RECORD.replace(win_length=100, f_max=3000).replace(n_fft=256, sample_rate=16000)
    assert (explicit.win_length, explicit.f_max) == (100, 3000)


def test_numpy_numbers_become_python_numbers():
    record = RECORD.replace(
        n_fft=np.int64(256), f_min=np.float32(20), level=Compression(affine=np.array([1.0, 2.0]))
    )
    assert type(record.n_fft) is int
    assert type(record.f_min) is float
    assert record.level.affine == (1.0, 2.0)
    assert MelConvention.from_json(record.to_json()) == record


@pytest.mark.parametrize("wrong", [np.ones(3), "boxcar", 3, None])
def test_a_wrong_name_raises_with_the_allowed_names(wrong):
    with pytest.raises(ConventionError, match=r"window.*'hann'"):
        RECORD.replace(window=wrong)


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(ConventionError, match=r"no field 'hop_lenght'; did you mean 'hop_length'"):
        MelConvention.from_dict({**BASE, "hop_lenght": 1})
    with pytest.raises(
        ConventionError, match=r"Compression has no field 'logg'; did you mean 'log'"
    ):
        MelConvention.from_dict({**BASE, "level": {"logg": "ln"}})
    with pytest.raises(ConventionError, match=r"needs n_fft, sample_rate, n_mels"):
        MelConvention.from_dict({"hop_length": 1})
    with pytest.raises(ConventionError, match=r"no field 'f_top'"):
        MelConvention(**BASE).replace(f_top=1)
    assert nearest("griffinlim", ("griffin_lim", "admm")) == "; did you mean 'griffin_lim'?"
    assert nearest("xyz", ("griffin_lim", "admm")) == ""
    assert nearest("hop", ("n_fft", "hop_length")) == "; did you mean 'hop_length'?"


def test_replace_validates_and_keeps_the_original() -> None:
    convention = MelConvention(**BASE)
    assert convention.replace(n_mels=40).n_mels == 40
    assert convention.replace(level={"log": "ln", "offset": 1.0}).level == Compression(
        log="ln", offset=1.0
    )
    assert convention == MelConvention(**BASE)
    with pytest.raises(ConventionError, match="n_mels is 0"):
        convention.replace(n_mels=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        convention.n_mels = 40  # type: ignore[misc]


def test_equality_and_hash_are_by_value() -> None:
    assert {MelConvention(**BASE), MelConvention(**BASE, f_max=8000.0)} == {MelConvention(**BASE)}
    assert MelConvention(**BASE) != MelConvention(**BASE, f_max=7000)
    assert Compression(affine=[1, 2]) == Compression(affine=(1.0, 2.0))
    from_list, from_tensor = [1, 2], torch.tensor([1.0, 2.0])
    assert hash(Compression(band_mean=from_list)) == hash(Compression(band_mean=from_tensor))


def test_numpy_numbers_equal_python_numbers() -> None:
    convention = MelConvention(
        sample_rate=np.float32(16000),
        n_fft=np.int64(400),
        hop_length=np.int32(160),
        n_mels=np.int64(80),
    )
    assert convention == MelConvention(**BASE)
    assert MelConvention.from_json(convention.to_json()) == convention


def test_invalid_json() -> None:
    for text, words in (
        ("{", "not JSON"),
        ("[1]", "a JSON object, not list"),
        ("3", "a JSON object, not int"),
        ("{}", "needs"),
    ):
        with pytest.raises(ConventionError, match=words):
            MelConvention.from_json(text)


def test_convention_errors_are_value_errors() -> None:
    assert issubclass(ConventionError, TorchmelinvError)
    assert issubclass(ConventionError, ValueError)


@pytest.mark.parametrize("record", [MelConvention, Compression])
def test_a_misspelled_field_is_named_by_the_constructor_too(record):
    name = next(iter(record.__dataclass_fields__))
    with pytest.raises(ConventionError, match=f"no field '{name}s'; did you mean '{name}'"):
        record(**{f"{name}s": 1})
    with pytest.raises(ConventionError, match=f"no field 'zzz'; it has {name}, "):
        record(zzz=1)
