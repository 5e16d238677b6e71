"""Conventions of mels: errors name each wrong value, defaults depend on other fields."""

from __future__ import annotations

import copy
import json
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch

from tests.conventions.wrong_fields import BASE, cases
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.errors import ConventionError, short

WRONG = [
    ("n_fft", (0, 1, -400, 400.0, True, None, "400", float("nan")), "integer ≥ 2"),
    ("hop_length", (0, -1, 1.5, None), "integer ≥ 1"),
    ("win_length", (401, -1, 3.5), ""),
    (
        "window",
        ("hamming", None, "Hann", ["hann"], [], [float("nan")] * 400),
        "'hann', 'hann_symmetric', 'povey'",
    ),
    ("window_align", ("right", None), "'center', 'left'"),
    (
        "padding",
        ("same", "reflect", None),
        "'center_reflect', 'center_zero', 'same_reflect', 'same_reflect_win', 'none'",
    ),
    ("drop_last_frame", (1, None, "yes"), "True or False"),
    ("remove_dc", (0,), "True or False"),
    ("window_normalized", ("window",), "True or False"),
    ("pre_emphasis", (-0.1, 1.0, float("nan"), None), ""),
    ("sample_rate", (0, -1, float("inf"), "16k", None), "finite number above 0"),
    ("magnitude_offset", (-1e-9, None), "finite number ≥ 0"),
    ("magnitude_floor", (-1e-9, None), "finite number ≥ 0"),
    ("power", (0, -1, None, float("nan")), "above 0"),
    ("power", (0.03, 1e-10, 11, 1e4), "from 0.1 to 10"),
    ("window", ((0.0,) * 400, (1e-200,) * 400, (1e200,) * 400), "a sum of squares from"),
    ("n_mels", (0, 80.5, None), "integer ≥ 1"),
    ("f_min", (-1, None, float("inf")), "finite number ≥ 0"),
    ("f_max", (-1, "high", 8001), ""),
    ("mel_scale", ("mel", None), "'slaney', 'htk', 'kaldi'"),
    ("filter_norm", (1, "htk"), "'slaney', None"),
    ("filterbank_sample_rate", (-16000, "16k"), "above 0"),
    ("level", (3, None, "ln"), "Compression record"),
]


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG))
def test_a_wrong_field_of_a_mel_is_named(field: str, value: Any, words: str) -> None:
    message = re.escape(f"MelConvention.{field} is {short(value)}; it must be ")
    with pytest.raises(ConventionError, match=message) as caught:
        MelConvention(**{**BASE, field: value})
    assert words in str(caught.value)


def test_contradicting_fields_of_a_mel() -> None:
    with pytest.raises(ConventionError, match="above f_min = 8000 Hz"):
        MelConvention(**BASE, f_min=8000)
    with pytest.raises(ConventionError, match="f_max is 8000; it must be at most 4000 Hz"):
        MelConvention(**BASE, f_max=8000, filterbank_sample_rate=8000)
    with pytest.raises(ConventionError, match=r"magnitude_floor .* if there is a magnitude_offset"):
        MelConvention(**BASE, magnitude_floor=1e-10, magnitude_offset=1e-9)
    with pytest.raises(
        ConventionError, match="band_mean holds 79 numbers; the convention has 80 bands"
    ):
        MelConvention(**BASE, level=Compression(band_mean=(0.0,) * 79))


def test_dependent_defaults() -> None:
    convention = MelConvention(**BASE)
    assert convention.win_length == 400
    assert convention.f_max == 8000
    assert convention.filterbank_sample_rate == 16000
    assert MelConvention(**BASE, filterbank_sample_rate=8000).f_max == 4000
    assert MelConvention(**BASE, win_length=None, f_max=None) == convention
    assert convention.level == Compression()
    assert convention.n_freqs == 201


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_survives_json_copy_and_pickle(name: str) -> None:
    convention = preset(name)
    n_mels = convention.n_mels
    convention = convention.replace(
        level=convention.level.replace(band_mean=range(n_mels), band_scale=np.full(n_mels, 0.1))
    )
    for copied in (
        MelConvention.from_json(convention.to_json()),
        MelConvention.from_dict(convention.to_dict()),
        copy.deepcopy(convention),
        pickle.loads(pickle.dumps(convention)),
    ):
        assert copied == convention
        assert hash(copied) == hash(convention)
    assert json.loads(convention.to_json())["level"]["band_scale"] == [0.1] * n_mels


def test_a_window_given_as_numbers() -> None:
    window = torch.hamming_window(400)
    convention = MelConvention(**BASE, window=window)
    assert convention == MelConvention.from_json(convention.to_json())
    assert convention.window == tuple(window.tolist())
    message = r"window holds 2 numbers; it must be one of 'hann'.*, or its 400 numbers"
    with pytest.raises(ConventionError, match=message):
        MelConvention(**BASE, window=[0.5, 1.0])


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"n_fft": 4, "hop_length": 1, "win_length": 4, "n_mels": 20000}, "at most 16384"),
        ({"n_fft": 2**14, "win_length": 2**14, "n_mels": 8000}, "at most 724 for n_fft = 16384"),
        ({"n_fft": 2**20, "win_length": 2**20}, "at most 131072"),
        ({"hop_length": 2**20}, "at most 131072"),
        ({"n_fft": 2**17, "win_length": 2**17, "hop_length": 1}, "at least 128"),
    ],
    ids=str,
)
def test_tables_of_gigabytes_are_refused_before_they_are_made(
    changes: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(ConventionError, match=allowed):
        MelConvention(**{**BASE, **changes})


def test_bounds_of_tables_leave_room_for_published_mels() -> None:
    for n_fft, n_mels in ((17640, 512), (2048, 1025), (4096, 1024), (64, 4000)):
        MelConvention(**{**BASE, "n_fft": n_fft, "win_length": n_fft, "n_mels": n_mels})
