"""The mel target: its updates, their bound, fixed points, gradients, and silence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.phase.papers import with_edge_bands
from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.mel_target import LARGEST_GAIN, LARGEST_RATIO, MelTarget, mel_target
from torchmelinv.phase.target import MelData
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import filterbank_input, power_spectrum
from torchmelinv.transforms.stft import STFT

F64 = torch.float64
SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4)
ONE = torch.ones(1, 1, 1, dtype=F64)
LOW = TINY.replace(f_max=3000.0)  # bins above its last filter are held at 0
CONVENTIONS = pytest.mark.parametrize(
    "convention",
    [
        TINY,
        TINY_POWER,
        DEFICIENT,
        TINY.replace(power=0.7, magnitude_offset=1e-3),
        LOW,
        LOW.replace(power=2),
    ],
    ids=["magnitude", "power", "deficient", "offset", "low", "low_power"],
)


def target_of(
    mel: Tensor,
    convention: MelConvention,
    inner_iter: int = 1,
    damping: float = 1.0,
    scale: Tensor = ONE,
) -> MelTarget:
    """Return the target of a mel (items, frames, n_mels)."""
    data = MelData(mel, scale.to(mel.dtype), MelFilterbank(convention), convention)
    return mel_target(data, inner_iter, damping)


def spectrum_of(convention: MelConvention, items: int = 2, dtype: torch.dtype = F64) -> Tensor:
    """Return the spectra of tones, (items, frames, n_freqs)."""
    waveform = tones(20 * convention.hop_length, (items,), dtype)
    return STFT(convention)(waveform).mT.contiguous()


def input_of(spectrum: Tensor, convention: MelConvention) -> Tensor:
    return filterbank_input(power_spectrum(spectrum), convention)


def mel_of(spectrum: Tensor, convention: MelConvention) -> Tensor:
    M = MelFilterbank(convention).table.to(spectrum.real.dtype)
    return input_of(spectrum, convention) @ M.T


def inconsistent_mel(convention: MelConvention) -> Tensor:
    """Return the mel of other signals than `spectrum_of`, with noise that no spectrum has."""
    mel = mel_of(spectrum_of(convention).flip(0).roll(3, 1), convention)
    return mel * (0.5 * torch.randn_like(mel)).exp()


def extended(mel: Tensor, convention: MelConvention) -> tuple[Tensor, Tensor]:
    """Return the filterbank and the mel (items, frames, n_mels) with the bands at the edges."""
    M, bands = with_edge_bands(MelFilterbank(convention).table, mel.movedim(-1, 0))
    return M, bands.movedim(0, -1)


def transcription(
    spectrum: Tensor, mel: Tensor, convention: MelConvention, inner_iter: int, damping: float
) -> Tensor:
    """Iterate s ← s · Mᵀ(m / Ms) / Mᵀ1 with a dense M; return c · (gain of s)^(damping / p)."""
    M, mel = extended(mel, convention)
    nonempty, share = M.any(1), M.sum(0)
    s = before = input_of(spectrum, convention)
    for _ in range(inner_iter):
        ratio = mel[..., nonempty] / (s @ M[nonempty].T)
        gain = torch.where(share > 0, ratio @ M[nonempty] / share, 0)
        if share[0] == 0 < share[1]:
            gain[..., 0] = mel.any(-1)  # no filter covers DC, which is free
        s = s * gain
    return spectrum * (s / before) ** (damping / convention.power)


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("inner_iter", [1, 2, 3])
@CONVENTIONS
def test_updates_equal_the_dense_equation(convention, inner_iter, damping):
    spectrum, mel = spectrum_of(convention), inconsistent_mel(convention)
    result = target_of(mel, convention, inner_iter, damping).impose(spectrum.clone())
    expected = transcription(spectrum, mel, convention, inner_iter, damping)
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1])
@CONVENTIONS
def test_an_update_never_raises_the_divergence(convention, damping):
    """KL(m ‖ Ms) = Σ m log(m / Ms) − m + Ms, with the bands at the edges.

    The bound holds for damped updates, too: the function that majorizes the divergence is convex
    in log s. It does not hold with an offset, where only |c| is multiplied.
    """
    convention = convention.replace(magnitude_offset=0)
    mel, spectrum = inconsistent_mel(convention), spectrum_of(convention)
    mel = torch.where(MelFilterbank(convention).table.any(1), mel, 0)
    target = target_of(mel, convention, 1, damping)
    M, m = extended(mel, convention)

    def divergence(spectrum: Tensor) -> Tensor:
        Ms = input_of(spectrum, convention) @ M.T
        return (torch.xlogy(m, m / torch.where(m > 0, Ms, 1)) - m + Ms).sum(-1)

    divergences = [divergence(spectrum)]
    for _ in range(30):
        spectrum = target.impose(spectrum)
        divergences.append(divergence(spectrum))
        assert (divergences[-1] <= divergences[-2] + 1e-12).all()
    assert (divergences[-1] < 0.9 * divergences[0]).all()


@pytest.mark.parametrize("inner_iter", [1, 3])
@CONVENTIONS
def test_a_spectrum_with_the_mel_is_a_fixed_point(convention, inner_iter):
    """With the bands at the edges, too. Bins that no filter covers become 0, except DC."""
    spectrum = spectrum_of(convention)
    target = target_of(mel_of(spectrum, convention), convention, inner_iter)
    M = extended(mel_of(spectrum, convention), convention)[0]
    n_mels, edge = convention.n_mels, input_of(spectrum, convention) @ M[convention.n_mels :].T
    # `with_edge_bands` appends the upper band, then the lower one.
    n_lower = len(target.tables.edges.lower.filter)
    values = target.values.clone()
    values[..., n_lower + n_mels :] = edge[..., : edge.shape[-1] - n_lower]
    values[..., :n_lower] = edge[..., edge.shape[-1] - n_lower :]
    target = target.with_values(values)
    zero = torch.zeros(2, 1, dtype=F64)
    torch.testing.assert_close(target.distance(spectrum), zero, atol=1e-12, rtol=0)
    kept = M.any(0)
    kept[0] = kept[1]
    expected = torch.where(kept, spectrum, 0)
    torch.testing.assert_close(target.impose(spectrum.clone()), expected, atol=1e-12, rtol=0)


def test_updates_keep_angles_and_reduce_the_distance():
    spectrum, mel = spectrum_of(TINY), mel_of(spectrum_of(TINY).roll(5, 1), TINY)
    before = target_of(mel, TINY).distance(spectrum)
    for inner_iter in (1, 2, 3, 4):
        target = target_of(mel, TINY, inner_iter)
        after = target.impose(spectrum.clone())
        assert (target.distance(after) < before).all()
        before = target.distance(after)
        rotated = (after * spectrum.conj())[..., 1:-1]
        assert (rotated.real > 0).all()
        torch.testing.assert_close(rotated.imag, torch.zeros_like(rotated.imag), atol=1e-12, rtol=0)


def test_the_distance_is_relative_to_the_mel():
    spectrum, mel = spectrum_of(TINY_POWER), inconsistent_mel(TINY_POWER)
    difference = mel_of(spectrum, TINY_POWER) - mel
    expected = difference.flatten(1).norm(dim=1) / mel.flatten(1).norm(dim=1)
    torch.testing.assert_close(target_of(mel, TINY_POWER).distance(spectrum)[:, 0], expected)
    silent = target_of(torch.zeros_like(mel), TINY_POWER)
    assert silent.distance(spectrum).tolist() == [[0], [0]]


@pytest.mark.parametrize(("inner_iter", "damping"), [(2, 0.5), (3, 1.0)])
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
def test_gradients_equal_finite_differences(changes, inner_iter, damping):
    convention = SMALL.replace(**changes)
    spectrum = torch.randn(2, 1, 9, dtype=torch.complex128, requires_grad=True)
    mel = (torch.rand(2, 1, 4, dtype=F64) + 0.1).requires_grad_()
    scale = torch.tensor([1.0, 2.0], dtype=F64).reshape(2, 1, 1)

    def impose(spectrum, mel):
        return target_of(mel, convention, inner_iter, damping, scale).impose(spectrum)

    assert torch.autograd.gradcheck(impose, (spectrum, mel), eps=1e-7, atol=1e-5)


def test_gradients_with_shared_bins_and_empty_filters():
    spectrum = torch.randn(1, 1, 17, dtype=torch.complex128, requires_grad=True)
    mel = (torch.rand(1, 1, 20, dtype=F64) + 0.1).requires_grad_()

    def impose(spectrum, mel):
        return target_of(mel, DEFICIENT, 2).impose(spectrum)

    assert torch.autograd.gradcheck(impose, (spectrum, mel), eps=1e-7, atol=1e-5)
    (gradient,) = torch.autograd.grad(impose(spectrum, mel).abs().sum(), mel)
    assert (gradient[..., (MelFilterbank(DEFICIENT).table == 0).all(1)] == 0).all()


@pytest.mark.parametrize("leaves", ["spectrum", "mel", "both"])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("damping", [1.0, 0.5])
@CONVENTIONS
def test_gradient_mode_changes_no_value_and_overwrites_no_input(convention, damping, dtype, leaves):
    spectrum, mel = spectrum_of(convention, dtype=dtype), inconsistent_mel(convention).to(dtype)
    leaf, values = spectrum.clone(), mel.clone()
    leaf.requires_grad_(leaves != "mel")
    values.requires_grad_(leaves != "spectrum")
    with_gradient = target_of(values, convention, 3, damping).impose(leaf)
    assert with_gradient.requires_grad
    assert torch.equal(leaf, spectrum)
    with torch.no_grad():
        without_gradient = target_of(values, convention, 3, damping).impose(spectrum)
    assert without_gradient is spectrum  # in place
    assert torch.equal(with_gradient, without_gradient)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("offset", [0.0, 1e-9])
@pytest.mark.parametrize(("inner_iter", "damping"), [(1, 1.0), (4, 1.0), (4, 0.3)])
def test_values_and_gradients_are_finite_at_every_size(power, offset, inner_iter, damping):
    """Spectrum and mel from silence over squares beyond float32 to the usual size, in all pairs."""
    convention = TINY.replace(power=power, magnitude_offset=offset)
    sizes = torch.tensor([0.0, 1e-30, 1e-22, 1e-15, 1e-4, 1.0])
    spectrum = spectrum_of(convention, 1, torch.float32)
    mel = mel_of(spectrum, convention) * sizes.repeat_interleave(6)[:, None, None]
    spectrum = spectrum * sizes.repeat(6)[:, None, None]
    with_silent_frames, with_silent_bands = spectrum.clone(), mel.clone()
    with_silent_frames[:, 3:5], with_silent_frames[:, :, 10:20] = 0, 0
    with_silent_bands[:, 4:8], with_silent_bands[:, :, 5:9] = 0, 0
    for c, m in ((spectrum, mel), (with_silent_frames, with_silent_bands)):
        c, m = c.clone().requires_grad_(), m.clone().requires_grad_()
        result = target_of(m, convention, inner_iter, damping).impose(c)
        assert result.isfinite().all()
        assert (result[:6] == 0).all()  # where the mel is silent
        assert (result[::6] == 0).all()  # where the spectrum is silent and has no angles
        for gradient in torch.autograd.grad((result.real + result.imag).sum(), (c, m)):
            assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("inner_iter", "gain"), [(1, LARGEST_RATIO), (2, LARGEST_GAIN), (3, LARGEST_GAIN)]
)
def test_the_gain_is_bounded_and_has_no_gradient_at_the_bound(inner_iter, gain):
    spectrum = 1e-20 * spectrum_of(TINY)
    mel = mel_of(1e20 * spectrum, TINY).requires_grad_()
    result = target_of(mel, TINY, inner_iter).impose(spectrum)
    torch.testing.assert_close(result[..., 1:-1], gain * spectrum[..., 1:-1], rtol=1e-9, atol=0)
    assert (torch.autograd.grad(result.abs().sum(), mel)[0] == 0).all()


@pytest.mark.parametrize("damping", [1.0, 0.5])
@CONVENTIONS
def test_scaled_spectra_give_scaled_results(convention, damping):
    """With `scale`, the offset follows a spectrum / scale and a mel / scale^p."""
    spectrum, mel = spectrum_of(convention), inconsistent_mel(convention)
    expected = target_of(mel, convention, 2, damping).impose(spectrum.clone())
    for scale in (2.0**-20, 3.7, 2.0**20):
        target = target_of(mel / scale**convention.power, convention, 2, damping, scale * ONE)
        result = scale * target.impose(spectrum / scale)
        torch.testing.assert_close(result, expected, atol=1e-9, rtol=1e-7)


def test_items_are_independent():
    spectrum, mel = spectrum_of(TINY, 3), mel_of(spectrum_of(TINY, 3).flip(0), TINY)
    batch = target_of(mel, TINY, 2).impose(spectrum.clone())
    changed = mel.clone()
    changed[1:] = 7
    assert torch.equal(target_of(changed, TINY, 2).impose(spectrum.clone())[0], batch[0])
    alone = target_of(mel[1:2], TINY, 2).impose(spectrum[1:2].clone())
    torch.testing.assert_close(alone, batch[1:2], atol=1e-12, rtol=0)


def test_second_derivatives_are_refused():
    spectrum = spectrum_of(TINY).requires_grad_()
    result = target_of(inconsistent_mel(TINY), TINY).impose(spectrum)
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(result.abs().sum(), spectrum, create_graph=True)
