"""Statistics of bands in the files of other projects; pickles are refused with advice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.statistics_files import read_band_statistics

FRAMES = np.random.default_rng(0).normal(-4, 2, (500, 8))
MEAN, SCALE = FRAMES.mean(0), FRAMES.std(0)


def check(path):
    mean, scale = read_band_statistics(path)
    assert np.allclose(mean, MEAN, atol=1e-6)
    assert np.allclose(scale, SCALE, atol=1e-6)


def test_parallel_wavegan(tmp_path):
    """As `parallel_wavegan.bin.compute_statistics` writes them."""
    np.save(tmp_path / "stats.npy", np.stack([MEAN, SCALE]))
    check(tmp_path / "stats.npy")
    with pytest.importorskip("h5py").File(tmp_path / "stats.h5", "w") as file:
        file["mean"], file["scale"] = MEAN.astype("f4"), SCALE.astype("f4")
    check(tmp_path / "stats.h5")


@pytest.mark.slow  # the import of scikit-learn takes long
def test_scikit_learn(tmp_path):
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler().fit(FRAMES)
    np.save(tmp_path / "stats.npy", np.stack([scaler.mean_, scaler.scale_]))
    check(tmp_path / "stats.npy")
    pytest.importorskip("joblib").dump(scaler, tmp_path / "scaler.joblib")
    with pytest.raises(FileError, match=r"is a pickle, .*np\.stack\(\[scaler\.mean_"):
        read_band_statistics(tmp_path / "scaler.joblib")


def test_espnet(tmp_path):
    """As `espnet2.bin.aggregate_stats_dirs` writes them."""
    total, squares = FRAMES.sum(0), (FRAMES**2).sum(0)
    np.savez(tmp_path / "a.npz", count=np.array(len(FRAMES)), sum=total, sum_square=squares)
    check(tmp_path / "a.npz")


def test_other_names(tmp_path):
    np.savez(tmp_path / "a.npz", mean=MEAN[:, None], std=SCALE[None])
    torch.save({"stats": {"mean": torch.tensor(MEAN), "var": SCALE**2}}, tmp_path / "a.pt")
    check(tmp_path / "a.npz")
    check(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": MEAN}, r"holds mean \(8,\); it must hold mean and scale"),
        ({"mean": MEAN, "scale": SCALE[:3]}, "must be"),
        ({"mean": FRAMES, "scale": FRAMES}, "must be"),
        ({"a": FRAMES}, "one array"),
        ({}, "holds nothing"),
        ({str(n): MEAN for n in range(100)}, "holds 100 arrays"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(FileError, match=message):
        read_band_statistics(tmp_path / "a.npz")
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileError, match=r"ends in '\.txt'"):
        read_band_statistics(tmp_path / "a.txt")
