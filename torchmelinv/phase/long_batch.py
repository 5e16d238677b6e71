"""Mel-consistent inversion of a batch of long mels: one recording after another, in pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.batching import length_mask
from torchmelinv._utils.validation import Length, as_length, check_lengths
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.pieces import LongMel, invert_pieces
from torchmelinv.phase.reconstruct import LinearMel
from torchmelinv.phase.reconstruct_inputs import check_held
from torchmelinv.transforms.emphasis import de_emphasize
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import fit_length, make_stft_plan


def invert_long_batch(
    method: PhaseMethod,
    mel: LinearMel,
    stft: STFT,
    n_iter: int,
    *,
    magnitude_of: Callable[[Tensor, slice], Tensor],
    envelope_of: Callable[[Tensor], Tensor],
    init: str,
    seed: int,
    lengths: Tensor | None,
    length: Length | None,
    tolerance: float | None,
    channels: bool,
) -> Tensor:
    """Find the waveforms of long mels, as `reconstruct` does from all frames at once.

    Args:
        method: A method that `can_invert` accepts.
        mel: The mels, (…, n_mels, n_frames).
        stft: The STFT of their convention.
        n_iter: Number of iterations.
        magnitude_of: Returns the magnitude of some frames of a linear mel.
        envelope_of: Returns a smooth envelope of its power-th power for a part of a linear mel.
        init: One of `INITS`.
        seed: Seed of the random initial phase.
        lengths: Frames of each item of a padded batch, (…).
        length: Number of output samples, or samples of each item, (…).
        tolerance: Relative change of an iteration at which an item stops.
        channels: The dimension before the last two has the channels of one recording.

    Returns:
        Waveforms (…, n_samples).

    Raises:
        InputError: If an item has fewer frames than its samples need.
    """
    linear_mel, filterbank, convention = mel
    n_frames = linear_mel.shape[-1]
    n_channels = linear_mel.shape[-3] if channels else 1
    recordings = linear_mel.reshape(-1, n_channels, *linear_mel.shape[-2:])
    items = linear_mel.shape[:-2]
    counts = torch.full(items, n_frames)
    if lengths is not None:
        counts = check_lengths(lengths, items, n_frames, torch.device("cpu"))
    ends = counts.reshape(-1, n_channels).amax(1).tolist()
    length = as_length(length, items)
    if isinstance(length, Tensor):
        check_held(stft, length.reshape(-1), counts.reshape(-1))
    default = convention.n_samples(n_frames)
    requested = torch.as_tensor(default if length is None else length)
    requested = requested.expand(items).reshape(-1, n_channels)
    n_samples = int(requested.max())
    waveforms = []
    for values, end, sample_counts in zip(recordings, ends, requested, strict=True):
        values, longest = values[..., :end], int(sample_counts.max())
        fits = length is not None and convention.n_frames(longest) == end
        planned = longest if fits else convention.n_samples(end)
        plan = make_stft_plan(stft.convention, end, planned, values.dtype, values.device)

        def magnitude(first: int, last: int, values: Tensor = values) -> Tensor:
            return magnitude_of(values, slice(first, last))

        signal = invert_pieces(
            method,
            LongMel(values, magnitude, envelope_of, filterbank, convention),
            plan,
            n_iter,
            init=init,
            seed=seed,
            tolerance=tolerance,
        )
        waveform = de_emphasize(signal, convention.pre_emphasis)
        waveform = fit_length(waveform, n_samples)
        if isinstance(length, Tensor):
            mask = length_mask(sample_counts.to(waveform.device), n_samples)
            waveform = torch.where(mask, waveform, 0)
        waveforms.append(waveform)
    return torch.stack(waveforms).reshape(*items, n_samples)
