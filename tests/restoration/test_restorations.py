"""All restorations: definitions, batches, padding, gradients, extreme values and refusals."""

from __future__ import annotations

import dataclasses
import functools
import math

import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels
from torchmelinv.demo import signal
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.restoration import (
    Auto,
    Contrast,
    MatchModulationSpectrum,
    MatchVariance,
    MelRestoration,
    MelStatistics,
    Restoration,
    Sequential,
    UnsharpMask,
    contrast,
    match_modulation_spectrum,
    match_variance,
    mel_statistics,
    unsharp_mask,
)
from torchmelinv.restoration.modulation_spectrum import from_modulations, modulations
from torchmelinv.restoration.registry import RESTORATIONS, as_restoration, restore_linear_mel

NAME = "hifigan_22k"
CONVENTION = tmi.preset(NAME)


@functools.cache
def real() -> torch.Tensor:
    """Return the mel of a synthetic voice with noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2 * 22050, generator=generator)
    return tmi.MelSpectrogram(NAME)(signal(2.0, 22050) + 0.003 * noise)


@functools.cache
def smooth() -> torch.Tensor:
    return mels.degrade(real(), "blurred", CONVENTION, blur=0.8)


@functools.cache
def statistics() -> MelStatistics:
    return mel_statistics([real()], NAME)


def all_restorations() -> dict[str, Restoration]:
    return {
        "auto": Auto(),
        "contrast": Contrast(),
        "unsharp_mask": UnsharpMask(),
        "variance": MatchVariance(statistics()),
        "modulation": MatchModulationSpectrum(statistics()),
        "sequence": Sequential(UnsharpMask(0.5), Contrast(1.1)),
    }


NAMES = ("auto", "contrast", "unsharp_mask", "variance", "modulation", "sequence")


def distance(mel: torch.Tensor) -> float:
    """Return the distance of the details from those of the real mel."""
    details = [each - mels._blur(each, 2.0) for each in (mel, real())]
    return float((details[0] - details[1]).square().mean().sqrt())


@pytest.mark.parametrize("name", NAMES)
def test_a_smoothed_mel_comes_closer_to_the_real_one(name):
    restored = MelRestoration(NAME, all_restorations()[name])(smooth())
    assert restored.shape == smooth().shape
    assert distance(restored) < distance(smooth())


def test_auto_leaves_a_real_mel_as_it_is_and_undoes_a_filter():
    restore = MelRestoration(NAME)
    assert torch.equal(restore(real()), real())
    assert distance(restore(smooth())) < 0.9 * distance(smooth())


def test_contrast_is_about_the_mean_of_each_band():
    log_mel = torch.rand(3, 20, 50)
    mean = log_mel.mean(-1, keepdim=True)
    torch.testing.assert_close(contrast(log_mel, 1.3), mean + 1.3 * (log_mel - mean))
    about = torch.rand(20)
    expected = about[:, None] + 1.3 * (log_mel - about[:, None])
    torch.testing.assert_close(contrast(log_mel, 1.3, mean=about), expected)


def test_pauses_do_not_move_the_mean():
    log_mel = torch.randn(20, 50)
    silence = torch.full((20, 50), -12.0)
    with_pause = contrast(torch.cat([log_mel, silence], -1), 1.3)
    torch.testing.assert_close(with_pause[:, :50], contrast(log_mel, 1.3))


def test_the_unsharp_mask_adds_what_the_filter_takes_away():
    log_mel = torch.randn(20, 50).double()
    expected = log_mel + 0.5 * (log_mel - mels._blur(log_mel, 0.7))
    torch.testing.assert_close(unsharp_mask(log_mel, 0.5)[4:-4, 4:-4], expected[4:-4, 4:-4])
    assert torch.equal(unsharp_mask(log_mel, 0.5, sigma_bands=0.0, sigma_frames=0.0), log_mel)
    along_bands = unsharp_mask(log_mel, 0.5, sigma_frames=0.0)
    columns = [unsharp_mask(log_mel[:, i : i + 1], 0.5, sigma_frames=0.0) for i in range(50)]
    torch.testing.assert_close(along_bands, torch.cat(columns, -1))


def test_a_sound_that_starts_in_silence_does_not_start_with_a_click():
    log_mel = torch.full((80, 60), -11.5)
    log_mel[:, 30:] = 0.0
    assert float((unsharp_mask(log_mel, 2.0) - log_mel).max()) <= 1.5 + 1e-6


def test_match_variance_gives_each_band_the_deviation():
    half = 0.5 * (real() - real().mean(-1, keepdim=True)) + real().mean(-1, keepdim=True)
    matched = match_variance(half, mel_statistics([real()], NAME))
    deviation = torch.tensor(statistics().band_deviation)
    ratio = matched.std(-1, correction=0) / deviation
    assert float(ratio.median()) == pytest.approx(1, abs=0.15)
    torch.testing.assert_close(match_variance(half, statistics(), 0.0), half)
    flat = torch.zeros(80, 20)
    assert torch.equal(match_variance(flat, statistics()), flat)


def test_modulations_are_inverted_exactly():
    for n_frames in (1, 20, 200):
        log_mel = torch.randn(2, 5, n_frames).double()
        again = from_modulations(modulations(log_mel), n_frames, log_mel)
        torch.testing.assert_close(again, log_mel)


def test_match_modulation_spectrum_raises_fast_fluctuations():
    blurred = unsmoothed = mels.degrade(real(), "blurred", CONVENTION, blur=1.0)
    matched = match_modulation_spectrum(blurred, statistics())
    fast = [float(each.diff(n=2).std()) for each in (blurred, matched, real())]
    assert fast[0] < fast[1] < 1.2 * fast[2]
    again = match_modulation_spectrum(blurred, statistics(), 0.0)
    torch.testing.assert_close(again, unsmoothed, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_items_of_a_batch_are_independent_and_padding_does_not_count(name):
    restore = MelRestoration(NAME, all_restorations()[name])
    mel = torch.stack([real()[:, :100], smooth()[:, :100]])
    single = torch.stack([restore(each) for each in mel])
    torch.testing.assert_close(restore(mel), single, atol=2e-5, rtol=1e-5)
    padded = torch.nn.functional.pad(mel, (0, 40), value=3.0)
    result = restore(padded, lengths=torch.tensor([100, 100]))[..., :100]
    torch.testing.assert_close(result, single, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-11.5, -30.0, 2.0])
def test_constants_and_single_frames_stay_finite(name, value):
    restoration = all_restorations()[name]
    for shape in ((80, 1), (80, 3), (2, 80, 40)):
        linear = torch.full(shape, value).exp()
        result = restore_linear_mel(restoration, linear, None, CONVENTION)
        assert torch.isfinite(result).all()
        silent = restore_linear_mel(restoration, torch.zeros(shape), None, CONVENTION)
        assert not silent.any()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_and_pass(name):
    restoration = all_restorations()[name]
    for linear in (smooth()[:, :60].exp(), torch.rand(80, 60), torch.zeros(80, 60)):
        linear = linear.clone().requires_grad_()
        restore_linear_mel(restoration, linear, None, CONVENTION).sum().backward()
        assert linear.grad is not None
        assert torch.isfinite(linear.grad).all()
        assert bool(linear.grad.any())


def test_doubling_a_mel_doubles_the_restored_one():
    linear = smooth().exp()
    for restoration in all_restorations().values():
        once = restore_linear_mel(restoration, linear, None, CONVENTION)
        twice = restore_linear_mel(restoration, 2 * linear, None, CONVENTION)
        torch.testing.assert_close(twice, 2 * once, rtol=1e-3, atol=1e-6)


def test_values_in_any_level():
    decibels = CONVENTION.replace(
        level=tmi.Compression(log="log10", floor=1e-5, multiplier=20, shift=-4, affine=(-50, 50))
    )
    values = tmi.convert(smooth(), NAME, decibels).mel
    restored = tmi.convert(MelRestoration(decibels)(values), decibels, NAME).mel
    torch.testing.assert_close(restored, MelRestoration(NAME)(smooth()), atol=1e-3, rtol=1e-3)


def test_statistics_are_stored_and_merged(tmp_path):
    again = MelStatistics.from_json(statistics().to_json())
    assert again == statistics()
    assert repr(again) == repr(statistics())
    both = mel_statistics([real(), real()], NAME)
    assert both.n_frames == 2 * statistics().n_frames
    silent = torch.full((80, 300), -11.5)
    assert mel_statistics([real(), silent], NAME) == statistics()
    assert both.band_mean == pytest.approx(statistics().band_mean)
    assert repr(both) != repr(statistics())
    assert len(repr(tmi.MelInverter(NAME, restore=MatchVariance(both)))) < 5000


def test_refusals():
    with pytest.raises(InputError, match=r"restore is 'autp'.*did you mean 'auto'"):
        as_restoration("autp", CONVENTION)
    with pytest.raises(InputError, match="restore is 3"):
        tmi.MelInverter(NAME, restore=3)
    with pytest.raises(InputError, match="gain"):
        Contrast(-1)
    with pytest.raises(InputError, match="sigma_frames"):
        UnsharpMask(sigma_frames=math.nan)
    with pytest.raises(InputError, match="statistics has type dict"):
        MatchVariance({})
    with pytest.raises(InputError, match="the steps are"):
        Sequential()
    with pytest.raises(InputError, match="there are 0 frames that are no pauses"):
        mel_statistics([], NAME)
    with pytest.raises(InputError, match=r"mean has shape \(3,\)"):
        contrast(torch.zeros(80, 4), mean=torch.zeros(3))
    with pytest.raises(InputError, match=r"another convention: .*n_mels \(80 instead of 100\)"):
        tmi.MelInverter("vocos_24k", restore=MatchVariance(statistics()))
    with pytest.raises(ConventionError, match="band_deviation"):
        MelStatistics.from_dict({**statistics().to_dict(), "band_deviation": [1.0]})
    for rows in ([[1.0]], [1.0], [["a"]], {"a": 1}, None, "rows"):
        with pytest.raises(ConventionError, match="modulation_power"):
            MelStatistics.from_dict({**statistics().to_dict(), "modulation_power": rows})
    for field in ("band_mean", "band_deviation", "convention", "n_frames"):
        with pytest.raises(ConventionError, match=field):
            MelStatistics.from_dict({**statistics().to_dict(), field: None})
    with pytest.raises(InputError, match="NaN"):
        mel_statistics([torch.where(torch.rand(80, 90) > 0.5, real()[:, :90], math.nan)], NAME)
    with pytest.raises(InputError, match=r"must be objects of torchmelinv.restoration"):
        Sequential(UnsharpMask(), "contrast")
    with pytest.raises(InputError, match="must keep it"):
        tmi.MelInverter(NAME, restore=Shorter())(real())


@dataclasses.dataclass(frozen=True)
class Shorter(Restoration):
    def restore(self, log_mel, lengths, convention):
        return log_mel[..., 1:]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_raised_by_more_than_13_db(name):
    log_mel = torch.full((80, 120), -11.5)
    log_mel[:, 60:] = real()[:, :60]
    restoration = all_restorations()[name]
    restored = restore_linear_mel(restoration, log_mel.exp(), None, CONVENTION).log()
    assert float((restored - log_mel).max()) <= 1.5 + 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_gradients_stay_finite_beside_padding_that_overflows(name):
    mel = torch.nn.functional.pad(smooth()[None, :, :60], (0, 20), value=100.0).requires_grad_()
    restore = MelRestoration(NAME, all_restorations()[name])
    restore(mel, lengths=torch.tensor([60]))[..., :60].sum().backward()
    assert mel.grad is not None
    assert torch.isfinite(mel.grad).all()


def test_untouched_values_are_returned_bit_for_bit_with_lengths():
    mel = real()[None].clone()
    mel[0, 3, 4] = -13.0  # below the floor
    restored = MelRestoration(NAME)(mel, lengths=torch.tensor([mel.shape[-1]]))
    assert torch.equal(restored, mel)


def test_matching_a_mel_to_statistics_of_its_kind_changes_little():
    crop = real()[:, :100]
    for restoration in (MatchVariance(statistics()), MatchModulationSpectrum(statistics())):
        changed = MelRestoration(NAME, restoration)(crop) - crop
        assert float(changed.square().mean().sqrt()) < 0.25


def test_the_names_are_those_of_the_inverter():
    for name, kind in RESTORATIONS.items():
        assert type(as_restoration(name, CONVENTION)) is (kind or type(None))
        assert tmi.MelInverter(NAME, restore=name).restore == name
