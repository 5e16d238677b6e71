"""MelFilterbank: librosa's table, and the laws that its relatives obey."""

from __future__ import annotations

import copy
import pickle

import librosa
import numpy as np
import pytest
import torch

from tests.problems import DEFICIENT, TINY
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.filterbank import LinearMap, MelFilterbank, band_edges, mel_matrix
from torchmelinv.presets import preset

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
def test_table_is_librosas(sample_rate, n_fft, n_mels, f_min, f_max, mel_scale, filter_norm):
    numbers = {"sample_rate": sample_rate, "n_fft": n_fft, "n_mels": n_mels, "f_min": f_min, "f_max": f_max}
    convention = MelConvention(**numbers, hop_length=256, mel_scale=mel_scale, filter_norm=filter_norm)
    options = {"sr": sample_rate, "n_fft": n_fft, "n_mels": n_mels, "fmin": f_min, "fmax": f_max or None}
    theirs = librosa.filters.mel(**options, htk=mel_scale == "htk", norm=filter_norm, dtype=np.float64)
    ours = mel_matrix(convention).numpy()
    assert np.abs(ours - theirs).max() <= 1e-7 * theirs.max()


def test_kaldi_triangles_are_straight_in_mel_and_leave_the_last_bin():
    matrix = mel_matrix(preset("kaldi_fbank"))
    assert (matrix[:, -1] == 0).all()
    inside = matrix.sum(0)[4:200]  # neighbouring triangles without norm add up to 1 between the outer centres
    assert ((inside - 1).abs() < 1e-9).float().mean() > 0.9


@pytest.mark.parametrize("convention", [TINY, DEFICIENT, TINY.replace(power=2)])
def test_relatives(convention):
    bank = MelFilterbank(convention)
    magnitude = torch.rand(2, bank.n_freqs, 7, dtype=torch.float64)
    mel = torch.rand(2, bank.n_mels, 7, dtype=torch.float64)
    torch.testing.assert_close(bank(magnitude), bank.table @ magnitude)
    torch.testing.assert_close((bank(magnitude) * mel).sum(), (magnitude * bank.adjoint(mel)).sum())
    seen = bank(magnitude)
    torch.testing.assert_close(bank(bank.pinv(seen)), seen)  # consistent mels are met exactly, also where rank is missing
    weights = torch.rand(bank.n_freqs, dtype=torch.float64)
    gram = bank.table @ weights.diag() @ bank.table.T
    assert bank.is_tridiagonal
    assert (gram.triu(2) == 0).all()


def test_rank_and_edges():
    assert MelFilterbank(preset("hifigan_22k")).rank == 80
    assert MelFilterbank(preset("whisper_80")).rank == 79
    assert MelFilterbank(preset("whisper_128")).rank == 106
    assert MelFilterbank(preset("torchaudio_melspectrogram")).rank == 107
    edges = band_edges(TINY)
    assert edges.shape == (18,)
    assert edges[0] == 0
    assert torch.isclose(edges[-1], torch.tensor(4000.0, dtype=torch.float64))


def test_any_matrix_will_do_and_bad_ones_will_not():
    matrix = torch.rand(5, 9)
    bank = MelFilterbank(matrix)
    assert not bank.is_tridiagonal
    torch.testing.assert_close(bank(torch.eye(9)), matrix)
    for wrong, words in ((-matrix, "below 0"), (matrix[0], "must be finite"), (matrix * float("nan"), "must be finite")):
        with pytest.raises(InputError, match=words):
            MelFilterbank(wrong)
    signed = LinearMap(-matrix)
    torch.testing.assert_close(signed(torch.eye(9)), -matrix)
    torch.testing.assert_close(signed.pinv(torch.eye(5)), torch.linalg.pinv(-matrix))
    with pytest.raises(InputError, match=r"\(…, 9, n_frames ≥ 1\)"):
        bank(torch.rand(5, 3))
    with pytest.raises(InputError, match="MelConvention or a matrix"):
        MelFilterbank("hifigan_22k")


def test_copies_and_pickles():
    bank = MelFilterbank(TINY)
    magnitude = torch.rand(bank.n_freqs, 3)
    expected = bank(magnitude)
    for twin in (copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        assert torch.equal(twin(magnitude), expected)
