"""Losses: published definitions transcribed in float64, padded batches, gradients, silence and scales, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import torchmelinv
from tests.problems import PADDINGS, TINY, TINY_LOG, TINY_POWER, frame_convention, tones
from torchmelinv import MelAnalyzer, MelConvention, losses, preset
from torchmelinv.conventions import Level
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.measure.losses import ComplexLoss, ConsistencyLoss, MelLoss, MultiResolutionSTFTLoss, SpectralConvergenceLoss

FRAME = frame_convention()
SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4)
SMALL_LOG = SMALL.replace(level={"log": "log10", "floor": 1e-3, "multiplier": 20})
SMALL_RELATIVE = SMALL.replace(power=2, level={"log": "log10", "floor": 1e-10, "dynamic_range": 3.0, "affine": (-4, 4)})

WAVEFORM_LOSSES = {
    "convergence": SpectralConvergenceLoss(SMALL),
    "multi": MultiResolutionSTFTLoss([(16, 4, 16), (32, 5, 20)]),
    "mel": MelLoss(SMALL_LOG),
    "mel, relative": MelLoss(SMALL_RELATIVE),
    "mel, no logarithm": MelLoss(SMALL),
    "mel, p 2": MelLoss(SMALL_LOG, p=2),
    "mel, linear": MelLoss(SMALL_LOG, log=False),
    "mel, linear power, p 2": MelLoss(SMALL.replace(power=2), log=False, p=2),
    "complex": ComplexLoss(SMALL),
    "complex, p 2": ComplexLoss(SMALL, p=2),
}
each_loss = pytest.mark.parametrize("loss", WAVEFORM_LOSSES.values(), ids=WAVEFORM_LOSSES)


def pair(n_samples: int = 400, items: tuple[int, ...] = (), dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two signals that differ, (*items, n_samples)."""
    both = tones(n_samples, (2, *items), dtype)
    return both[0], 0.7 * both[1] + 0.2 * both[0]


def spectrum_of(waveform: Tensor, n_fft: int, hop: int, win: int) -> Tensor:
    window = torch.hann_window(win, dtype=waveform.dtype)
    return torch.stft(waveform, n_fft, hop, win, window, return_complex=True)


def published_stft_loss(estimate: Tensor, reference: Tensor, n_fft: int, hop: int, win: int, eps: float) -> Tensor:
    """Convergence and log magnitude of Parallel WaveGAN as auraloss defines them: one Frobenius ratio, one mean, for a batch."""
    x, y = (spectrum_of(each, n_fft, hop, win).abs().square().clamp(min=eps).sqrt() for each in (estimate, reference))
    convergence = (y - x).square().sum().sqrt() / y.square().sum().sqrt()
    return convergence + (y.log() - x.log()).abs().sum() / y.numel()


def test_multi_resolution_is_the_published_one_for_an_item():
    estimate, reference = torch.randn(2, 6000, dtype=torch.float64) * 0.3
    sizes = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
    wanted = sum(published_stft_loss(estimate, reference, *size, eps=1e-8) for size in sizes) / 3
    torch.testing.assert_close(MultiResolutionSTFTLoss()(estimate, reference), wanted, rtol=1e-6, atol=0)
    assert abs(MultiResolutionSTFTLoss()(estimate.float(), reference.float()) - wanted) < 1e-5 * wanted


def test_multi_resolution_of_a_batch_differs_from_the_published_one_in_its_ratio_alone():
    estimate, reference = torch.randn(2, 3, 2000, dtype=torch.float64) * torch.tensor([[0.01], [0.1], [1]])
    estimate = estimate + reference
    size = (256, 64, 256)
    items = [published_stft_loss(estimate[i], reference[i], *size, eps=1e-30) for i in range(3)]
    found = MultiResolutionSTFTLoss([size], floor=1e-15)(estimate, reference)
    torch.testing.assert_close(found, torch.stack(items).mean(), rtol=1e-9, atol=0)
    assert abs(found - published_stft_loss(estimate, reference, *size, eps=1e-30)) > 1e-3


