"""Training losses as modules: waveforms, mels or spectra in, one number out.

    loss = MelLoss("hifigan_22k")(MelInverter("hifigan_22k")(mel), waveform)

Each item has its own loss; what comes out is their mean. With `lengths` (…), samples of each waveform of a padded batch (frames
for spectra), it is their mean weighted by the frames of each, Σ T_i L_i / Σ T_i, where what follows an item's own end counts
for nothing: L_i is what the item gives alone, and an item too short for a frame weighs nothing.

Values and gradients are finite in digital silence on either side and for samples up to 1e8, also in single precision.
Computed in float32, or in float64 where that comes, outside autocast. Nothing has parameters; tables follow the input's device.
Gradients, and second derivatives, are those of plain torch operations. A magnitude that is exactly zero passes a zero gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.analysis import MelAnalyzer, modulus
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame, ragged_plan
from torchmelinv.level import expand, logarithmic
from torchmelinv.measure.distance import bounded_relative_error, inconsistency, log_mel_l1, mean_distance
from torchmelinv.ops.checks import as_lengths, as_real, as_rows, check_number, check_whole
from torchmelinv.ops.items import leading
from torchmelinv.ops.precision import full_precision
from torchmelinv.presets import as_convention

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # (n_fft, hop_length, win_length) of Parallel WaveGAN
_FLOOR_WITHOUT_LOGARITHM = 1e-5  # of a magnitude mel, for the logarithm of conventions that take none

Convention = FrameConvention | MelConvention | str


def _frame(convention: Convention) -> Frame:
    return Frame(convention if isinstance(convention, FrameConvention) else as_convention(convention))


def _check_p(p: Any) -> None:
    if p not in (1, 2):
        raise InputError(f"p is {p!r}; it must be 1 (mean distance) or 2 (root mean square)")


def _check_equal(estimate: Tensor, reference: Tensor, what: str = "") -> None:
    if estimate.shape != reference.shape or estimate.device != reference.device:
        shapes = f"{tuple(estimate.shape)} on {estimate.device} and {tuple(reference.shape)} on {reference.device}"
        raise InputError(f"estimate and reference have the shapes {shapes}; they must be equal{what}")


def _frame_counts(frame: Frame, waveform: Tensor, lengths: Any) -> Tensor | None:
    """Frames of each item, (…), of waveforms (…, n_samples); None where no lengths are given. An empty batch is refused."""
    if waveform.ndim == 0 or waveform.numel() == 0:
        raise InputError(f"a waveform has shape {tuple(waveform.shape)}; it must be (…, n_samples ≥ 1) with at least one item")
    if lengths is None:
        return None
    return frame.frame_counts(as_lengths(lengths, waveform.shape[:-1], waveform.shape[-1], waveform.device))


def _of_own(means: Tensor, counts: Tensor | None, n_frames: int, p: int = 1) -> Tensor:
    """Means of |x|^p, to the 1 / p, over all frames, (…), with zeros after an item's own -> over its own frames alone."""
    return means if counts is None else means * (n_frames / counts.clamp(min=1).to(means.dtype)).pow(1 / p)


def _over_items(values: Tensor, counts: Tensor | None) -> Tensor:
    """Mean of the items' values (…), weighted by their frames."""
    return values.mean() if counts is None else (values * counts).sum() / counts.sum().clamp(min=1)


