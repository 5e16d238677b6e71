"""MFCCs and their inverse: equal to librosa, torchaudio, Kaldi and scipy; differentiable."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
import torch
import torchaudio

from tests.problems import TINY, TINY_LOG, tones
from torchmelinv import functional
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.conventions.librosa import from_librosa_mfcc
from torchmelinv.conventions.presets import preset
from torchmelinv.conventions.torchaudio import from_torchaudio_mfcc
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mfcc import inverse_dct, mel_to_mfcc, mfcc_to_mel

WAVE = tones(22050)
LOG = MelSpectrogram(TINY_LOG)(tones(1600, (2, 3), torch.float64))  # (2, 3, 16, n_frames)
ALL = MfccConvention(mel=TINY_LOG, n_mfcc=16)
CONVENTIONS = [
    ALL,
    ALL.replace(norm=None),
    ALL.replace(lifter=22),
    ALL.replace(norm=None, lifter=9.5, lifter_start=0),
    ALL.replace(n_mfcc=5),
    ALL.replace(n_mfcc=1),
    ALL.replace(n_mfcc=7, norm=None, lifter=22),
]


def mfcc_of(waveform: torch.Tensor, convention: MfccConvention) -> torch.Tensor:
    return mel_to_mfcc(MelSpectrogram(convention.mel)(waveform), convention)


def linear_mel_of(mfcc: torch.Tensor, convention: MfccConvention) -> torch.Tensor:
    """The linear mel of MFCCs, as librosa's `mfcc_to_mel` returns it."""
    return decompress(mfcc_to_mel(mfcc, convention), convention.mel.level)


def deviation(result: torch.Tensor, expected: Any) -> float:
    """Largest difference, relative to the expected peak."""
    expected = torch.as_tensor(expected)
    assert result.shape == expected.shape
    return float((result - expected).abs().max() / expected.abs().max())


def relative_deviation(result: torch.Tensor, expected: np.ndarray) -> float:
    """Largest relative difference of an entry."""
    return float(np.abs(result.numpy() / expected - 1).max())


LIBROSA = [
    {},
    {"n_mfcc": 13, "lifter": 22},
    {"n_mfcc": 128},
    {"n_mfcc": 13, "norm": None, "lifter": 40.5, "htk": True, "mel_norm": None},
    {
        "sr": 16000,
        "n_fft": 512,
        "hop_length": 128,
        "n_mels": 40,
        "n_mfcc": 40,
        "fmax": 7000,
        "norm": None,
        "power": 1,
    },
]


@pytest.mark.parametrize("settings", LIBROSA, ids=str)
@pytest.mark.filterwarnings("ignore:Empty filters detected")
def test_mfccs_and_their_mel_equal_librosas(settings: dict[str, Any]) -> None:
    convention = from_librosa_mfcc(**settings)
    mfcc = librosa.feature.mfcc(y=WAVE.numpy(), **settings)
    assert deviation(mfcc_of(WAVE, convention), mfcc) <= 1e-5  # rounding of float32
    options = {"n_mels": convention.mel.n_mels, "norm": convention.norm}
    expected = librosa.feature.inverse.mfcc_to_mel(
        mfcc.astype(np.float64), lifter=convention.lifter, **options
    )
    single = torch.from_numpy(mfcc)
    assert relative_deviation(linear_mel_of(single, convention), expected) <= 1e-4
    assert relative_deviation(linear_mel_of(single.double(), convention), expected) <= 1e-11


DECIBELS = [
    {"ref": 0.01},
    {"ref": -20},
    {"ref": np.max},
    {"amin": 1e-5, "top_db": None},
    {"ref": 0, "top_db": 30},
]


@pytest.mark.parametrize("options", DECIBELS, ids=str)
def test_librosas_options_of_decibels(options: dict[str, Any]) -> None:
    mel = librosa.feature.melspectrogram(y=WAVE.numpy())
    decibels = librosa.power_to_db(mel, **options)
    convention = from_librosa_mfcc(**options, n_mfcc=128)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=128)
    assert deviation(mfcc_of(WAVE, convention), mfcc) <= 1e-5
    decibels = decibels.astype(np.float64)
    mfcc = torch.from_numpy(scipy.fft.dct(decibels, axis=0, norm="ortho"))
    # librosa never divides by less than amin; ref=np.max is lost.
    reference = options.get("ref", 1.0)
    scale = 1.0 if reference is np.max else max(abs(reference), 1e-10)
    expected = librosa.db_to_power(decibels, ref=scale)
    assert relative_deviation(linear_mel_of(mfcc, convention), expected) <= 1e-10


