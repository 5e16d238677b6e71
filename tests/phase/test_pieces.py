"""Long mels in pieces: the same as from all frames at once, at every end, in less memory."""

from __future__ import annotations

import types

import pytest
import torch

import torchmelinv as tmi
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.metrics import mel_error_db
from torchmelinv.phase.pieces import _pieces, can_invert, is_long
from torchmelinv.phases import ADMM, RTISILA, GriffinLim, MelConsistent, Then

KAISER = tuple(torch.kaiser_window(96, dtype=torch.float64).tolist())
CONVENTIONS = {
    "tiny": TINY,
    "log": TINY_LOG,
    "power": TINY_POWER,
    "none": TINY.replace(padding="none"),
    "odd": TINY.replace(n_fft=125, hop_length=37),
    "no_overlap": TINY.replace(hop_length=128, window=(1.0,) * 128),
    "short_window": TINY.replace(win_length=96, window=KAISER, window_align="left"),
    "drop": TINY.replace(drop_last_frame=True, pre_emphasis=0.9, remove_dc=True),
}


def mel_of(convention, n_samples=9000, items=()):
    return tmi.MelSpectrogram(convention)(tones(n_samples, items, torch.float64))


@pytest.mark.parametrize("init", ["random", "zero"])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_samples_are_those_of_all_frames_at_once(name, init, in_pieces):
    convention = CONVENTIONS[name]
    mel = mel_of(convention)
    inverter = tmi.MelInverter(convention, phase="mel_consistent", n_iter=8, init=init, check=False)
    whole = inverter(mel)
    in_pieces()
    assert is_long(convention, mel.shape[-1], mel.device)
    torch.testing.assert_close(inverter(mel), whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_with_an_estimated_phase_the_mel_is_met_as_well(name, in_pieces):
    convention = CONVENTIONS[name]
    mel = mel_of(convention)
    inverter = tmi.MelInverter(convention, phase="mel_consistent", n_iter=16, check=False)
    analysis = tmi.MelSpectrogram(convention)

    def error() -> float:
        estimate, reference = analysis.linear_mel(inverter(mel)), inverter.to_linear_mel(mel)
        n_frames = min(estimate.shape[-1], reference.shape[-1])
        return float(mel_error_db(estimate[..., :n_frames], reference[..., :n_frames]))

    whole = error()
    in_pieces()
    assert error() < whole + 1.5


def test_coarse_to_fine_is_at_the_full_rate_in_pieces(in_pieces):
    mel = mel_of(TINY)
    in_pieces()
    waveforms = [
        tmi.MelInverter(TINY, phase=phase, n_iter=8)(mel)
        for phase in ("coarse_to_fine", "mel_consistent")
    ]
    assert torch.equal(*waveforms)


def test_silence_and_single_frames(in_pieces):
    in_pieces()
    inverter = tmi.MelInverter(TINY, n_iter=2)
    assert not inverter(torch.zeros(16, 300)).any()
    for n_frames in (1, 2, 20):
        assert torch.isfinite(inverter(torch.rand(16, n_frames))).all()


def test_a_device_inverts_in_pieces_only_what_half_of_it_cannot_hold(monkeypatch):
    properties = types.SimpleNamespace(total_memory=2**37)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    hifigan, cpu, cuda = tmi.preset("hifigan_22k"), torch.device("cpu"), torch.device("cuda")
    minute, hour = 5_168, 310_078
    assert [is_long(hifigan, n_frames, cpu) for n_frames in (minute, 2 * minute)] == [False, True]
    assert [is_long(hifigan, n_frames, cuda) for n_frames in (2 * minute, hour)] == [False, False]
    assert is_long(hifigan, 2 * hour, cuda)


def test_pieces_meet_in_quiet_frames():
    level = torch.ones(1000)
    level[[80, 190, 550]] = 0
    bounds = _pieces(level, 100)
    assert bounds[0] == (0, 80)
    assert [end for _, end in bounds[:-1]] == [start for start, _ in bounds[1:]]
    assert (80, 180) not in bounds
    assert bounds[-1][1] == 1000
    assert all(1 <= end - start <= 100 for start, end in bounds)


def test_which_methods_can():
    assert can_invert(MelConsistent(), "pghi", 32)
    assert can_invert(MelConsistent(GriffinLim()), "random", 0)
    for method in (MelConsistent(ADMM()), MelConsistent(RTISILA()), GriffinLim()):
        assert not can_invert(method, "pghi", 32)
    assert not can_invert(MelConsistent(Then(GriffinLim(), GriffinLim(0.9), after=0.5)), "pghi", 32)
    assert not can_invert(MelConsistent(), "spsi", 32)


def test_gradients_and_diagnostics_use_all_frames_at_once(in_pieces):
    mel = mel_of(TINY, 2000)
    inverter = tmi.MelInverter(TINY, n_iter=2, restore="none")
    expected = inverter(mel)
    in_pieces()
    torch.testing.assert_close(inverter.solve(mel).waveform, expected)
    gradient = mel.clone().requires_grad_()
    torch.testing.assert_close(inverter(gradient), expected)
