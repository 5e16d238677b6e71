"""MelFilterbank: librosa's matrix, the products with it, its rank, and what it is made from."""

from __future__ import annotations

import copy
import pickle

import librosa
import numpy as np
import pytest
import torch

from tests.problems import DEFICIENT, TINY, stft_convention
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.errors import ConventionError, EmptyFilterWarning, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.transforms.mel_filterbank import LinearMap, MelFilterbank, band_edges, mel_matrix

SIZES = [
    (22050, 1024, 80, 0, 8000),
    (24000, 1024, 100, 0, 12000),
    (16000, 400, 128, 0, 8000),
    (11025, 511, 40, 20, 5512.5),
    (44100, 2047, 128, 30, 0),
]


@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
@pytest.mark.parametrize("filter_norm", ["slaney", None])
@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
@pytest.mark.parametrize(("sample_rate", "n_fft", "n_mels", "f_min", "f_max"), SIZES)
def test_matrix_equals_librosas(sample_rate, n_fft, n_mels, f_min, f_max, mel_scale, filter_norm):
    convention = MelConvention(
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=256,
        n_mels=n_mels,
        f_min=f_min,
        f_max=f_max,
        mel_scale=mel_scale,
        filter_norm=filter_norm,
    )
    expected = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=f_min,
        fmax=f_max or None,
        htk=mel_scale == "htk",
        norm=filter_norm,
        dtype=np.float64,
    )
    assert np.abs(mel_matrix(convention).numpy() - expected).max() <= 1e-7 * expected.max()


def test_kaldi_triangles_are_straight_in_mel_and_skip_the_last_bin():
    matrix = mel_matrix(preset("kaldi_fbank"))
    assert (matrix[:, -1] == 0).all()
    # Neighboring triangles without norm add up to 1 between the outer centers.
    inside = matrix.sum(0)[4:200]
    assert ((inside - 1).abs() < 1e-9).float().mean() > 0.9


@pytest.mark.parametrize("convention", [TINY, DEFICIENT, TINY.replace(power=2)])
def test_products(convention):
    filterbank = MelFilterbank(convention)
    M = filterbank.table
    spectrum = torch.rand(2, filterbank.n_freqs, 7, dtype=torch.float64)
    mel = torch.rand(2, filterbank.n_mels, 7, dtype=torch.float64)
    torch.testing.assert_close(filterbank(spectrum), M @ spectrum)
    torch.testing.assert_close(filterbank.adjoint(mel), M.T @ mel)
    # A consistent mel is met exactly, also where the rank is deficient.
    consistent = filterbank(spectrum)
    torch.testing.assert_close(filterbank(filterbank.pinv(consistent)), consistent)


@pytest.mark.parametrize("convention", [TINY, DEFICIENT])
def test_weighted_gram_matrix_is_tridiagonal(convention):
    filterbank = MelFilterbank(convention)
    weights = torch.rand(filterbank.n_freqs, dtype=torch.float64)
    gram = filterbank.table @ weights.diag() @ filterbank.table.T
    assert filterbank.is_tridiagonal
    assert (gram.triu(2) == 0).all()


def test_rank_and_norm():
    assert MelFilterbank(preset("hifigan_22k")).rank == 80
    assert MelFilterbank(preset("whisper_80")).rank == 79
    assert MelFilterbank(preset("whisper_128")).rank == 106
    assert MelFilterbank(preset("torchaudio_melspectrogram")).rank == 107
    assert LinearMap(torch.tensor([[3.0, 0], [0, -4]])).largest_singular_value == 4


def test_many_empty_filters_give_a_warning():
    with pytest.warns(EmptyFilterWarning, match="72 of the 80 mel filters are empty") as caught:
        MelInverter(preset("hifigan_22k", f_max=100))
    assert [warning.filename for warning in caught] == [__file__]
    assert MelFilterbank(preset("torchaudio_melspectrogram")).n_empty == 4


@pytest.mark.filterwarnings("error::torchmelinv.errors.EmptyFilterWarning")
@pytest.mark.parametrize("name", preset_names())
def test_no_preset_warns_of_empty_filters(name):
    MelFilterbank(name)


def test_band_edges():
    edges = band_edges(TINY)
    assert edges.shape == (18,)
    assert edges[0] == 0
    assert torch.isclose(edges[-1], torch.tensor(4000.0, dtype=torch.float64))


def test_made_from_a_convention_a_preset_or_a_file(tmp_path):
    path = tmp_path / "convention.json"
    path.write_text(preset("hifigan_22k").to_json(), encoding="utf-8")
    expected = mel_matrix(preset("hifigan_22k"))
    for source in (preset("hifigan_22k"), "hifigan_22k", path, str(path)):
        assert torch.equal(MelFilterbank(source).table, expected)


def test_made_from_a_matrix():
    matrix = torch.rand(5, 9)
    filterbank = MelFilterbank(matrix)
    assert not filterbank.is_tridiagonal
    torch.testing.assert_close(filterbank(torch.eye(9)), matrix)
    with pytest.raises(InputError, match=r"\(…, 9, n_frames ≥ 1\)"):
        filterbank(torch.rand(5, 3))


def test_a_linear_map_may_be_negative():
    matrix = -torch.rand(5, 9)
    linear_map = LinearMap(matrix)
    torch.testing.assert_close(linear_map(torch.eye(9)), matrix)
    torch.testing.assert_close(linear_map.pinv(torch.eye(5)), torch.linalg.pinv(matrix))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (-torch.rand(5, 9), InputError, "below 0"),
        (torch.rand(9), InputError, r"must be finite .* shape \(9,\)"),
        (torch.full((5, 9), torch.nan), InputError, "must be finite"),
        (torch.zeros(0, 9), InputError, r"rows ≥ 1"),
        (torch.ones(5, 9).int(), InputError, "matrix has dtype torch.int32"),
        ("hifigan_23k", ConventionError, "did you mean 'hifigan_22k'"),
        (np.ones((5, 9)), InputError, "a MelConvention, a preset's name, .* torch.Tensor.*ndarray"),
        (None, InputError, "a MelConvention, a preset's name, .* not NoneType"),
        (stft_convention(), InputError, "a MelConvention, .* not STFTConvention"),
    ],
)
def test_invalid_sources(source, error, message):
    with pytest.raises(error, match=message):
        MelFilterbank(source)


def test_copy_and_pickle():
    filterbank = MelFilterbank(TINY)
    spectrum = torch.rand(filterbank.n_freqs, 3)
    expected = filterbank(spectrum)
    for copied in (copy.deepcopy(filterbank), pickle.loads(pickle.dumps(filterbank))):
        assert torch.equal(copied(spectrum), expected)
