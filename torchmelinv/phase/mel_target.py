"""The target of mel-consistent methods: spectra that have a given mel spectrogram.

With s = |c|^power (the convention's offset included), the filterbank M and the linear mel m, one
multiplicative update is

    s ← s · Mᵀ(m / Ms) / Mᵀ1,

the step of Richardson (1972) and Lucy (1974). It never raises the Kullback-Leibler divergence of Ms
from m, needs no step size, keeps s positive and does not touch the fine structure within a band.
Angles are kept: after `inner_iter` updates with the gains g₁, g₂, … the spectrum becomes

    c ← c · (g₁ g₂ …)^(damping / power).

Toward the outer edges of the filterbank a bin counts ever less in any mel. Without more, it would
still take the whole ratio of its filter, and a tone there could carry the energy of the whole
band. So `edge_filters.py` adds a filter at each end, which fills up what the outermost filter
leaves of the bins beyond its center, and a band that follows from those beside it. M and m stand
for the filterbank and the mel with these rows from here on, and the bound on the divergence holds
for them.

Bins that no filter covers become 0. DC, where the first filter starts at bin 0, is left free unless
the mel is silent: its level is unrelated to that of other bins, and its leakage is in the mel.

Backward differentiates through the updates and computes them again: it stores the spectrum alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import pow_in_place, relative_norm, safe_divide, safe_pow
from torchmelinv._utils.precision import backward_fp32_once
from torchmelinv.cuda.layout import MelUpdate
from torchmelinv.cuda.mel_update import mel_update
from torchmelinv.phase.mel_target_tables import MelTargetTables, mel_target_tables
from torchmelinv.phase.target import MelData

# Bound of a band's ratio m / Ms: a spectrum that is zero where the mel is not cannot be multiplied
# up to the mel anyway. LARGEST_GAIN bounds the gain of c. No gradient passes a band whose Ms was
# below SMALLEST_MEL (the peak is near 1). All values then stay finite in float32.
LARGEST_RATIO = 1e6
LARGEST_GAIN = 1e12
SMALLEST_MEL = 1e-15


def _nonsilent(mel: Tensor) -> Tensor:
    """Return 1 for each frame with a band above 0, else 0, (items, frames, 1)."""
    return mel.detach().any(-1, keepdim=True).to(mel.dtype)


class MelTarget(NamedTuple):
    """The target M |c|^power = m."""

    values: Tensor  # m, (items, frames, rows)
    tables: MelTargetTables
    power: float
    half_offset: Tensor  # half of the convention's magnitude_offset, (items, 1, 1, 1)
    floor: Tensor | None  # least |c|² that the filterbank sees, (items, 1, 1)
    nonsilent: Tensor | None  # 1 for frames that are not silent, (items, frames, 1); if DC is free
    inner_iter: int
    damping: float
    sample_rate: float

    @property
    def lacks_fine_structure(self) -> bool:
        return True

    def with_values(self, values: Tensor) -> MelTarget:
        nonsilent = None if self.nonsilent is None else _nonsilent(values)
        return self._replace(values=values, nonsilent=nonsilent)

    def part(self, first: int, end: int) -> MelTarget:
        """Return the target of the frames first to end."""
        nonsilent = None if self.nonsilent is None else self.nonsilent[:, first:end]
        return self._replace(values=self.values[:, first:end], nonsilent=nonsilent)

    def coarse(self, divisor: int, n_freqs: int) -> MelTarget:
        """Return the target of the signal at 1 / divisor of its rate, whose spectrum is that much
        smaller.

        Bands that reach beyond its n_freqs bins are left out, and what belongs to them stays.
        """
        tables, squared = self.tables.lowest(n_freqs), divisor**2
        return self._replace(
            values=self.values[..., : len(tables.M_matrix)] / divisor**self.power,
            tables=tables,
            half_offset=self.half_offset / squared,
            floor=None if self.floor is None else self.floor / squared,
            sample_rate=self.sample_rate / divisor,
        )

    def unsupported_reason(self) -> str | None:
        return self.tables.unsupported_reason

    def cuda_args(self) -> MelUpdate:
        return mel_update(
            self.tables.kernel_tables,
            self.values.detach(),
            2 * self.half_offset[..., 0],
            self.floor,
            power=self.power,
            inner_iter=self.inner_iter,
            damping=self.damping,
            largest_ratio=LARGEST_RATIO,
            largest_gain=LARGEST_GAIN,
            smallest_mel=torch.finfo(self.values.dtype).tiny,
        )

    def envelope(self) -> Tensor:
        density = self.values * self.tables.per_band
        return safe_pow(self.tables.M_norm_T.of_rows(density), 1 / self.power)

    def impose(self, spectrum: Tensor) -> Tensor:
        """Return the spectrum after the updates; overwrites its input if no gradient is needed."""
        if torch.is_grad_enabled() and (spectrum.requires_grad or self.values.requires_grad):
            return _ImposeMel.apply(spectrum, self.values, self)
        return spectrum.mul_(self.gain(self.filterbank_input(spectrum)))

    def distance(self, spectrum: Tensor) -> Tensor:
        """Return ‖M |c|^power − m‖ / ‖m‖ of each item for the mel alone, (items, 1)."""
        difference = self.tables.M.of_rows(self.filterbank_input(spectrum)) - self.values
        mel_of = self.tables.edges.mel
        return relative_norm(mel_of(difference), mel_of(self.values))

    def _offset_power(self, spectrum: Tensor) -> Tensor:
        """Return |c|² + offset; real and imaginary part get half of the offset each."""
        parts = torch.view_as_real(spectrum)
        squares = torch.addcmul(self.half_offset, parts, parts)
        return torch.add(squares[..., 0], squares[..., 1])

    def filterbank_input(self, spectrum: Tensor) -> Tensor:
        """Return s = (|c|² + offset)^(power / 2), with the convention's floor."""
        squared = self._offset_power(spectrum)
        if self.floor is not None:
            squared = torch.maximum(squared, self.floor)
        return pow_in_place(squared, self.power / 2)

    def ratio(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return m / Ms, bounded, and Ms."""
        Ms = self.tables.M.of_rows(s).clamp_(min=torch.finfo(s.dtype).tiny)
        return (self.values / Ms).clamp_(max=LARGEST_RATIO), Ms

    def update_gain(self, ratio: Tensor) -> Tensor:
        """Return the factor of s in one update, from the ratios of the bands."""
        gain = self.tables.M_norm_T.of_rows(ratio)
        return gain if self.tables.rest is None else gain.add_(self.tables.rest)

    def gain(self, s: Tensor) -> Tensor:
        """Return the factor of c after all updates; overwrites s."""
        total = gain = self.update_gain(self.ratio(s)[0])
        for _ in range(1, self.inner_iter):
            gain = self.update_gain(self.ratio(s.mul_(gain))[0])
            total.mul_(gain)
        return self._to_spectrum_gain(total)

    def _to_spectrum_gain(self, total: Tensor) -> Tensor:
        """Return total^(damping / power), bounded, in place."""
        exponent = self.damping / self.power
        total = pow_in_place(total, exponent)
        if LARGEST_RATIO ** (self.inner_iter * exponent) > LARGEST_GAIN:
            total.clamp_(max=LARGEST_GAIN)
        if self.nonsilent is not None:  # no filter sees DC, so it is set once, after all updates
            total[..., :1] = self.nonsilent
        return total

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients with respect to the spectrum and the mel."""
        tables, first = self.tables, self.filterbank_input(spectrum)
        s, product, updates = first, torch.ones_like(first), []
        for _ in range(self.inner_iter):
            ratio, Ms = self.ratio(s)
            gain = self.update_gain(ratio)
            updates.append((s, Ms, ratio, gain))
            s, product = s * gain, product * gain
        total = self._to_spectrum_gain(product.clone())
        alive = (product > 0) & (total < LARGEST_GAIN)
        radial = spectrum.real * grad.real + spectrum.imag * grad.imag
        # The gradient with respect to log(g₁ g₂ …), then back through the updates.
        log_grad = torch.where(alive, self.damping / self.power * total * radial, 0)
        s_grad, mel_grad = torch.zeros_like(radial), torch.zeros_like(self.values)
        for s, Ms, ratio, gain in reversed(updates):
            gain_grad = safe_divide(log_grad, gain) + s_grad * s
            passes = (ratio < LARGEST_RATIO) & (Ms > SMALLEST_MEL)
            ratio_grad = torch.where(passes, tables.M_norm.of_rows(gain_grad), 0)
            mel_grad = mel_grad + ratio_grad / Ms
            s_grad = s_grad * gain - tables.M_T.of_rows(ratio_grad * ratio / Ms)
        return grad * total + self._input_vjp(spectrum, first, s_grad), mel_grad

    def _input_vjp(self, spectrum: Tensor, s: Tensor, grad: Tensor) -> Tensor:
        """Return the gradient with respect to c of s: power · s / |c|² · c, and 0 at the floor."""
        # Computed again rather than taken from s, whose rounding could lift a floor above itself.
        squared = self._offset_power(spectrum)
        alive = squared > (torch.finfo(s.dtype).tiny if self.floor is None else self.floor)
        slope = self.power * s / torch.where(alive, squared, 1) * grad
        return spectrum * torch.where(alive, slope, 0)


class _ImposeMel(torch.autograd.Function):
    @staticmethod
    def forward(spectrum: Tensor, values: Tensor, target: MelTarget) -> Tensor:
        # `values` belong to the target; they are an argument so that autograd sees them.
        return spectrum * target.gain(target.filterbank_input(spectrum))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, MelTarget], output: Tensor) -> None:
        spectrum, _, ctx.target = inputs
        ctx.save_for_backward(spectrum)

    @staticmethod
    @backward_fp32_once
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return *ctx.target.vjp(ctx.saved_tensors[0], grad[0]), None


def mel_target(mel: MelData, inner_iter: int, damping: float) -> MelTarget:
    """Return the target of spectra that were divided by ``mel.scale``."""
    values, scale, filterbank, convention = mel
    tables = mel_target_tables(filterbank.matrix, values)
    values = tables.edges.extend(values)
    largest = torch.finfo(values.dtype).max / 4  # the square of a small scale may be 0

    def scaled(number: float) -> Tensor:
        return (number / scale / scale).clamp(max=largest) if number else torch.zeros_like(scale)

    return MelTarget(
        values,
        tables,
        power=convention.power,
        half_offset=scaled(convention.magnitude_offset / 2)[..., None],
        floor=scaled(convention.magnitude_floor) if convention.magnitude_floor else None,
        nonsilent=_nonsilent(values) if tables.free_dc else None,
        inner_iter=inner_iter,
        damping=damping,
        sample_rate=convention.sample_rate,
    )
