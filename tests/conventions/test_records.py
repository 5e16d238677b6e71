"""Conventions are validated records: errors name each wrong value, and records survive JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch

from torchmelinv.conventions import Compression, MelConvention, MfccConvention, STFTConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.conventions.records import PADDINGS
from torchmelinv.errors import ConventionError, TorchmelinvError, nearest, short

BASE = {"sample_rate": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 80}

# field, invalid values, text that the message must hold besides the field and the value
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
WRONG_COMPRESSION = [
    ("floor", (0, -1e-5, "low"), "above 0"),
    ("offset", (-1e-5, None), "finite number ≥ 0"),
    ("log", ("log2", 10, "log"), "'ln', 'log10', None"),
    ("multiplier", (0, -10, None), "above 0"),
    ("shift", (float("nan"), None), "finite number"),
    ("reference_max", (1, None), "True or False"),
    ("dynamic_range", (0, -8, "80 dB"), "above 0"),
    ("affine", ((1,), (1, 2, 3), (0, 0), 3, (0, float("nan")), "ab"), ""),
    ("clip", ((0,), (1, 0), (1, 1), 4), ""),
    ("band_mean", ((), 3, (1, float("nan")), (None,)), "finite numbers"),
    ("band_scale", ((), (1, 0)), ""),
]
WRONG_MFCC = [
    ("mel", (3, None, "hifigan_22k"), "a MelConvention"),
    ("n_mfcc", (0, 81, 13.0, None), ""),
    ("norm", ("slaney", 1, "ORTHO"), "'ortho', None"),
    ("lifter", (-1, None, float("inf"), "22"), "finite number ≥ 0"),
    ("lifter_start", (-1, 2, 0.5, None), ""),
]


def cases(table: list[tuple[str, tuple[Any, ...], str]]) -> list[Any]:
    return [
        pytest.param(field, value, words, id=f"{field}={value!r}")
        for field, values, words in table
        for value in values
    ]


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG))
def test_a_wrong_field_of_a_mel_is_named(field: str, value: Any, words: str) -> None:
    message = re.escape(f"MelConvention.{field} is {short(value)}; it must be ")
    with pytest.raises(ConventionError, match=message) as caught:
        MelConvention(**{**BASE, field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG_COMPRESSION))
def test_a_wrong_field_of_a_compression_is_named(field: str, value: Any, words: str) -> None:
    fields = {"log": "ln", "floor": 1e-5} if field != "offset" else {"log": "ln"}
    with pytest.raises(ConventionError, match=re.escape(f"Compression.{field} is ")) as caught:
        Compression(**{**fields, field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG_MFCC))
def test_a_wrong_field_of_mfccs_is_named(field: str, value: Any, words: str) -> None:
    mel = {**BASE, "level": {"log": "ln", "floor": 1e-5}}
    message = re.escape(f"MfccConvention.{field} is {value!r}; it must be ")
    with pytest.raises(ConventionError, match=message) as caught:
        MfccConvention(**{"mel": mel, "n_mfcc": 13, field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"log": "ln"}, "floor"),
        ({"log": "ln", "floor": 1e-5, "offset": 1e-5}, "offset"),
        ({"dynamic_range": 80.0}, "dynamic_range"),
        ({"reference_max": True}, "reference_max"),
    ],
)
def test_contradicting_fields_of_a_compression(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ConventionError, match=f"Compression.{field} is "):
        Compression(**fields)


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


def test_mfcc_conventions_survive_json_copy_and_pickle() -> None:
    convention = MfccConvention(
        mel=preset("hifigan_22k"), n_mfcc=np.int64(13), norm=None, lifter=np.float32(22)
    )
    for copied in (
        MfccConvention.from_json(convention.to_json()),
        MfccConvention.from_dict(convention.to_dict()),
        convention.replace(),
        copy.deepcopy(convention),
        pickle.loads(pickle.dumps(convention)),
    ):
        assert copied == convention
        assert hash(copied) == hash(convention)
    assert json.loads(convention.to_json())["mel"] == json.loads(preset("hifigan_22k").to_json())
    with pytest.raises(ConventionError, match="MfccConvention needs n_mfcc"):
        MfccConvention.from_dict({"mel": preset("hifigan_22k")})


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


def test_stft_is_the_part_without_the_mel() -> None:
    mel, stft = preset("kaldi_fbank"), preset("kaldi_fbank").stft
    assert type(stft) is STFTConvention
    assert (stft.n_fft, stft.win_length, stft.window, stft.remove_dc) == (512, 400, "povey", True)
    for field in dataclasses.fields(STFTConvention):
        assert getattr(stft, field.name) == getattr(mel, field.name)


# padding, n_fft, win_length, hop_length
SIZES = [(64, 64, 16), (64, 40, 16), (65, 65, 13), (32, 32, 32)]
GEOMETRIES = [(padding, *sizes) for padding in PADDINGS for sizes in SIZES]


def stft_frames(convention: STFTConvention, n_samples: int) -> int:
    """Return the number of frames of torch.stft with the convention's padding."""
    signal = torch.ones(1, n_samples)
    center = convention.padding.startswith("center")
    if convention.padding.startswith("same"):
        reach = convention.n_fft if convention.padding == "same_reflect" else convention.win_length
        side = (reach - convention.hop_length) // 2
        signal = torch.nn.functional.pad(signal, (side, side), mode="reflect")
    mode = "reflect" if convention.padding == "center_reflect" else "constant"
    window = torch.hann_window(convention.win_length)
    sizes = (convention.n_fft, convention.hop_length, convention.win_length)
    spectrum = torch.stft(signal, *sizes, window, center=center, pad_mode=mode, return_complex=True)
    return spectrum.shape[-1] - convention.drop_last_frame


