"""Means over items, batches and processes, with and without torchmetrics."""

from __future__ import annotations

import pickle
import sys

import pytest
import torch
from torch import multiprocessing

from tests.tiny import TINY
from tests.validation.batches import MELS, NOISY, WAVEFORMS, linear, reloaded
from torchmelinv import metrics, validation
from torchmelinv.analysis import MelSpectrogram


def expected_means():
    """Return the mean of the functions of `metrics`, by class and arguments."""
    mels = linear(MELS + 0.1), linear(MELS)
    spectra = [MelSpectrogram(TINY).magnitude(each) for each in (NOISY, WAVEFORMS)]
    return {
        ("MelError", TINY): metrics.mel_error_db(*mels),
        ("LogMelL1", TINY): metrics.log_mel_l1(*mels),
        ("MelCepstralDistortion", TINY): metrics.mel_cepstral_distortion_db(*mels),
        ("SpectralConvergence", TINY): metrics.spectral_convergence_db(*spectra),
        ("F0RMSE", 8000): metrics.f0_rmse_cents(NOISY, WAVEFORMS, 8000),
        ("GrossPitchError", 8000): metrics.gross_pitch_error(NOISY, WAVEFORMS, 8000),
        ("VoicingError", 8000): metrics.voicing_error(NOISY, WAVEFORMS, 8000),
    }


def pair_of(name):
    mels = name in ("MelError", "LogMelL1", "MelCepstralDistortion")
    return (MELS + 0.1, MELS) if mels else (NOISY, WAVEFORMS)


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")  # of torchmetrics
def test_the_mean_over_batches_is_that_of_the_items(module):
    for (name, argument), values in expected_means().items():
        metric = getattr(module, name)(argument)
        estimate, reference = pair_of(name)
        metric.update(estimate[:3], reference[:3])
        metric.update(estimate[3:], reference[3:])
        torch.testing.assert_close(metric.compute(), values.nanmean(), msg=name)
        of_batch = metric(estimate[:2], reference[:2])
        torch.testing.assert_close(of_batch, values[:2].nanmean(), msg=name)
        metric.reset()
        assert metric.compute().isnan()
        assert metric.higher_is_better == metrics.METRICS[metric.name].higher_is_better
        pickle.loads(pickle.dumps(metric)).update(estimate, reference)


def test_a_collection_of_torchmetrics_takes_them():
    torchmetrics = pytest.importorskip("torchmetrics")
    collection = torchmetrics.MetricCollection(
        [validation.MelError(TINY), validation.LogMelL1(TINY)]
    )
    collection.update(MELS + 0.1, MELS, lengths=torch.full((4,), MELS.shape[-1]))
    assert float(collection.compute()["LogMelL1"]) == pytest.approx(0.1, abs=1e-2)


def _run_rank(rank, size, folder, with_torchmetrics):
    """Score the share of one rank and save the mean that it computes."""
    if not with_torchmetrics:
        sys.modules["torchmetrics"] = None
    torch.set_num_threads(1)
    module = reloaded()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size
    )
    metric = module.MelError(TINY)
    for item in range(rank, len(MELS), size):
        metric.update(MELS[item] + 0.1 * item, MELS[item])
    if rank == 1:
        metric.update(MELS[0] + 1, MELS[0])  # ranks may have different numbers of items
    torch.save(metric.compute(), f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("with_torchmetrics", [True, False])
def test_two_processes_have_one_mean(tmp_path, with_torchmetrics):
    if with_torchmetrics:
        pytest.importorskip("torchmetrics")
    multiprocessing.spawn(_run_rank, (2, str(tmp_path), with_torchmetrics), nprocs=2)
    single = validation.MelError(TINY)
    for item, mel in enumerate(MELS):
        single.update(mel + 0.1 * item, mel)
    single.update(MELS[0] + 1, MELS[0])
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), single.compute())
