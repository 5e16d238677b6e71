"""The inputs of `reconstruct`: checked, with one item dimension, and how many samples to find."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.batching import frames_first, length_mask
from torchmelinv._utils.validation import (
    Length,
    as_length,
    check_channels,
    check_features,
    check_lengths,
    check_real,
)
from torchmelinv.errors import InputError
from torchmelinv.phase.initial_phase import check_angles, shared_angles
from torchmelinv.transforms.stft import STFT


class Inputs(NamedTuple):
    """The inputs with one item dimension and frames before bins; one entry per item."""

    magnitude: Tensor  # (items, frames, n_freqs)
    frame_counts: Tensor | None  # (items,)
    sample_counts: Tensor | None  # (items,)
    angles: Tensor | None  # given initial angles, (items, frames, n_freqs)
    init_signal: Tensor | None  # the signal whose phase is the initial one, (items, samples)
    mel: Tensor | None  # (items, frames, n_mels)


def prepare_inputs(
    magnitude: Tensor,
    stft: STFT,
    lengths: Any,
    given_length: Length | None,
    init: str | Tensor,
    seed: int,
    init_waveform: Tensor | None,
    mel: Tensor | None,
    channels: bool,
) -> tuple[Inputs, int, int | Tensor | None]:
    """Check the inputs; return them, the number of samples to iterate on, and the length."""
    convention = stft.convention
    magnitude = check_features(magnitude, "magnitude", convention.n_freqs)
    if channels:
        check_channels(magnitude)
    items, n_frames = magnitude.shape[:-2], magnitude.shape[-1]
    length = as_length(given_length, items)
    # If as many samples have other frames than these, iterate on the default number of samples; the
    # waveform is trimmed or zero-padded in the end.
    n_samples = stft.default_length(n_frames)
    if isinstance(length, Tensor):
        n_samples = max(n_samples, int(length.max()))
    elif length is not None and convention.n_frames(length) == n_frames:
        n_samples = length
    rows = frames_first(magnitude)
    frame_counts = sample_counts = angles = init_signal = None
    if lengths is not None:
        frame_counts = check_lengths(lengths, items, n_frames, rows.device).reshape(-1)
    if isinstance(length, Tensor):
        length = length.reshape(-1)
        if frame_counts is None:
            frame_counts = torch.full_like(length, n_frames, device=rows.device)
        check_held(stft, length, frame_counts)
    if frame_counts is not None:
        requested = length.to(rows.device) if isinstance(length, Tensor) else length
        sample_counts = stft.valid_length(frame_counts, n_samples, requested)
    if isinstance(init, Tensor):
        angles = check_angles(init, magnitude).expand(magnitude.shape)
        angles = angles.reshape(-1, *magnitude.shape[-2:]).mT
    elif channels and init_waveform is None:
        masked = rows
        if frame_counts is not None:
            masked = torch.where(length_mask(frame_counts, n_frames)[..., None], rows, 0)
        angles = shared_angles(init, seed, masked, items[-1], convention, mel is not None)
    if init_waveform is not None:
        if init_waveform.shape[:-1] != items or init_waveform.shape[-1] == 0:
            allowed = ", ".join([*map(str, items), "n_samples ≥ 1"])
            shape = tuple(init_waveform.shape)
            raise InputError(f"init_waveform has shape {shape}; it must be ({allowed})")
        init_signal = check_real(init_waveform, "init_waveform").to(rows.dtype)
        init_signal = init_signal.reshape(-1, init_waveform.shape[-1])
        # The iteration sees signals before de-emphasis.
        init_signal = init_signal - convention.pre_emphasis * pad(init_signal, (1, 0))[:, :-1]
        missing = max(0, n_samples - init_signal.shape[-1])
        init_signal = pad(init_signal, (0, missing))[:, :n_samples]
        if sample_counts is not None:
            init_signal = torch.where(length_mask(sample_counts, n_samples), init_signal, 0)
    values = None if mel is None else frames_first(mel)
    inputs = Inputs(rows, frame_counts, sample_counts, angles, init_signal, values)
    return inputs, n_samples, length


def check_held(stft: STFT, length: Tensor, frame_counts: Tensor) -> None:
    """Refuse more samples than the frames of an item hold, (items,); accelerators are not read."""
    if frame_counts.device.type != "cpu":
        return
    too_long = (stft.frame_counts(length) > frame_counts).nonzero()
    if len(too_long):
        item = int(too_long[0])
        n_frames = int(frame_counts[item])
        raise InputError(
            f"length is {int(length[item])} for item {item}, whose {n_frames} frames hold at most "
            f"{stft.convention.min_samples(n_frames + 1) - 1} samples; does it have the items in "
            "the same order as lengths?"
        )
