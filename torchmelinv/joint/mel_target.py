"""Spectra that have a mel: the multiplicative pull towards it that takes the place of an imposed magnitude.

With s = |c|^power (the offset under the root included) and M the filterbank, one sweep is

    s ← s · Mᵀ(m / Ms) / Mᵀ1,

the step of Richardson (1972) and Lucy (1974), which never raises the Kullback-Leibler divergence of Ms from m, needs no step
size, keeps s positive and leaves its fine structure alone. All angles are kept, so after some sweeps with the gains g₁, g₂, …

    c ← c · (g₁ g₂ …)^(agreement / power).

Bins that no filter sees become 0, but for DC where the first filter rises from there: unless the mel is silent, it stays what the
signal makes it, for beside a DC of 0 no signal has the mel of a rumble. Above the last filter's centre, where bins beyond it are
held at 0, a bin follows that filter as far as it belongs to it, as if beside one more that has what it should: what the filter
loses to those zeros it would else make up by a whistle at its edge, which hardly counts in any mel. (That one more filter adds
nothing to the divergence before a sweep and cannot lower it after, so that what was said of it holds.) The way back is the
chain rule through the sweeps, which are done again for it: a projection remembers its spectrum and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import MelConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.ops.banded import Banded
from torchmelinv.ops.layout import MelPull
from torchmelinv.ops.mel_pull import PullTables, mel_pull, pull_tables, why_no_pull
from torchmelinv.ops.precision import first_order, lasting
from torchmelinv.phase.method import relative_norm

# A band's ratio m / Ms is cut off here: a spectrum that is zero where the mel is not cannot be multiplied up to it anyway. So is
# what c is multiplied by after some sweeps, and no gradient goes through a band that had less than this (the peak is near 1):
# all of it stays finite in float32.
LARGEST_RATIO = 1e6
LARGEST_GAIN = 1e12
FAINTEST = 1e-15


class _Tables(NamedTuple):
    """The filterbank and M with columns that sum to 1, each with its transpose; all multiply rows from the right."""

    bands: Banded  # s ↦ M s
    spread: Banded  # r ↦ Mᵀ r / Mᵀ1
    gather: Banded  # the transpose of `spread`
    bins: Banded  # the transpose of `bands`
    free_dc: bool  # whether bin 0 is unseen and bin 1 is not
    free: tuple[tuple[slice, Tensor], ...]  # some bins, and the part of each that follows no filter
    pull: Callable[[], PullTables | str]  # the same for kernels, or why they cannot; made when first asked for


def _top(table: Tensor, share: Tensor) -> tuple[slice, Tensor]:
    """The bins from the last filter's centre to its end, and the part of each beyond it; none where the spectrum ends there."""
    if share[-2:].any() or not table.any():
        return slice(0, 0), share[:0]
    centre = int(table[table.any(1)][-1].argmax())
    bins = slice(centre, int(share.nonzero()[-1]) + 1)
    return bins, 1 - (share[bins] / share[centre]).clamp(max=1)


def _tables(filterbank: MelFilterbank, like: Tensor) -> _Tables:
    def make() -> _Tables:
        share = filterbank.table.sum(0)
        spread = torch.where(share > 0, filterbank.table / torch.where(share > 0, share, 1), 0)
        free_dc = bool((share[0] == 0) & (share[1] > 0))
        top, beyond = _top(filterbank.table, share)
        spread[:, top] *= 1 - beyond
        free = [(slice(0, 1), torch.ones(1))] * free_dc + [(top, beyond)] * bool(beyond.any())

        def product(matrix: Tensor, rows_in_a_chunk: int) -> Banded:
            return Banded(matrix.to(like.dtype).to(like.device), rows_in_a_chunk)

        @functools.cache
        @lasting
        def pull() -> PullTables | str:
            unfollowed = torch.zeros(filterbank.n_freqs)
            for bins, part in free:
                unfollowed[bins] = part.float()
            return why_no_pull(spread, unfollowed) or pull_tables(filterbank.table, spread, unfollowed, like.device)

        return _Tables(
            bands=product(filterbank.table, 16),
            spread=product(spread.T, 96),
            gather=product(spread, 16),
            bins=product(filterbank.table.T, 96),
            free_dc=free_dc,
            free=tuple((bins, part.to(like.dtype).to(like.device)) for bins, part in free),
            pull=pull,
        )

    return filterbank.derived("mel target", like, make)