def test_spectral_convergence():
    estimate, reference = pair()
    x, y = (spectrum_of(each, 64, 16, 64).abs() for each in (estimate, reference))
    wanted = (x - y).square().sum().sqrt() / y.square().sum().sqrt()
    loss = SpectralConvergenceLoss(FRAME)
    torch.testing.assert_close(loss(estimate, reference), wanted)
    assert loss(torch.zeros_like(reference), reference) == 1
    torch.testing.assert_close(loss(3 * reference, reference), torch.tensor(2.0, dtype=torch.float64))
    assert loss(reference, torch.zeros_like(reference)) == pytest.approx(100)
    assert loss(1e9 * estimate, reference) <= 101


@pytest.mark.parametrize("name", ["hifigan_22k", "whisper_80", "librosa_melspectrogram", "tacotron2"])
def test_mel_loss_is_that_of_the_convention(name):
    convention = preset(name)
    estimate, reference = pair(8000)
    x, y = (MelAnalyzer(convention)(each) for each in (estimate, reference))
    level = convention.level
    if level.log is None:
        wanted = (x.clamp(min=1e-5**convention.power).log() - y.clamp(min=1e-5**convention.power).log()).abs().mean()
    else:
        scale = level.affine[1] if level.affine else 1
        wanted = (x - y).abs().mean() * scale / level.multiplier * (math.log(10) if level.log == "log10" else 1)
    torch.testing.assert_close(MelLoss(name)(estimate, reference), wanted)


def test_mel_loss_in_the_linear_domain_and_squared():
    estimate, reference = pair()
    for convention in (TINY, TINY_POWER, TINY_LOG):
        x, y = (MelAnalyzer(convention).linear(each).clamp(min=convention.level.floor or 0) for each in (estimate, reference))
        torch.testing.assert_close(MelLoss(convention, log=False)(estimate, reference), (x - y).abs().mean())
        squared = MelLoss(convention, log=False, p=2)(estimate, reference).square()
        torch.testing.assert_close(squared, torch.nn.functional.mse_loss(x, y))


@each_loss
def test_zero_at_equality_with_a_zero_gradient(loss):
    reference = tones(100, (2,), torch.float64)
    estimate = reference.clone().requires_grad_()
    found = loss(estimate, reference)
    assert found == 0
    assert not torch.autograd.grad(found, estimate)[0].any()


def test_mel_loss_against_a_mel():
    estimate, reference = pair(items=(2,))
    for convention in (TINY_LOG, SMALL_RELATIVE):
        for log in (True, False):
            loss = MelLoss(convention, log)
            wanted = loss(estimate, reference)
            torch.testing.assert_close(loss(estimate, loss.analyzer(reference)), wanted)
            torch.testing.assert_close(loss(loss.analyzer(estimate), reference), wanted)
            lengths = torch.tensor([400, 300])
            mel = loss.analyzer(reference, lengths=lengths)
            mel[1, :, loss.analyzer.convention.n_frames(300) :] = math.nan
            estimate.requires_grad_()
            found = loss(estimate, mel, lengths=lengths)
            torch.testing.assert_close(found, loss(estimate, reference, lengths=lengths))
            assert torch.autograd.grad(found, estimate)[0].isfinite().all()


def test_mel_loss_of_an_inversion_passes_gradients_to_the_mel():
    target = tones(640)
    mel = MelAnalyzer(TINY_LOG)(target).requires_grad_()
    found = torchmelinv.losses.MelLoss(TINY_LOG)(torchmelinv.MelInverter(TINY_LOG, n_iter=2)(mel), target)
    (gradient,) = torch.autograd.grad(found, mel)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_complex_loss():
    estimate, reference = pair()
    x, y = (spectrum_of(each, 64, 16, 64) for each in (estimate, reference))
    x, y = (torch.polar(each.abs() ** 0.3, each.angle()) for each in (x, y))
    for p, wanted in ((1, (x - y).abs().mean()), (2, (x - y).abs().square().mean().sqrt())):
        torch.testing.assert_close(ComplexLoss(FRAME, p=p, floor=1e-12)(estimate, reference), wanted)
    loss = ComplexLoss(FRAME)
    assert loss(-reference, reference) > 1.9 * loss(torch.zeros_like(reference), reference)
    assert SpectralConvergenceLoss(FRAME)(-reference, reference) == 0


