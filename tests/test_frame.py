"""Frame: analysis is torch's, synthesis its inverse, for every padding and hop; one frame; items of their own length."""

from __future__ import annotations

import pytest
import torch

from tests.problems import PADDINGS, frame_convention, tones
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import ENVELOPE_FLOOR, Frame, de_emphasise, ragged_plan

GEOMETRIES = [(64, 16, 64), (64, 13, 64), (63, 16, 50), (64, 16, 40), (64, 64, 64), (64, 40, 64), (64, 80, 64)]


def covered(frame: Frame, n_frames: int, n_samples: int) -> torch.Tensor:
    """Where the summed squared window exceeds 1 % of its maximum."""
    plan = frame.plan(n_frames, n_samples, torch.zeros(1, dtype=torch.float64))
    envelope = torch.where(plan.inverse_envelope > 0, 1 / plan.inverse_envelope, 0)
    return envelope > ENVELOPE_FLOOR * envelope.max() * (1 + 1e-9)


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), GEOMETRIES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_synthesis_undoes_analysis(padding, n_fft, hop_length, win_length, dtype, tolerance):
    frame = Frame(frame_convention(n_fft=n_fft, hop_length=hop_length, win_length=win_length, padding=padding))
    waveform = tones(501, (2, 3), dtype)
    spectrum = frame.analyse(waveform)
    back = frame.synthesise(spectrum, 501)
    where = covered(frame, spectrum.shape[-1], 501)
    assert where.float().mean() > 0.5
    assert (back - waveform)[..., where].abs().max() <= tolerance * waveform.abs().max()


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), GEOMETRIES)
@pytest.mark.parametrize(("padding", "pad_mode"), [("center_reflect", "reflect"), ("center_zero", "constant")])
def test_centred_analysis_is_torchs(padding, pad_mode, n_fft, hop_length, win_length):
    waveform = tones(501, dtype=torch.float64)
    window = torch.hann_window(win_length, dtype=torch.float64)
    ours = Frame(frame_convention(n_fft=n_fft, hop_length=hop_length, win_length=win_length, padding=padding)).analyse(waveform)
    theirs = torch.stft(waveform, n_fft, hop_length, win_length, window, pad_mode=pad_mode, return_complex=True)
    torch.testing.assert_close(ours, theirs)


def test_same_padding_is_reflection_then_no_padding():
    waveform = tones(512, dtype=torch.float64)
    ours = Frame(frame_convention(padding="same_reflect")).analyse(waveform)
    padded = torch.nn.functional.pad(waveform[None], (24, 24), mode="reflect")[0]
    theirs = torch.stft(padded, 64, 16, window=torch.hann_window(64, dtype=torch.float64), center=False, return_complex=True)
    torch.testing.assert_close(ours, theirs)
    assert ours.shape[-1] == 512 // 16


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("n_samples", [64, 65, 100])
def test_one_frame_and_few_samples(padding, n_samples):
    frame = Frame(frame_convention(padding=padding, hop_length=128))
    spectrum = frame.analyse(tones(n_samples))
    assert spectrum.shape[-1] >= 1
    assert frame.synthesise(spectrum, n_samples).isfinite().all()


def test_reflection_goes_on_where_the_signal_is_shorter_than_the_padding():
    frame = Frame(frame_convention(padding="center_reflect"))
    waveform = tones(9, dtype=torch.float64)
    mirrored = torch.cat([waveform, waveform[1:-1].flip(-1)]).repeat(9)  # one period of the reflection, repeated
    around = mirrored[16 * 4 - 32 :][: 9 + 64]  # 16 samples a period
    expected = torch.fft.rfft(around[:64] * torch.hann_window(64, dtype=torch.float64))
    torch.testing.assert_close(frame.analyse(waveform)[:, 0], expected)


def test_a_waveform_too_short_for_one_frame_is_refused():
    with pytest.raises(InputError, match="63 samples gives no frame"):
        Frame(frame_convention(padding="none")).analyse(tones(63))
    with pytest.raises(InputError, match="n_frames ≥ 1"):
        Frame(frame_convention()).synthesise(torch.zeros(30, 4, dtype=torch.complex64))


