"""The pull towards a mel: its equation, its theorem, its fixed points, its gradient, and what it does with silence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.phase.papers import beyond_the_last_filter
from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv import analysis
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.joint.mel_target import LARGEST_GAIN, LARGEST_RATIO, MelTarget, mel_target

F64 = torch.float64
SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4)
ONE = torch.ones(1, 1, 1, dtype=F64)
LOW = TINY.replace(f_max=3000.0)  # bins above its last filter are held at 0
BANKS = pytest.mark.parametrize(
    "convention", [TINY, TINY_POWER, DEFICIENT, TINY.replace(power=0.7, magnitude_offset=1e-3), LOW, LOW.replace(power=2)]
)


def target_of(mel: Tensor, convention: MelConvention, sweeps: int = 1, agreement: float = 1.0, scale: Tensor = ONE) -> MelTarget:
    """A target for a mel (items, frames, n_mels)."""
    return mel_target(mel, MelFilterbank(convention), convention, scale.to(mel.dtype), sweeps, agreement)


def spectrum_of(convention: MelConvention, items: int = 2, dtype: torch.dtype = F64) -> Tensor:
    return Frame(convention).analyse(tones(20 * convention.hop_length, (items,), dtype)).mT.contiguous()


def seen(spectrum: Tensor, convention: MelConvention) -> Tensor:
    return analysis.seen(analysis.squares(spectrum), convention)


def mel_of(spectrum: Tensor, convention: MelConvention) -> Tensor:
    return seen(spectrum, convention) @ MelFilterbank(convention).table.T.to(spectrum.real.dtype)


def another_mel(convention: MelConvention) -> Tensor:
    """A mel of other signals, with noise that no spectrum has."""
    mel = mel_of(spectrum_of(convention, 2).flip(0).roll(3, 1), convention)
    return mel * (0.5 * torch.randn_like(mel)).exp()


def transcription(spectrum: Tensor, mel: Tensor, convention: MelConvention, sweeps: int, agreement: float) -> Tensor:
    """s ← s · Mᵀ(m / Ms) / Mᵀ1 with a dense M, and c times the gain to the power agreement / p."""
    matrix = MelFilterbank(convention).table
    heard, share = matrix.any(1), matrix.sum(0)  # a band without a bin has nothing to say
    beyond = beyond_the_last_filter(matrix)
    s = before = seen(spectrum, convention)
    for _ in range(sweeps):
        ratio = mel[..., heard] / (s @ matrix[heard].T)
        gain = torch.where(share > 0, ratio @ matrix[heard] / share, 0)
        gain = (1 - beyond) * gain + beyond * mel.any(-1, keepdim=True)
        if share[0] == 0 < share[1]:
            gain[..., 0] = mel.any(-1)  # DC beside the first filter is free
        s = s * gain
    return spectrum * (s / before) ** (agreement / convention.power)


@pytest.mark.parametrize("agreement", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("sweeps", [1, 2, 3])
@BANKS
def test_the_sweeps_are_the_equation(convention, sweeps, agreement):
    spectrum, mel = spectrum_of(convention), another_mel(convention)
    found = target_of(mel, convention, sweeps, agreement).impose(spectrum.clone())
    torch.testing.assert_close(found, transcription(spectrum, mel, convention, sweeps, agreement), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("agreement", [1.0, 0.5, 0.1])
@BANKS
def test_the_theorem_a_sweep_never_raises_the_divergence(convention, agreement):
    """KL(m ‖ Ms) = Σ m log(m / Ms) − m + Ms. A part of the step is no exception: what majorises it is convex in log s.

    With an offset under the root, |c| alone is multiplied and there is no such bound.
    """
    convention = convention.replace(magnitude_offset=0)
    mel, spectrum = another_mel(convention), spectrum_of(convention)
    mel = torch.where(MelFilterbank(convention).table.any(1), mel, 0)
    target = target_of(mel, convention, 1, agreement)

    def divergence(spectrum: Tensor) -> Tensor:
        had = mel_of(spectrum, convention)
        return (torch.xlogy(mel, mel / torch.where(mel > 0, had, 1)) - mel + had).sum(-1)

    distances = [divergence(spectrum)]
    for _ in range(30):
        spectrum = target.impose(spectrum)
        distances.append(divergence(spectrum))
        assert (distances[-1] <= distances[-2] + 1e-12).all()
    assert (distances[-1] < 0.9 * distances[0]).all()


@pytest.mark.parametrize("sweeps", [1, 3])
@BANKS
def test_a_spectrum_that_has_the_mel_is_a_fixed_point(convention, sweeps):
    """But for bins that no filter sees: these become 0, except DC beside the first filter."""
    spectrum = spectrum_of(convention)
    target = target_of(mel_of(spectrum, convention), convention, sweeps)
    torch.testing.assert_close(target.distance(spectrum), torch.zeros(2, 1, dtype=F64), atol=1e-12, rtol=0)
    seen_bins = MelFilterbank(convention).table.any(0)
    seen_bins[0] = seen_bins[1]
    expected = torch.where(seen_bins, spectrum, 0)
    torch.testing.assert_close(target.impose(spectrum.clone()), expected, atol=1e-12, rtol=0)


def test_angles_stay_and_sweeps_come_nearer():
    spectrum, mel = spectrum_of(TINY), mel_of(spectrum_of(TINY).roll(5, 1), TINY)
    before = target_of(mel, TINY).distance(spectrum)
    for sweeps in (1, 2, 3, 4):
        target = target_of(mel, TINY, sweeps)
        after = target.impose(spectrum.clone())
        assert (target.distance(after) < before).all()
        before = target.distance(after)
        turned = (after * spectrum.conj())[..., 1:-1]
        assert (turned.real > 0).all()
        torch.testing.assert_close(turned.imag, torch.zeros_like(turned.imag), atol=1e-12, rtol=0)


def test_the_distance_is_that_of_the_mel():
    spectrum, mel = spectrum_of(TINY_POWER), another_mel(TINY_POWER)
    expected = (mel_of(spectrum, TINY_POWER) - mel).flatten(1).norm(dim=1) / mel.flatten(1).norm(dim=1)
    torch.testing.assert_close(target_of(mel, TINY_POWER).distance(spectrum)[:, 0], expected)
    assert target_of(torch.zeros_like(mel), TINY_POWER).distance(spectrum).tolist() == [[0], [0]]


@pytest.mark.parametrize(("sweeps", "agreement"), [(2, 0.5), (3, 1.0)])
@pytest.mark.parametrize(
    "changes",
    [
        {"power": 1.0},
        {"power": 2.0},
        {"power": 0.5},
        {"power": 1.0, "magnitude_offset": 0.3},
        {"power": 2.0, "magnitude_offset": 0.3},
        {"power": 1.0, "magnitude_floor": 0.5},  # √½ squared is above ½
        {"power": 2.0, "magnitude_floor": 0.5},
        {"power": 0.5, "magnitude_floor": 0.5},
    ],
    ids=str,
)
def test_gradients_are_finite_differences(changes, sweeps, agreement):
    convention = SMALL.replace(**changes)
    spectrum = torch.randn(2, 1, 9, dtype=torch.complex128, requires_grad=True)
    mel = (torch.rand(2, 1, 4, dtype=F64) + 0.1).requires_grad_()
    scale = torch.tensor([1.0, 2.0], dtype=F64).reshape(2, 1, 1)
    function = lambda c, m: target_of(m, convention, sweeps, agreement, scale).impose(c)  # noqa: E731
    assert torch.autograd.gradcheck(function, (spectrum, mel), eps=1e-7, atol=1e-5)


def test_gradients_where_bands_share_bins_and_some_have_none():
    spectrum = torch.randn(1, 1, 17, dtype=torch.complex128, requires_grad=True)
    mel = (torch.rand(1, 1, 20, dtype=F64) + 0.1).requires_grad_()
    function = lambda c, m: target_of(m, DEFICIENT, 2).impose(c)  # noqa: E731
    assert torch.autograd.gradcheck(function, (spectrum, mel), eps=1e-7, atol=1e-5)
    (gradient,) = torch.autograd.grad(function(spectrum, mel).abs().sum(), mel)
    assert (gradient[..., (MelFilterbank(DEFICIENT).table == 0).all(1)] == 0).all()


@pytest.mark.parametrize("wanting", ["spectrum", "mel", "both"])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("agreement", [1.0, 0.5])
@BANKS
def test_with_a_gradient_the_values_are_the_same_and_nothing_is_overwritten(convention, agreement, dtype, wanting):
    spectrum, mel = spectrum_of(convention, dtype=dtype), another_mel(convention).to(dtype)
    kept = spectrum.clone()
    leaf, values = spectrum.clone(), mel.clone()
    leaf.requires_grad_(wanting != "mel")
    values.requires_grad_(wanting != "spectrum")
    with_gradient = target_of(values, convention, 3, agreement).impose(leaf)
    assert with_gradient.requires_grad
    assert torch.equal(leaf, kept)
    with torch.no_grad():
        without = target_of(values, convention, 3, agreement).impose(spectrum)
    assert without is spectrum  # in place
    assert torch.equal(with_gradient, without)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("offset", [0.0, 1e-9])
@pytest.mark.parametrize(("sweeps", "agreement"), [(1, 1.0), (4, 1.0), (4, 0.3)])
def test_silence_zeros_and_extremes_are_finite_and_so_are_their_gradients(power, offset, sweeps, agreement):
    """Spectrum and mel, each silent, beyond the range of squares in single precision, or as usual, band beside band."""
    convention = TINY.replace(power=power, magnitude_offset=offset)
    sizes = torch.tensor([0.0, 1e-30, 1e-22, 1e-15, 1e-4, 1.0])
    spectrum = spectrum_of(convention, 1, torch.float32).expand(36, -1, -1) * sizes.repeat(6)[:, None, None]
    mel = mel_of(spectrum_of(convention, 1, torch.float32), convention).expand(36, -1, -1)
    mel = mel * sizes.repeat_interleave(6)[:, None, None]
    patchy = spectrum.clone(), mel.clone()
    patchy[0][:, 3:5], patchy[0][:, :, 10:20], patchy[1][:, 4:8], patchy[1][:, :, 5:9] = 0, 0, 0, 0
    for values, bands in ((spectrum, mel), patchy):
        values, bands = values.clone().requires_grad_(), bands.clone().requires_grad_()
        found = target_of(bands, convention, sweeps, agreement).impose(values)
        assert found.isfinite().all()
        assert (found[:6] == 0).all()  # a silent mel silences everything
        assert (found[::6] == 0).all()  # and a silent spectrum has no angles
        for gradient in torch.autograd.grad((found.real + found.imag).sum(), (values, bands)):
            assert gradient.isfinite().all()


@pytest.mark.parametrize(("sweeps", "factor"), [(1, LARGEST_RATIO), (2, LARGEST_GAIN), (3, LARGEST_GAIN)])
def test_a_spectrum_far_below_its_mel_comes_up_by_a_bounded_factor_that_has_no_slope(sweeps, factor):
    spectrum = 1e-20 * spectrum_of(TINY)
    mel = mel_of(1e20 * spectrum, TINY).requires_grad_()
    found = target_of(mel, TINY, sweeps).impose(spectrum)
    torch.testing.assert_close(found[..., 1:-1], factor * spectrum[..., 1:-1], rtol=1e-9, atol=0)
    assert (torch.autograd.grad(found.abs().sum(), mel)[0] == 0).all()


@pytest.mark.parametrize("agreement", [1.0, 0.5])
@BANKS
def test_scale(convention, agreement):
    """A spectrum that was divided by `scale`, with its mel by scale^p, comes out divided by it; the offset follows."""
    spectrum, mel = spectrum_of(convention), another_mel(convention)
    expected = target_of(mel, convention, 2, agreement).impose(spectrum.clone())
    for scale in (2.0**-20, 3.7, 2.0**20):
        target = target_of(mel / scale**convention.power, convention, 2, agreement, scale * ONE)
        torch.testing.assert_close(scale * target.impose(spectrum / scale), expected, atol=1e-9, rtol=1e-7)


def test_items_do_not_see_each_other():
    spectrum, mel = spectrum_of(TINY, 3), mel_of(spectrum_of(TINY, 3).flip(0), TINY)
    together = target_of(mel, TINY, 2).impose(spectrum.clone())
    changed = mel.clone()
    changed[1:] = 7
    assert torch.equal(target_of(changed, TINY, 2).impose(spectrum.clone())[0], together[0])
    torch.testing.assert_close(target_of(mel[1:2], TINY, 2).impose(spectrum[1:2].clone()), together[1:2], atol=1e-12, rtol=0)


def test_second_derivatives_are_refused():
    spectrum = spectrum_of(TINY).requires_grad_()
    found = target_of(another_mel(TINY), TINY).impose(spectrum)
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(found.abs().sum(), spectrum, create_graph=True)