@pytest.mark.parametrize("padding", PADDINGS)
def test_consistency_is_zero_for_spectra_of_signals(padding):
    frame = Frame(frame_convention(padding=padding))
    loss = ConsistencyLoss(frame.convention)
    n_samples = frame.natural_samples(20)
    inner = torch.zeros(n_samples, dtype=torch.float64)
    inner[96:-96] = tones(n_samples - 192, dtype=torch.float64)  # where the windows reach
    spectrum = frame.analyse(inner)
    assert spectrum.shape[-1] == 20
    assert loss(spectrum) < 1e-12
    assert loss(spectrum.abs(), spectrum.angle()) < 1e-12
    assert 0.1 < loss(spectrum.abs(), 3 * torch.rand(33, 20, dtype=torch.float64)) < 1.2


def test_consistency_with_the_transforms_of_torch():
    window = torch.hann_window(64, dtype=torch.float64)
    spectrum = torch.randn(33, 21, dtype=torch.complex128)
    spectrum.imag[[0, -1]] = 0
    signal = torch.istft(spectrum, 64, 16, window=window)
    wanted = (spectrum - torch.stft(signal, 64, 16, window=window, return_complex=True)).norm() / spectrum.norm()
    torch.testing.assert_close(ConsistencyLoss(FRAME)(spectrum), wanted)


def test_consistency_of_a_signal_that_ends_between_frames():
    waveform = tones(409, (2,), torch.float64)
    spectrum = Frame(FRAME).analyse(waveform)
    loss = ConsistencyLoss(FRAME)
    assert loss(spectrum, length=409) < 1e-12
    assert loss(spectrum) > 1e-6
    assert loss(spectrum, length=409, lengths=[26, 26]) < 1e-12
    with pytest.raises(InputError, match="seen as 27 frames; the spectrum has 26"):
        loss(spectrum, length=416)


def garbage_after(tensor: Tensor, lengths: Tensor) -> Tensor:
    for item, length in zip(tensor, lengths, strict=True):
        item[..., length:] = math.nan
    return tensor


@each_loss
def test_padded_batches_are_their_items_weighted_by_frames(loss):
    estimate, reference = pair(items=(3,))
    lengths = torch.tensor([400, 250, 33])
    parts = loss.losses if isinstance(loss, MultiResolutionSTFTLoss) else [loss]
    wanted = 0.0
    for part in parts:
        alone = torch.stack([part(estimate[i, :n], reference[i, :n]) for i, n in enumerate(lengths)])
        frame = part.analyzer.frame if isinstance(part, MelLoss) else part.frame
        weights = torch.tensor([frame.convention.n_frames(int(n)) for n in lengths])
        wanted += (weights * alone).sum() / weights.sum() / len(parts)
    estimate, reference = garbage_after(estimate, lengths).requires_grad_(), garbage_after(reference, lengths)
    found = loss(estimate, reference, lengths=lengths)
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found, estimate)
    assert gradient.isfinite().all()
    assert not gradient[1, 250:].any()


def test_padded_spectra_are_their_items_weighted_by_frames():
    spectrum = torch.randn(3, 33, 20, dtype=torch.complex128)
    lengths = torch.tensor([20, 11, 3])
    for padding in PADDINGS:
        loss = ConsistencyLoss(frame_convention(padding=padding))
        alone = torch.stack([loss(spectrum[i, :, :n]) for i, n in enumerate(lengths)])
        padded = garbage_after(spectrum.clone(), lengths).requires_grad_()
        found = loss(padded, lengths=lengths)
        torch.testing.assert_close(found, (lengths * alone).sum() / lengths.sum())
        assert torch.autograd.grad(found, padded)[0].isfinite().all()