@pytest.mark.parametrize("padding", PADDINGS)
def test_padded_items_are_seen_as_if_alone(padding):
    frame = Frame(frame_convention(padding=padding))
    lengths = torch.tensor([300, 171, 230])
    waveforms = tones(300, (3,), torch.float64)
    spectra = frame.analyse(waveforms, lengths)  # what stands after an item's end is ignored
    for waveform, length, spectrum in zip(waveforms, lengths, spectra, strict=True):
        alone = frame.analyse(waveform[:length])
        torch.testing.assert_close(spectrum[:, : alone.shape[-1]], alone)
        assert (spectrum[:, alone.shape[-1] :] == 0).all()


@pytest.mark.parametrize("padding", PADDINGS)
def test_ragged_plan_synthesises_each_item_as_if_alone(padding):
    frame = Frame(frame_convention(padding=padding))
    counts = torch.tensor([12, 7])
    samples = frame.natural_samples(counts)
    rows = torch.randn(2, 12, 33, dtype=torch.complex128)
    rows[1, 7:] = 0
    plan = frame.plan(12, int(samples[0]), rows.real)
    together = ragged_plan(counts, samples, plan).synthesise(rows)
    for i, count in enumerate(counts.tolist()):
        n_samples = frame.natural_samples(count)
        alone = frame.plan(count, n_samples, rows.real).synthesise(rows[i : i + 1, :count])[0]
        torch.testing.assert_close(together[i, :n_samples], alone)
        assert (together[i, n_samples:] == 0).all()


@pytest.mark.parametrize("n_samples", [1, 2, 1000, 5000])
def test_de_emphasis_undoes_pre_emphasis(n_samples):
    waveform = tones(n_samples, (2,), torch.float64)
    emphasised = waveform - 0.97 * torch.nn.functional.pad(waveform, (1, 0))[..., :-1]
    torch.testing.assert_close(de_emphasise(emphasised, 0.97), waveform)


def test_pre_emphasis_is_undone_where_frames_reach():
    kaldi = {"padding": "none", "window": "povey", "window_align": "left", "win_length": 50, "hop_length": 10}
    frame = Frame(frame_convention(pre_emphasis=0.97, **kaldi))
    waveform = tones(600, dtype=torch.float64)
    waveform[:60] = 0  # the recursion cannot know what came before the first frame
    back = frame.synthesise(frame.analyse(waveform), 600)
    torch.testing.assert_close(back[100:540], waveform[100:540], atol=1e-9, rtol=0)


def test_frames_of_a_mel_convention_share_their_tables():
    mel = MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8)
    frame = Frame(mel)
    assert type(frame.convention) is FrameConvention
    assert frame.convention == mel.frame
    like = torch.zeros(1)
    assert frame.plan(4, 48, like) is Frame(mel.replace(n_mels=9)).plan(4, 48, like)


def test_tables_made_under_inference_mode_serve_autograd():
    frame = Frame(frame_convention(hop_length=11))
    with torch.inference_mode():
        frame.analyse(tones(200))
    waveform = tones(200).requires_grad_()
    frame.synthesise(frame.analyse(waveform)).square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()


@pytest.mark.parametrize("n_fft", [64, 63])
@pytest.mark.parametrize("padding", PADDINGS)
def test_adjoints(padding, n_fft):
    """⟨A x, c⟩ = ⟨x, Aᵀ c⟩ and ⟨S c, x⟩ = ⟨c, Sᵀ x⟩, real and imaginary parts counted as numbers of their own."""
    plan = Frame(frame_convention(n_fft=n_fft, win_length=60, padding=padding)).plan(21, 320, tones(1, dtype=torch.float64))
    ragged = ragged_plan(torch.tensor([21, 9]), torch.tensor([320, 128]), plan)
    for each in (plan, ragged):
        signal = tones(320, (2,), torch.float64)
        spectrum = torch.randn(2, 21, n_fft // 2 + 1, dtype=torch.complex128)
        spectrum.imag[..., 0] = 0  # no signal has these, and a transform back does not see them
        if n_fft % 2 == 0:
            spectrum.imag[..., -1] = 0

        def product(one, other):
            return (one.conj() * other).real.sum()

        expected = product(each.analyse(signal), spectrum)
        torch.testing.assert_close(product(signal, each.adjoint_of_analysis(spectrum.clone())), expected)
        expected = product(each.synthesise(spectrum), signal)
        torch.testing.assert_close(product(spectrum, each.adjoint_of_synthesis(signal)), expected)