class _SpectrumLoss(nn.Module):
    """Two waveforms, seen through one STFT and compared item by item."""

    def __init__(self, convention: Convention) -> None:
        super().__init__()
        self.frame = _frame(convention)

    def distance(self, estimate: Tensor, reference: Tensor, counts: Tensor | None) -> Tensor:
        """Complex spectra (…, n_freqs, n_frames), zero after an item's own frames -> (…)."""
        raise NotImplementedError

    @full_precision
    def forward(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (…, n_samples) twice -> the loss, a single number."""
        estimate, reference = as_real(estimate, "estimate"), as_real(reference, "reference")
        _check_equal(estimate, reference)
        counts = _frame_counts(self.frame, estimate, lengths)
        spectra = [self.frame.analyse(waveform, lengths) for waveform in (estimate, reference)]
        return _over_items(self.distance(spectra[0], spectra[1], counts), counts)


class SpectralConvergenceLoss(_SpectrumLoss):
    """‖ |STFT(x̂)| − |STFT(x)| ‖ / ‖ |STFT(x)| ‖ of waveforms (…, n_samples), Frobenius norms of each item.

    From 0, at equality, to 101. Unchanged when both are scaled. Estimates more than 100 times (40 dB) as loud as the reference
    are divided by a hundredth of themselves: where only the reference is silent the loss is 100 and has no gradient, where both
    are it is 0. Two STFTs of `convention` (a record, or a preset's name). Arık, Jun and Diamos 2018; implementations that take
    one ratio over the whole batch differ.
    """

    def distance(self, estimate: Tensor, reference: Tensor, counts: Tensor | None) -> Tensor:
        return bounded_relative_error(modulus(estimate), modulus(reference))


class _ResolutionLoss(_SpectrumLoss):
    def __init__(self, convention: Convention, floor: float) -> None:
        super().__init__(convention)
        self.floor = floor

    def distance(self, estimate: Tensor, reference: Tensor, counts: Tensor | None) -> Tensor:
        n_frames, estimate, reference = estimate.shape[-1], modulus(estimate), modulus(reference)
        log_distance = log_mel_l1(estimate, reference, self.floor)
        return bounded_relative_error(estimate, reference) + _of_own(log_distance, counts, n_frames)


class MultiResolutionSTFTLoss(nn.Module):
    """Spectral convergence plus mean |ln |STFT(x̂)| − ln |STFT(x)||, averaged over STFTs, of waveforms (…, n_samples).

    `resolutions`: (n_fft, hop_length, win_length) each, centred and reflected Hann frames, or `FrameConvention`s. `floor`: what
    magnitudes are lifted to under the logarithm. At least 0, and 0 at equality; the first term as in `SpectralConvergenceLoss`,
    the second in nepers. Unchanged when both are scaled, but for magnitudes that cross the floor; below it the second term has
    no gradient. Two STFTs for each resolution. Yamamoto, Song and Kim 2020, as auraloss has it, but for this: that takes one
    ratio over the whole batch, and lifts magnitudes to its floor, the root of its `eps`, in the first term too.
    """

    def __init__(self, resolutions: Sequence[tuple[int, int, int] | FrameConvention] = RESOLUTIONS, floor: float = 1e-4) -> None:
        super().__init__()
        check_number("floor", floor, 1e-18)
        conventions = []
        for each in resolutions:
            if not isinstance(each, FrameConvention):
                if not isinstance(each, Sequence) or isinstance(each, str) or len(each) != 3:
                    raise InputError(f"a resolution is {each!r}; it must be (n_fft, hop_length, win_length) or a FrameConvention")
                each = FrameConvention(n_fft=each[0], hop_length=each[1], win_length=each[2])
            conventions.append(each)
        if not conventions:
            raise InputError("resolutions is empty; it must hold at least one (n_fft, hop_length, win_length)")
        self.losses = nn.ModuleList(_ResolutionLoss(convention, floor) for convention in conventions)

    def forward(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (…, n_samples) twice -> the loss, a single number."""
        return torch.stack([loss(estimate, reference, lengths=lengths) for loss in self.losses]).mean()


class MelLoss(nn.Module):
    """Mean (`p` 1) or root mean square (2) distance of mels in a convention: waveform against waveform, or one of them a mel.

    A waveform is (…, n_samples). A tensor with one dimension more than the other is a mel in the convention's own values,
    (…, n_mels, n_frames), with the frames that the waveform has. Two mels are taken for two waveforms: compare them by
    torch's `l1_loss`. `log`: compared as natural logarithms, in nepers, with the floor, offset, dynamic range, clip and peak of
    the convention's level (a floor of 1e-5^power where it takes no logarithm) but without its scaling; else as linear mels. For
    `hifigan_22k` the default is the L1 mel loss of HiFi-GAN (Kong, Kim and Bae 2020) without its factor 45. For one item the
    square of `p` 2 is the mean squared error.

    At least 0, and 0 at equality. Logarithms: unchanged when both are scaled, but for what crosses the floor, below which there
    is no gradient. Linear: proportional to scale^power. One STFT and banded product for each waveform.
    """

    def __init__(self, convention: MelConvention | str, log: bool = True, p: int = 1) -> None:
        super().__init__()
        _check_p(p)
        self.analyzer = MelAnalyzer(convention)
        self.log, self.p = log, p

    def _compared(self, values: Tensor) -> Tensor:
        """The convention's own values as what is compared, logarithms or linear mels."""
        convention = self.analyzer.convention
        level = convention.level
        if self.log and level.log is not None:
            return logarithmic(values, level) * (math.log(10) if level.log == "log10" else 1)
        mel = expand(values, level)
        return mel.clamp(min=_FLOOR_WITHOUT_LOGARITHM**convention.power).log() if self.log else mel

    @full_precision
    def forward(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (…, n_samples), or one of the two a mel (…, n_mels, n_frames) -> the loss, a single number."""
        estimate, reference = as_real(estimate, "estimate"), as_real(reference, "reference")
        waveform = estimate if estimate.ndim <= reference.ndim else reference
        counts = _frame_counts(self.analyzer.frame, waveform, lengths)
        if estimate.ndim == reference.ndim:
            _check_equal(estimate, reference)
        values = [each if each.ndim > waveform.ndim else self.analyzer(each, lengths=lengths) for each in (estimate, reference)]
        _check_equal(values[0], values[1], " as mels, (…, n_mels, n_frames)")
        n_frames = values[0].shape[-1]
        if counts is not None:
            values = [torch.where(leading(counts, n_frames)[..., None, :], each, 0) for each in values]
        mels = [self._compared(each) for each in values]
        return _over_items(_of_own(mean_distance(mels[0], mels[1], self.p), counts, n_frames, self.p), counts)


class ComplexLoss(_SpectrumLoss):
    """Distance of compressed complex spectra |c|^exponent e^iφ, which sees the phase.

    The mean (`p` 1) or root mean square (2) of |ĉ' − c'| over all bins, of c' = c (|c|² + floor²)^((exponent − 1) / 2):
    smooth at zero, linear far below `floor`, the power far above it. Of waveforms (…, n_samples); at least 0, and 0 at equality.
    Proportional to scale^exponent when both are scaled, as far as magnitudes are above the floor. Two STFTs of `convention` (a
    record, or a preset's name). Ephrat et al. 2018 (exponent 0.3, squared and summed).
    """

    def __init__(self, convention: Convention, exponent: float = 0.3, p: int = 1, floor: float = 1e-4) -> None:
        super().__init__(convention)
        _check_p(p)
        check_number("exponent", exponent, 0.05, 1)
        check_number("floor", floor, 1e-15)
        self.exponent, self.p, self.floor = exponent, p, floor

    def compressed(self, spectrum: Tensor) -> Tensor:
        """Complex (…) -> complex (…)."""
        squared = spectrum.real.square() + spectrum.imag.square()
        return spectrum * (squared + self.floor**2).pow((self.exponent - 1) / 2)

    def distance(self, estimate: Tensor, reference: Tensor, counts: Tensor | None) -> Tensor:
        difference = modulus(self.compressed(estimate) - self.compressed(reference))
        mean = mean_distance(difference, torch.zeros_like(difference), self.p)
        return _of_own(mean, counts, difference.shape[-1], self.p)


class ConsistencyLoss(nn.Module):
    """‖c − STFT(ISTFT(c))‖ / ‖c‖ of a predicted spectrum: 0 for the spectrum of a signal, about 1 at most, 0 in silence.

    Complex c (…, n_freqs, n_frames), or its magnitude with the phase in radians, both of that shape. Unchanged when c is scaled.
    Frames of `convention` as they are windowed: what it does to each frame before that (DC, pre-emphasis) is left out. One
    inverse STFT and one STFT. Le Roux et al. 2010 (the residual that Griffin-Lim lowers), relative to the spectrum.
    """

    def __init__(self, convention: Convention) -> None:
        super().__init__()
        self.frame = _frame(convention)

    def forward(
        self, spectrum: Tensor, phase: Tensor | None = None, *, lengths: Tensor | None = None, length: int | None = None
    ) -> Tensor:
        """Complex spectrum, or magnitude and phase, (…, n_freqs, n_frames) -> the loss, a single number.

        `lengths` (…): frames of each item. `length`: samples of the signal, where they are more than the frames determine.
        """
        return _over_items(*self.of_items(spectrum, phase, lengths=lengths, length=length))

    @full_precision
    def of_items(
        self, spectrum: Tensor, phase: Tensor | None = None, *, lengths: Tensor | None = None, length: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The loss of each item, (…), and the frames that it weighs, (…)."""
        n_freqs = self.frame.convention.n_freqs
        if phase is not None:
            spectrum, phase = as_rows(spectrum, "magnitude", n_freqs), as_rows(phase, "phase", n_freqs)
            _check_equal(spectrum, phase, " (magnitude and phase)")
            spectrum = torch.complex(spectrum * phase.cos(), spectrum * phase.sin())
        elif not isinstance(spectrum, Tensor) or spectrum.dtype not in (torch.complex64, torch.complex128):
            kind = getattr(spectrum, "dtype", type(spectrum).__name__)
            raise InputError(f"the spectrum is {kind}; it must be complex64 or complex128, or come as magnitude with its phase")
        as_rows(spectrum.real, "spectrum", n_freqs)
        n_frames = spectrum.shape[-1]
        n_samples = self.frame.natural_samples(n_frames)
        if length is not None:
            check_whole("length", length, 1)
            seen = self.frame.convention.n_frames(length)
            if seen != n_frames:
                raise InputError(f"length is {length}, which is seen as {seen} frames; the spectrum has {n_frames}")
            n_samples = length
        rows = spectrum.reshape(-1, n_freqs, n_frames).mT
        plan = self.frame.plan(n_frames, n_samples, rows.real)
        counts = None
        if lengths is not None:
            counts = as_lengths(lengths, spectrum.shape[:-2], n_frames, spectrum.device)
            flat = counts.reshape(-1)
            plan = ragged_plan(flat, self.frame.own_samples(flat, n_samples, length), plan)
        return inconsistency(rows, plan).reshape(spectrum.shape[:-2]), counts