def test_items_without_a_frame_weigh_nothing():
    estimate, reference = pair(items=(2,))
    loss = SpectralConvergenceLoss(frame_convention(padding="none"))
    found = loss(estimate, reference, lengths=torch.tensor([400, 20]))
    torch.testing.assert_close(found, loss(estimate[0], reference[0]))
    assert loss(estimate, reference, lengths=torch.tensor([20, 20])) == 0


@each_loss
def test_gradients_are_finite_differences(loss):
    both = [each.clone().requires_grad_() for each in pair(30, (2,))]
    lengths = torch.tensor([30, 17])
    assert torch.autograd.gradcheck(lambda *waves: loss(*waves, lengths=lengths), both, eps=1e-7, atol=1e-5)
    alone = [each.detach()[0, :20].requires_grad_() for each in both]
    assert torch.autograd.gradgradcheck(loss, alone, eps=1e-7, atol=1e-4, rtol=1e-2)


def test_gradients_of_consistency_are_finite_differences():
    loss = ConsistencyLoss(SMALL)
    spectrum = torch.randn(2, 9, 6, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(loss, spectrum)
    assert torch.autograd.gradgradcheck(loss, spectrum[:1].detach().requires_grad_())
    magnitude, phase = (part.detach().requires_grad_() for part in (spectrum.abs(), spectrum.angle()))
    assert torch.autograd.gradcheck(lambda *parts: loss(*parts, lengths=torch.tensor([6, 4])), (magnitude, phase))


@pytest.mark.parametrize("scale", [0, 1e-8, 1, 1e8])
@pytest.mark.parametrize("other", [0, 1e-8, 1, 1e8])
@each_loss
def test_finite_in_silence_and_at_all_scales(loss, scale, other):
    estimate, reference = pair(200, (2,), torch.float32)
    for first, second in ((estimate, reference), (estimate, estimate)):
        first, second = (scale * first).requires_grad_(), (other * second).requires_grad_()
        found = loss(first, second)
        assert found.dtype == torch.float32
        assert found.isfinite()
        assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(found, (first, second)))


@pytest.mark.parametrize("name", ["hifigan_22k", "whisper_80"])
def test_usual_sizes_are_finite_in_silence_and_at_all_scales(name):
    estimate, reference = pair(3000, (1,), torch.float32)
    reference[..., :2000] = 0  # a pause
    for loss in (MultiResolutionSTFTLoss(), MelLoss(name), MelLoss(name, log=False, p=2), ComplexLoss(name, p=2)):
        for scale in (0, 1e-8, 1e8):
            for other in (0, 1e-8, 1e8):
                leaf = (scale * estimate).requires_grad_()
                found = loss(leaf, other * reference)
                assert found.isfinite()
                assert torch.autograd.grad(found, leaf)[0].isfinite().all()


@pytest.mark.parametrize("scale", [0, 1e-30, 1e-8, 1, 1e8])
def test_consistency_is_finite_in_silence_and_at_all_scales(scale):
    loss = ConsistencyLoss(FRAME)
    spectrum = torch.randn(2, 33, 10, dtype=torch.complex64)
    leaf = (scale * spectrum).requires_grad_()
    found = loss(leaf)
    torch.testing.assert_close(found, loss(spectrum) if scale else torch.zeros(()))
    assert torch.view_as_real(torch.autograd.grad(found, leaf)[0]).isfinite().all()
    magnitude, phase = (scale * spectrum.abs()).requires_grad_(), spectrum.angle().requires_grad_()
    assert all(each.isfinite().all() for each in torch.autograd.grad(loss(magnitude, phase), (magnitude, phase)))