@pytest.mark.parametrize(("padding", "n_fft", "win", "hop"), GEOMETRIES)
@pytest.mark.parametrize("drop", [False, True])
def test_frames_are_as_many_as_those_of_torch_stft(
    padding: str, n_fft: int, win: int, hop: int, drop: bool
) -> None:
    convention = STFTConvention(
        n_fft=n_fft, win_length=win, hop_length=hop, padding=padding, drop_last_frame=drop
    )
    for n_samples in (100, 101, 127, 128, 129, 160, 161, 1000):
        assert convention.n_frames(n_samples) == stft_frames(convention, n_samples)


def test_a_window_given_as_numbers() -> None:
    window = torch.hamming_window(400)
    convention = MelConvention(**BASE, window=window)
    assert convention == MelConvention.from_json(convention.to_json())
    assert convention.window == tuple(window.tolist())
    message = r"window holds 2 numbers; it must be one of 'hann'.*, or its 400 numbers"
    with pytest.raises(ConventionError, match=message):
        MelConvention(**BASE, window=[0.5, 1.0])


def test_left_aligned_windows_count_the_frames() -> None:
    convention = preset("kaldi_fbank")
    assert [convention.n_frames(n) for n in (0, 399, 400, 559, 560, 16000)] == [0, 0, 1, 1, 2, 98]


def test_a_waveform_shorter_than_a_frame_has_no_frames() -> None:
    convention = STFTConvention(n_fft=64, hop_length=16, padding="none")
    assert [convention.n_frames(n) for n in (0, 63, 64, 79, 80)] == [0, 0, 1, 1, 2]


def test_samples_of_frames() -> None:
    def n_samples(n_frames: int, **fields: Any) -> int:
        return STFTConvention(n_fft=64, hop_length=16, **fields).n_samples(n_frames)

    # Centered frames span one hop less than their number, and at least one hop.
    assert [n_samples(n_frames) for n_frames in (1, 2, 5)] == [16, 16, 64]
    assert n_samples(5, drop_last_frame=True) == 80
    for padding in ("same_reflect", "same_reflect_win"):
        assert [n_samples(n_frames, padding=padding) for n_frames in (1, 5)] == [16, 80]
    # Without padding the last frame ends with the waveform.
    assert [n_samples(n_frames, padding="none") for n_frames in (1, 5)] == [64, 128]
    assert n_samples(5, padding="none", window_align="left", win_length=40) == 104
    # An odd n_fft reaches one sample farther than the padding.
    odd = STFTConvention(n_fft=63, hop_length=16)
    assert [odd.n_samples(n_frames) for n_frames in (1, 5)] == [16, 65]


GEOMETRIES = [(64, 16, 64), (63, 16, 63), (63, 17, 41), (64, 40, 24), (64, 80, 30), (65, 65, 65)]


@pytest.mark.parametrize("drop_last_frame", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS)
def test_as_many_samples_have_these_frames(
    padding: Any, geometry: tuple[int, int, int], drop_last_frame: bool
) -> None:
    n_fft, hop_length, win_length = geometry
    convention = STFTConvention(
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        padding=padding,
        drop_last_frame=drop_last_frame,
    )
    for n_frames in range(1, 7):
        agree_on_frames(convention, n_frames)
        aligned = convention.replace(window_align="left")
        assert aligned.n_frames(aligned.n_samples(n_frames)) >= n_frames


@pytest.mark.parametrize("name", preset_names())
def test_samples_and_frames_of_a_preset_agree(name: str) -> None:
    for n_frames in (1, 2, 3, 4, 5, 6, 50):
        agree_on_frames(preset(name), n_frames)


def agree_on_frames(convention: STFTConvention, n_frames: int) -> None:
    n_samples, shortest = convention.n_samples(n_frames), convention.min_samples(n_frames)
    # At least one hop: with centered frames that has a second one.
    second = n_frames == 1 and convention.ends_on_frame and convention.n_frames(n_samples) == 2
    assert second or convention.n_frames(n_samples) == n_frames
    assert n_samples >= shortest
    assert convention.n_frames(shortest) >= n_frames
    assert shortest == 1 or convention.n_frames(shortest - 1) < n_frames


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