MELS = {"n_fft": 512, "hop_length": 128, "n_mels": 40}


@pytest.mark.parametrize("log_mels", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"melkwargs": MELS},
        {"n_mfcc": 13, "norm": None, "melkwargs": {**MELS, "center": False, "power": 1.0}},
        {
            "sample_rate": 22050,
            "n_mfcc": 20,
            "melkwargs": {**MELS, "norm": "slaney", "mel_scale": "slaney", "f_min": 50.0},
        },
    ],
    ids=str,
)
def test_mfccs_equal_torchaudios(settings: dict[str, Any], log_mels: bool) -> None:
    transform = torchaudio.transforms.MFCC(**settings, log_mels=log_mels)
    convention = from_torchaudio_mfcc(transform)
    assert deviation(mfcc_of(WAVE, convention), transform(WAVE)) <= 1e-5  # its filters are float32
    assert from_torchaudio_mfcc(transform.double()) == convention


def test_mfccs_equal_kaldis_whose_lifter_starts_at_zero() -> None:
    wave = 2.0**15 * tones(8000)
    expected = torchaudio.compliance.kaldi.mfcc(wave[None], sample_frequency=16000).mT
    convention = MfccConvention(mel=preset("kaldi_fbank"), n_mfcc=13, lifter=22, lifter_start=0)
    assert deviation(mfcc_of(wave, convention), expected) <= 1e-5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_both_directions_equal_scipys_truncated_transform(
    convention: MfccConvention,
) -> None:
    n_mfcc, lifter, norm = convention.n_mfcc, np.ones(16), convention.norm
    if convention.lifter:
        order = np.arange(16) + convention.lifter_start
        lifter = 1 + convention.lifter / 2 * np.sin(np.pi * order / convention.lifter)
    expected = (lifter[:, None] * scipy.fft.dct(LOG.numpy(), axis=-2, norm=norm))[..., :n_mfcc, :]
    mfcc = mel_to_mfcc(LOG, convention)
    assert deviation(mfcc, expected) <= 1e-14
    smooth = scipy.fft.idct(expected / lifter[:n_mfcc, None], axis=-2, norm=norm, n=16)
    assert deviation(mfcc_to_mel(mfcc, convention), smooth) <= 1e-13


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_smooth_mel_has_the_same_mfccs(convention: MfccConvention) -> None:
    mfcc = mel_to_mfcc(LOG, convention)
    smooth = mfcc_to_mel(mfcc, convention)
    assert deviation(mel_to_mfcc(smooth, convention), mfcc) <= 1e-13
    if convention.n_mfcc == 16:
        assert deviation(smooth, LOG) <= 1e-13
    else:  # a projection: the rest is orthogonal to it
        assert abs(((LOG - smooth) * smooth).sum()) <= 1e-12 * LOG.square().sum()
        assert deviation(smooth, LOG) > 1e-2


def test_a_coefficient_with_lifter_weight_zero_counts_as_zero() -> None:
    convention = ALL.replace(lifter=2, n_mfcc=4)  # 1 + sin(3 π / 2) = 0
    mfcc = mel_to_mfcc(LOG, convention)
    assert (mfcc[..., 2, :] == 0).all()
    kept = mel_to_mfcc(LOG, ALL.replace(n_mfcc=4))
    kept[..., 2, :] = 0
    torch.testing.assert_close(
        mfcc_to_mel(mfcc, convention), mfcc_to_mel(kept, ALL.replace(n_mfcc=4))
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gradients_equal_finite_differences(convention: MfccConvention) -> None:
    mel = LOG[0, 0, :, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: mel_to_mfcc(m, convention), mel)
    mfcc = mel_to_mfcc(LOG[:, 0, :, :3], convention).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: mfcc_to_mel(c, convention), mfcc)


def test_silence_and_its_gradient_are_finite() -> None:
    for mel in (
        TINY_LOG,
        TINY.replace(level={"log": "ln", "offset": 1e-6}),
        from_librosa_mfcc().mel,
    ):
        convention = MfccConvention(mel=mel, n_mfcc=min(mel.n_mels, 20), lifter=22)
        wave = torch.zeros(2, 4096, requires_grad=True)
        linear = linear_mel_of(mfcc_of(wave, convention), convention)
        assert linear.max() <= 1.01e-5
        (gradient,) = torch.autograd.grad(linear.sum(), wave)
        assert gradient.isfinite().all()


