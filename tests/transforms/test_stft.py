"""STFT: forward equals torch's, inverse undoes it, for every padding, hop and batch."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from tests.problems import PADDINGS, stft_convention, tones
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.conventions.stft_convention import Padding
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.window import sumsquare_floor

GEOMETRIES = [
    (64, 16, 64),
    (64, 13, 64),
    (63, 16, 50),
    (64, 16, 40),
    (64, 64, 64),
    (64, 40, 64),
    (64, 80, 64),
]


def covered(stft: STFT, n_frames: int, n_samples: int) -> torch.Tensor:
    """Where the sum of squared windows is above its floor."""
    plan = stft.plan(n_frames, n_samples, torch.zeros(1, dtype=torch.float64))
    sumsquare = torch.where(plan.inverse_sumsquare > 0, 1 / plan.inverse_sumsquare, 0)
    floor = sumsquare_floor(plan.window, stft.convention.hop_length)
    return sumsquare > floor * sumsquare.max() * (1 + 1e-9)


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), GEOMETRIES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_inverse_undoes_forward(padding, n_fft, hop_length, win_length, dtype, tolerance):
    stft = STFT(
        stft_convention(n_fft=n_fft, hop_length=hop_length, win_length=win_length, padding=padding)
    )
    waveform = tones(501, (2, 3), dtype)
    spectrum = stft(waveform)
    result = stft.inverse(spectrum, 501)
    mask = covered(stft, spectrum.shape[-1], 501)
    assert mask.float().mean() > 0.5
    assert (result - waveform)[..., mask].abs().max() <= tolerance * waveform.abs().max()


@pytest.mark.parametrize(("n_fft", "hop_length", "win_length"), GEOMETRIES)
@pytest.mark.parametrize(
    ("padding", "pad_mode"), [("center_reflect", "reflect"), ("center_zero", "constant")]
)
def test_centered_forward_equals_torchs(padding, pad_mode, n_fft, hop_length, win_length):
    waveform = tones(501, dtype=torch.float64)
    window = torch.hann_window(win_length, dtype=torch.float64)
    stft = STFT(
        stft_convention(n_fft=n_fft, hop_length=hop_length, win_length=win_length, padding=padding)
    )
    expected = torch.stft(
        waveform, n_fft, hop_length, win_length, window, pad_mode=pad_mode, return_complex=True
    )
    torch.testing.assert_close(stft(waveform), expected)


def test_same_padding_is_reflection_then_no_padding():
    waveform = tones(512, dtype=torch.float64)
    spectrum = STFT(stft_convention(padding="same_reflect"))(waveform)
    padded = torch.nn.functional.pad(waveform[None], (24, 24), mode="reflect")[0]
    window = torch.hann_window(64, dtype=torch.float64)
    expected = torch.stft(padded, 64, 16, window=window, center=False, return_complex=True)
    torch.testing.assert_close(spectrum, expected)
    assert spectrum.shape[-1] == 512 // 16


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("n_samples", [64, 65, 100])
def test_one_frame_and_few_samples(padding, n_samples):
    stft = STFT(stft_convention(padding=padding, hop_length=128))
    spectrum = stft(tones(n_samples))
    assert spectrum.shape[-1] >= 1
    assert stft.inverse(spectrum, n_samples).isfinite().all()


def test_reflection_repeats_if_the_signal_is_shorter_than_the_padding():
    stft = STFT(stft_convention(padding="center_reflect"))
    waveform = tones(9, dtype=torch.float64)
    # One period of the reflection has 16 samples.
    reflected = torch.cat([waveform, waveform[1:-1].flip(-1)]).repeat(9)
    padded = reflected[16 * 4 - 32 :][: 9 + 64]
    expected = torch.fft.rfft(padded[:64] * torch.hann_window(64, dtype=torch.float64))
    torch.testing.assert_close(stft(waveform)[:, 0], expected)


@pytest.mark.parametrize("padding", PADDINGS)
def test_padded_items_have_the_spectra_that_they_have_alone(padding):
    stft = STFT(stft_convention(padding=padding))
    lengths = torch.tensor([300, 171, 230])
    waveforms = tones(300, (3,), torch.float64)  # samples after an item's end are ignored
    spectra = stft(waveforms, lengths=lengths)
    for waveform, length, spectrum in zip(waveforms, lengths, spectra, strict=True):
        alone = stft(waveform[:length])
        torch.testing.assert_close(spectrum[:, : alone.shape[-1]], alone)
        assert (spectrum[:, alone.shape[-1] :] == 0).all()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("drop_last_frame", [False, True])
def test_counts_of_a_batch_are_those_of_the_convention(padding, drop_last_frame):
    stft = STFT(stft_convention(padding=padding, drop_last_frame=drop_last_frame))
    numbers = torch.arange(1, 200)
    n_frames = [stft.convention.n_frames(number) for number in numbers.tolist()]
    assert stft.frame_counts(numbers).tolist() == n_frames
    n_samples = [stft.convention.n_samples(number) for number in numbers.tolist()]
    assert stft.sample_counts(numbers).tolist() == n_samples
    defaults = [stft.default_length(number) for number in numbers.tolist()]
    assert stft.default_length(numbers).tolist() == defaults


def test_the_longest_items_have_the_requested_length():
    stft = STFT(stft_convention())
    counts = torch.tensor([20, 7])
    assert stft.valid_length(counts, 304, None).tolist() == [304, 96]
    assert stft.valid_length(counts, 310, 310).tolist() == [310, 96]
    assert stft.valid_length(counts, 50, None).tolist() == [50, 50]


def test_items_have_the_requested_lengths_that_fit_their_frames():
    stft = STFT(stft_convention())
    counts, length = torch.tensor([20, 20, 7]), torch.tensor([310, 290, 100])
    assert stft.valid_length(counts, 310, length).tolist() == [310, 304, 100]


def test_pre_emphasis_is_undone_where_frames_reach():
    stft = STFT(
        stft_convention(
            padding="none",
            window="povey",
            window_align="left",
            win_length=50,
            hop_length=10,
            pre_emphasis=0.97,
        )
    )
    waveform = tones(600, dtype=torch.float64)
    waveform[:60] = 0  # samples before the first frame are unknown to the recursion
    result = stft.inverse(stft(waveform), 600)
    torch.testing.assert_close(result[100:540], waveform[100:540], atol=1e-9, rtol=0)


def test_made_from_a_convention_a_preset_or_a_file(tmp_path):
    path = tmp_path / "convention.json"
    path.write_text(preset("hifigan_22k").to_json(), encoding="utf-8")
    expected = preset("hifigan_22k").stft
    for source in (preset("hifigan_22k"), expected, "hifigan_22k", path, str(path)):
        assert STFT(source).convention == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hifigan_23k", "did you mean 'hifigan_22k'"),
        (1024, "an STFTConvention, a MelConvention, a preset's name .* not int"),
        (None, "an STFTConvention, a MelConvention, a preset's name .* not NoneType"),
    ],
)
def test_invalid_conventions(source, message):
    with pytest.raises(ConventionError, match=message):
        STFT(source)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (tones(63), "63 samples gives no frame"),
        (torch.zeros(0), "0 samples gives no frame"),
        (torch.tensor(1.0), "a single number"),
        (tones(100) + 0j, "complex64"),
        ([0.0] * 100, r"list; it must be a torch\.Tensor"),
    ],
)
def test_invalid_waveforms(waveform, message):
    with pytest.raises(InputError, match=message):
        STFT(stft_convention(padding="none"))(waveform)


@pytest.mark.parametrize(
    ("spectrum", "length", "message"),
    [
        (torch.zeros(30, 4, dtype=torch.complex64), None, r"\(…, 33, n_frames ≥ 1\)"),
        (torch.zeros(33, 0, dtype=torch.complex64), None, "n_frames ≥ 1"),
        (torch.zeros(33, 4), None, "float32; it must be complex64 or complex128"),
        ([[0j]], None, r"list; it must be a torch\.Tensor"),
        (torch.zeros(33, 4, dtype=torch.complex64), 0, "length is 0"),
        (torch.zeros(33, 4, dtype=torch.complex64), 1.5, "length is 1.5"),
    ],
)
def test_invalid_spectra(spectrum, length, message):
    with pytest.raises(InputError, match=message):
        STFT(stft_convention()).inverse(spectrum, length)


def test_stfts_of_mel_conventions_share_their_tables():
    mel = MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8)
    stft = STFT(mel)
    assert type(stft.convention) is STFTConvention
    assert stft.convention == mel.stft
    like = torch.zeros(1)
    assert stft.plan(4, 48, like) is STFT(mel.replace(n_mels=9)).plan(4, 48, like)


def test_tables_from_inference_mode_work_with_autograd():
    stft = STFT(stft_convention(hop_length=11))
    with torch.inference_mode():
        stft(tones(200))
    waveform = tones(200).requires_grad_()
    stft.inverse(stft(waveform)).square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()


@pytest.mark.parametrize("drop_last_frame", [False, True])
@pytest.mark.parametrize("padding", get_args(Padding))
@pytest.mark.parametrize(("n_fft", "win_length", "hop_length"), [(64, 48, 16), (16, 16, 40)])
def test_the_error_names_the_fewest_samples(
    padding, drop_last_frame, n_fft, win_length, hop_length
):
    convention = STFTConvention(
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        padding=padding,
        drop_last_frame=drop_last_frame,
    )
    counts = range(1, n_fft + hop_length + 1)
    fewest = next(count for count in counts if convention.n_frames(count) > 0)
    with pytest.raises(InputError, match=f"0 samples gives no frame; .* needs {fewest}$"):
        STFT(convention)(torch.zeros(0))


def test_an_empty_batch_is_refused():
    with pytest.raises(InputError, match="the waveform is empty"):
        STFT("hifigan_22k")(torch.zeros(0, 4000))