def test_scales_as_each_loss_says():
    estimate, reference = pair(items=(2,))
    convergence = SpectralConvergenceLoss(FRAME)
    for scale in (1e-8, 1e8):
        single = convergence((scale * estimate).float(), (scale * reference).float())
        torch.testing.assert_close(single.double(), convergence(estimate, reference), rtol=1e-4, atol=0)
    multi = MultiResolutionSTFTLoss([(64, 16, 64)], floor=1e-9)
    torch.testing.assert_close(multi(1e-3 * estimate, 1e-3 * reference), multi(estimate, reference))
    mel = MelLoss(TINY.replace(level=Level(log="ln", floor=1e-9)))
    torch.testing.assert_close(mel(1e-3 * estimate, 1e-3 * reference), mel(estimate, reference))
    linear = MelLoss(TINY_POWER, log=False, p=2)
    torch.testing.assert_close(linear(1e-3 * estimate, 1e-3 * reference), 1e-6 * linear(estimate, reference))
    compressed = ComplexLoss(FRAME, floor=1e-12)
    torch.testing.assert_close(compressed(1e-3 * estimate, 1e-3 * reference), 1e-3**0.3 * compressed(estimate, reference))


@each_loss
def test_autocast_and_half_precision_are_computed_in_float32(loss):
    estimate, reference = pair(200, (2,), torch.float32)
    wanted = loss(estimate, reference)
    with torch.autocast("cpu", torch.bfloat16):
        leaf = estimate.clone().requires_grad_()
        found = loss(leaf, reference)
    assert torch.equal(found, wanted)
    assert torch.autograd.grad(found, leaf)[0].isfinite().all()
    half = estimate.half().requires_grad_()
    found = loss(half, reference.half())
    assert found.dtype == torch.float32
    assert abs(found - wanted) < 0.05 * wanted
    assert torch.autograd.grad(found, half)[0].isfinite().all()


@each_loss
def test_any_leading_dimensions(loss):
    estimate, reference = pair(100, (2, 3))
    wanted = torch.stack([loss(estimate[i, j], reference[i, j]) for i in range(2) for j in range(3)]).mean()
    torch.testing.assert_close(loss(estimate, reference), wanted)
    lengths = torch.full((2, 3), 100)
    torch.testing.assert_close(loss(estimate, reference, lengths=lengths), wanted)


@each_loss
def test_refusals(loss):
    estimate, reference = pair(100, (2,))
    for other in (reference[:, 1:], reference[:1], reference[0, :1], reference[None, None]):
        with pytest.raises(InputError, match=r"must be equal|must be \(…"):
            loss(estimate, other)
    with pytest.raises(InputError, match="at least one item"):
        loss(estimate[:0], reference[:0])
    with pytest.raises(InputError, match="lengths"):
        loss(estimate, reference, lengths=[100, 101])
    with pytest.raises(InputError, match="a ndarray"):
        loss(estimate, reference.numpy())


def test_refusals_of_options_and_spectra():
    assert losses is torchmelinv.losses
    for make in (lambda: MelLoss(TINY, p=3), lambda: ComplexLoss(TINY, p=0)):
        with pytest.raises(InputError, match="root mean square"):
            make()
    for resolutions in ([], [(64, 16)], ["64"], [64]):
        with pytest.raises(InputError, match="n_fft, hop_length, win_length"):
            MultiResolutionSTFTLoss(resolutions)
    with pytest.raises(InputError, match="exponent"):
        ComplexLoss(TINY, exponent=0)
    with pytest.raises(InputError, match="n_frames"):
        MelLoss(TINY)(tones(640), torch.zeros(16, 7))
    loss = ConsistencyLoss(FRAME)
    with pytest.raises(InputError, match="complex64"):
        loss(torch.zeros(33, 4))
    with pytest.raises(InputError, match="33, n_frames"):
        loss(torch.zeros(32, 4, dtype=torch.complex64))
    with pytest.raises(InputError, match="magnitude and phase"):
        loss(torch.zeros(33, 4), torch.zeros(33, 5))
