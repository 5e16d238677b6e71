"""Projections and inverses over blocks of frames are those of all frames at once."""

from __future__ import annotations

import pytest
import torch

from tests.phase.test_pieces import CONVENTIONS
from tests.problems import tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.phase import blockwise
from torchmelinv.phase.blockwise import BlockwiseProblem, inverse_in_blocks
from torchmelinv.phase.mel_target import mel_target
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MelData


@pytest.mark.parametrize("block", [1, 5, 17, 1000])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_blocks_give_the_projection_of_the_whole(name, block, monkeypatch):
    convention = CONVENTIONS[name]
    monkeypatch.setattr(blockwise, "_BLOCK_SAMPLES", convention.n_fft * block)
    analysis = MelSpectrogram(convention)
    mel = analysis.linear_mel(tones(3000, (2,), torch.float64)).mT.contiguous()
    n_samples = convention.n_samples(mel.shape[1])
    plan = analysis.stft.plan(mel.shape[1], n_samples, mel)
    data = MelData(mel, mel.new_ones(2, 1, 1), analysis.filterbank, convention)
    target = mel_target(data, 2, 1.0)
    signal = torch.randn(2, n_samples, dtype=torch.float64)
    with torch.no_grad():
        whole = PhaseProblem(target, plan).consistent_projection(signal)
        projected = BlockwiseProblem(target, plan).consistent_projection(signal)
        torch.testing.assert_close(projected, whole, atol=1e-12, rtol=1e-12)
        spectrum = plan.forward(signal)
        result = inverse_in_blocks(plan, lambda first, end: spectrum[:, first:end], signal)
        assert torch.equal(result, plan.inverse(spectrum))