def _heard(mel: Tensor) -> Tensor:
    """1 for each frame that is not silent, (items, frames, 1): silent ones stay silent."""
    return mel.detach().any(-1, keepdim=True).to(mel.dtype)


class MelTarget(NamedTuple):
    """M |c|^power = m, for spectra (items, frames, n_freqs)."""

    values: Tensor  # m, (items, frames, n_mels)
    tables: _Tables
    power: float
    offset: Tensor  # under the root, (items, 1, 1)
    floor: Tensor | None  # least |c|² that the filterbank sees, (items, 1, 1)
    heard: Tensor | None  # 1 for each frame that is not silent, (items, frames, 1), where some bins are free
    sweeps: int
    agreement: float

    def of(self, values: Tensor) -> MelTarget:
        return self._replace(values=values, heard=None if self.heard is None else _heard(values))

    def for_kernels(self) -> MelPull | str:
        tables = self.tables.pull()
        if isinstance(tables, str):
            return tables
        return mel_pull(
            tables,
            self.values.detach(),
            self.offset,
            self.floor,
            power=self.power,
            sweeps=self.sweeps,
            agreement=self.agreement,
            most_ratio=LARGEST_RATIO,
            most_gain=LARGEST_GAIN,
            faintest=torch.finfo(self.values.dtype).tiny,
        )

    def flat(self, phasors: Tensor) -> Tensor:
        peak = self.values.detach().amax(-1, keepdim=True)
        level = peak if self.power == 1 else peak.sqrt() if self.power == 2 else peak.pow(1 / self.power)
        # of a DC that no filter sees nothing is known
        return level * (pad(phasors[1:], (1, 0)) if self.tables.free_dc else phasors)

    def impose(self, spectrum: Tensor) -> Tensor:
        """The spectrum after the sweeps, angles kept. Where no gradient is wanted it is overwritten."""
        if torch.is_grad_enabled() and (spectrum.requires_grad or self.values.requires_grad):
            return _ImposeMel.apply(spectrum, self.values, self)
        return spectrum.mul_(self.gain(self.seen(spectrum)))

    def distance(self, spectrum: Tensor) -> Tensor:
        """‖M |c|^power − m‖ / ‖m‖ of each item, (items, 1)."""
        return relative_norm(self.tables.bands.of_rows(self.seen(spectrum)) - self.values, self.values)

    def squared(self, spectrum: Tensor) -> Tensor:
        """|c|² and the offset."""
        parts = torch.view_as_real(spectrum)
        squares = torch.addcmul(self.offset[..., None] / 2, parts, parts)
        return torch.add(squares[..., 0], squares[..., 1])

    def seen(self, spectrum: Tensor) -> Tensor:
        """s, what the filterbank sees: |c|^power with what the convention does under the root."""
        squared = self.squared(spectrum)
        if self.floor is not None:
            squared = torch.maximum(squared, self.floor)
        return squared if self.power == 2 else squared.sqrt_() if self.power == 1 else squared.pow_(self.power / 2)

    def ratio(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """m / Ms, and Ms."""
        had = self.tables.bands.of_rows(seen).clamp_(min=torch.finfo(seen.dtype).tiny)
        return (self.values / had).clamp_(max=LARGEST_RATIO), had

    def spread(self, ratio: Tensor) -> Tensor:
        """What one sweep multiplies s by: the bands' ratios over their bins."""
        factor = self.tables.spread.of_rows(ratio)
        for bins, part in self.tables.free:
            factor[..., bins].addcmul_(cast(Tensor, self.heard), part)
        return factor

    def gain(self, seen: Tensor) -> Tensor:
        """What the sweeps multiply c by; overwrites its argument."""
        total = factor = self.spread(self.ratio(seen)[0])
        for _ in range(1, self.sweeps):
            factor = self.spread(self.ratio(seen.mul_(factor))[0])
            total.mul_(factor)
        return self.root(total)

    def root(self, gain: Tensor) -> Tensor:
        """gain^(agreement / power), in place."""
        exponent = self.agreement / self.power
        root = gain if exponent == 1 else gain.sqrt_() if exponent == 0.5 else gain.pow_(exponent)
        return root.clamp_(max=LARGEST_GAIN) if LARGEST_RATIO ** (self.sweeps * exponent) > LARGEST_GAIN else root

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients by the spectrum and by the mel, from that by what `impose` gave."""
        tables, first = self.tables, self.seen(spectrum)
        seen, product, sweeps = first, torch.ones_like(first), []
        for _ in range(self.sweeps):
            ratio, had = self.ratio(seen)
            gain = self.spread(ratio)
            sweeps.append((seen, had, ratio, gain))
            seen, product = seen * gain, product * gain
        root = self.root(product.clone())
        alive = (product > 0) & (root < LARGEST_GAIN)
        along = spectrum.real * grad.real + spectrum.imag * grad.imag
        to_log = torch.where(alive, self.agreement / self.power * root * along, 0)  # by the logarithm of the product
        to_seen, to_mel = torch.zeros_like(along), torch.zeros_like(self.values)
        for before, had, ratio, gain in reversed(sweeps):
            to_gain = torch.where(gain > 0, to_log / torch.where(gain > 0, gain, 1), 0) + to_seen * before
            to_ratio = torch.where((ratio < LARGEST_RATIO) & (had > FAINTEST), tables.gather.of_rows(to_gain), 0)
            to_mel = to_mel + to_ratio / had
            to_seen = to_seen * gain - tables.bins.of_rows(to_ratio * ratio / had)
        return grad * root + self.through_seen(spectrum, first, to_seen), to_mel

    def through_seen(self, spectrum: Tensor, seen: Tensor, grad: Tensor) -> Tensor:
        """The gradient by c, from that by s: p s / |c|² · c, and 0 where c is, or where the floor is what is seen."""
        squared = self.squared(spectrum)  # not taken back from `seen`, whose rounding could lift a floor above itself
        alive = squared > (torch.finfo(seen.dtype).tiny if self.floor is None else self.floor)
        return spectrum * torch.where(alive, self.power * seen / torch.where(alive, squared, 1) * grad, 0)


class _ImposeMel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, values: Tensor, target: MelTarget) -> Tensor:
        ctx.save_for_backward(spectrum)
        ctx.target = target  # `values` are its own; autograd needs to be told of them
        return spectrum * target.gain(target.seen(spectrum))

    @staticmethod
    @first_order
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return *ctx.target.vjp(ctx.saved_tensors[0], grad[0]), None


def mel_target(
    mel: Tensor, filterbank: MelFilterbank, convention: MelConvention, scale: Tensor, sweeps: int, agreement: float
) -> MelTarget:
    """The target of spectra that were divided by `scale` (items, 1, 1), from their linear mel (items, frames, n_mels)."""
    most = torch.finfo(mel.dtype).max / 4  # a scale may be so small that its square is 0

    def scaled(number: float) -> Tensor:
        return (number / scale / scale).clamp(max=most) if number else torch.zeros_like(scale)

    floor = scaled(convention.magnitude_floor) if convention.magnitude_floor else None
    offset = scaled(convention.magnitude_offset)
    tables = _tables(filterbank, mel)
    heard = _heard(mel) if tables.free else None
    return MelTarget(mel, tables, convention.power, offset, floor, heard, sweeps, agreement)