def test_items_and_frames_are_independent() -> None:
    mel = LOG.float()
    convention = ALL.replace(n_mfcc=7, lifter=22)
    mfcc = mel_to_mfcc(mel, convention)
    smooth = mfcc_to_mel(mfcc, convention)
    assert mfcc.shape == (2, 3, 7, LOG.shape[-1])
    for i in range(2):
        for j in range(3):
            assert torch.equal(mel_to_mfcc(mel[i, j], convention), mfcc[i, j])
            assert torch.equal(mfcc_to_mel(mfcc[i, j], convention), smooth[i, j])
    mfcc[..., 9] = torch.nan
    assert torch.equal(mfcc_to_mel(mfcc, convention)[..., :9], smooth[..., :9])


def test_dtypes() -> None:
    mfcc = mel_to_mfcc(LOG.float(), ALL)
    assert mfcc.dtype == torch.float32
    assert deviation(mfcc.double(), mel_to_mfcc(LOG, ALL)) <= 1e-6
    for half in (torch.float16, torch.bfloat16):
        assert torch.equal(mel_to_mfcc(LOG.to(half), ALL), mel_to_mfcc(LOG.to(half).float(), ALL))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mel_to_mfcc(LOG.float(), ALL), mfcc)


def test_tables_from_inference_mode_work_with_autograd() -> None:
    convention = ALL.replace(n_mfcc=9, lifter=31)  # not used by another test
    with torch.inference_mode():
        mel_to_mfcc(LOG, convention)
    mel = LOG.clone().requires_grad_()
    mfcc_to_mel(mel_to_mfcc(mel, convention), convention).sum().backward()
    assert mel.grad is not None


def test_a_convention_may_be_a_file(tmp_path) -> None:
    path = tmp_path / "mfcc.json"
    path.write_text(CONVENTIONS[-1].to_json(), encoding="utf-8")
    expected = mel_to_mfcc(LOG, CONVENTIONS[-1])
    assert torch.equal(functional.mel_to_mfcc(LOG, str(path)), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: mel_to_mfcc(LOG[..., :8, :], ALL),
            InputError,
            "8 bands .* this convention has 16",
        ),
        (lambda: mel_to_mfcc(LOG.mT, ALL), InputError, "transposed"),
        (
            lambda: mfcc_to_mel(torch.ones(5, 13), ALL.replace(n_mfcc=13)),
            InputError,
            r"mfcc has shape \(5, 13\); it must be \(…, 13, n_frames ≥ 1\) \(it looks transposed",
        ),
        (
            lambda: mfcc_to_mel(torch.ones(13, 5), ALL),
            InputError,
            r"mfcc has shape \(13, 5\); it must be \(…, 16",
        ),
        (lambda: mfcc_to_mel(torch.ones(16, 0), ALL), InputError, "n_frames ≥ 1"),
        (
            lambda: mfcc_to_mel(torch.ones(16, 5).int(), ALL),
            InputError,
            "mfcc has dtype torch.int32",
        ),
        (lambda: mfcc_to_mel(np.ones((16, 5)), ALL), InputError, "mfcc has type ndarray"),  # type: ignore[arg-type]
        (
            lambda: functional.mfcc_to_mel(LOG, TINY_LOG),
            ConventionError,
            "need an MfccConvention .* not a MelConvention",
        ),
        (
            lambda: functional.mel_to_mfcc(LOG, "hifigan_22k"),
            ConventionError,
            "not the name 'hifigan_22k'; make one with MfccConvention",
        ),
    ],
)
def test_invalid_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_linear_mel_has_no_mfccs() -> None:
    with pytest.raises(ConventionError, match=r"mel is linear, .* level=Compression\(log="):
        MfccConvention(
            mel=MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8), n_mfcc=8
        )


@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize("dct_type", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 5, 64])
def test_inverse_dct_equals_scipys(n, dct_type, norm):
    coefficients = np.random.randn(n, 3)
    result = inverse_dct(n, dct_type, norm).numpy() @ coefficients
    expected = scipy.fft.idct(coefficients, type=dct_type, norm=norm, axis=0)
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("invalid", [(5, 4), (5, 2, "forward"), (1, 1), (0, 2), (2.5, 2)])
def test_invalid_arguments_of_inverse_dct(invalid):
    with pytest.raises(InputError):
        inverse_dct(*invalid)
