"""Conventions of an STFT: the numbers of frames and samples agree, and are those of torch.stft."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from torchmelinv.conventions import STFTConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.conventions.stft_convention import PADDINGS

SIZES = [(64, 64, 16), (64, 40, 16), (65, 65, 13), (32, 32, 32)]  # n_fft, win_length, hop_length
GEOMETRIES = [(64, 16, 64), (63, 16, 63), (63, 17, 41), (64, 40, 24), (64, 80, 30), (65, 65, 65)]


def test_stft_is_the_part_without_the_mel() -> None:
    mel, stft = preset("kaldi_fbank"), preset("kaldi_fbank").stft
    assert type(stft) is STFTConvention
    assert (stft.n_fft, stft.win_length, stft.window, stft.remove_dc) == (512, 400, "povey", True)
    for field in dataclasses.fields(STFTConvention):
        assert getattr(stft, field.name) == getattr(mel, field.name)


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


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("n_fft", "win", "hop"), SIZES)
@pytest.mark.parametrize("drop", [False, True])
def test_frames_are_as_many_as_those_of_torch_stft(
    padding: str, n_fft: int, win: int, hop: int, drop: bool
) -> None:
    convention = STFTConvention(
        n_fft=n_fft, win_length=win, hop_length=hop, padding=padding, drop_last_frame=drop
    )
    for n_samples in (100, 101, 127, 128, 129, 160, 161, 1000):
        assert convention.n_frames(n_samples) == stft_frames(convention, n_samples)


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
