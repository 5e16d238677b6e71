"""Rows, mels and scores of the quality benchmark, and the published joint forms."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import equal_time, hearing, mels, rows, scores
from benchmarks.joint_forms import InertialPALM, mel_distance, reconstruct_jointly
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.problem import PhaseProblem


def test_a_row_equals_its_key():
    all_rows = [*rows.all_methods(), *rows.true_magnitude(), *rows.comparison("hifigan_22k")]
    assert all(rows.parse_row(row.key) == row and row.cost > 0 for row in all_rows)
    assert len({row.key for row in rows.all_methods()}) == len(rows.all_methods())


def test_every_registered_method_has_rows():
    methods = {row.method for row in rows.all_methods()}
    assert {name.split("+")[-1] for name in methods} >= set(PHASES)
    assert {name.split("+")[0] for name in methods} >= set(MAGNITUDES)


def test_means_skip_missing_scores():
    missing = [None] * (len(scores.METRICS) - len(scores.MAIN))
    table = [
        [1.0, 0.5, -1.0, 0.0, 0.0, 3.0, *missing],
        [2.0, 0.7, -3.0, 0.0, 0.0, 1.0, *missing],
        [3.0, 0.9, -5.0, 0.0, 0.0, 1.0, *missing],
    ]
    assert scores.mean(table) == {
        "pesq_wb": 2.0,
        "estoi": pytest.approx(0.7),
        "mel_error_db": -3.0,
        "log_mel_l1": 0.0,
        "spectral_convergence_db": 0.0,
        "seconds": 1.0,
    }
    without_speech = scores.mean([[None, None, -1.0, 0.0, 0.0, 3.0, *missing]])
    assert set(without_speech) == set(scores.MAIN) - {"pesq_wb", "estoi"}


def test_between_its_times_a_method_has_the_scores_in_between():
    measured = [{"seconds": 4.0, "estoi": 0.9, "pesq_wb": 4.0}, {"seconds": 1.0, "estoi": 0.8}]
    for seconds, expected in ((0.5, 0.8), (1.0, 0.8), (2.0, 0.85), (9.0, 0.9)):
        means = equal_time.at(seconds, measured)
        assert set(means) == {"seconds", "estoi"}
        assert means["estoi"] == pytest.approx(expected)


def test_loudness_errors_are_those_of_the_band():
    voice = signal(seconds=1.0)
    assert set(hearing.loudness_errors(voice, voice, 22050).values()) == {0.0}
    time = torch.arange(len(voice)) / 22050
    errors = hearing.loudness_errors(voice + torch.cos(2 * torch.pi * 1000 * time), voice, 22050)
    assert max(errors, key=errors.__getitem__) == "loudness_700_1500"
    assert errors["loudness_700_1500"] > 10 * errors["loudness_3000_7500"]
    halved = hearing.loudness_errors(0.5 * voice, voice, 22050)
    assert all(each == pytest.approx(100 * (1 - 0.25**0.3), rel=1e-3) for each in halved.values())


def test_pitch_errors_tell_a_shift_from_an_octave_and_from_silence():
    time = torch.arange(22050) / 22050

    def voice(pitch: float) -> Tensor:
        return sum(torch.cos(2 * torch.pi * pitch * k * time) / k for k in range(1, 20))

    same = hearing.pitch_errors(voice(150), voice(150), 22050)
    assert same == {"voicing_error": 0, "gross_pitch_error": 0, "f0_error": 0}
    sharp = hearing.pitch_errors(voice(150 * 2 ** (100 / 1200)), voice(150), 22050)
    assert sharp["f0_error"] == pytest.approx(100, abs=10)  # lags are integers
    octave = hearing.pitch_errors(voice(300), voice(150), 22050)
    assert octave["gross_pitch_error"] > 95
    mute = torch.cat([voice(150)[:11025], torch.zeros(11025)])
    assert hearing.pitch_errors(mute, voice(150), 22050)["voicing_error"] == pytest.approx(
        50, abs=5
    )


def test_clips_are_evenly_spaced():
    paths = [Path(str(number)) for number in range(25)]
    assert [int(path.name) for path in mels.evenly_spaced(paths, 4)] == [3, 9, 15, 21]
    assert mels.evenly_spaced(paths[:3], 4) == paths[:3]


@pytest.mark.parametrize("name", mels.CONVENTIONS)
def test_a_degraded_mel_fits_its_convention(name: str):
    convention = mels.CONVENTIONS[name]
    mel = mels.mel_spectrogram(name)(signal(seconds=0.5, sample_rate=convention.sample_rate))
    for kind in mels.MELS:
        degraded = mels.degrade(mel, kind, convention, "clip")
        assert degraded.shape == mel.shape
        assert torch.equal(degraded, mels.degrade(mel, kind, convention, "clip"))
        assert torch.equal(degraded, mel) == (kind == "clean")
        assert tmi.MelInverter(convention, n_iter=0)(degraded).isfinite().all()
    assert not torch.equal(degraded, mels.degrade(mel, kind, convention, "another clip"))


def test_noise_is_in_nepers_of_magnitude():
    convention = mels.CONVENTIONS["power_80"]
    flat = torch.ones(convention.n_mels, 4000)
    nepers = mels.degrade(flat, "noisy", convention, "clip").log() / 2
    assert float(nepers.std()) == pytest.approx(mels.NOISE, rel=0.01)
    torch.testing.assert_close(mels.degrade(flat, "blurred", convention, "clip"), flat)


def _mel_problem(weight: float) -> tuple[PhaseProblem, Tensor, Tensor]:
    """Return the problem of a mel, and the spectrum (1, frames, n_freqs) and mel of a signal."""
    analysis = mels.mel_spectrogram("hifigan_22k")
    convention, waveform = analysis.convention, signal(seconds=0.3).double()
    waveform = waveform[: convention.n_samples(convention.n_frames(len(waveform)))]
    spectrum = analysis.stft(waveform).mT[None]
    mel = analysis.filterbank(spectrum[0].abs().mT)
    plan = analysis.stft.plan(spectrum.shape[1], len(waveform), spectrum.real)
    target = mel_distance(mel.mT[None], analysis.filterbank, weight)
    return PhaseProblem(target, plan), spectrum, mel


def test_the_published_forms_do_not_move_a_spectrum_that_has_the_mel():
    method = InertialPALM()
    problem, spectrum, _ = _mel_problem(method.weight)
    torch.testing.assert_close(problem.impose(spectrum.clone()), spectrum)
    state = method.init(problem, spectrum)
    for _ in range(3):
        state = method.step(problem, state)
    torch.testing.assert_close(state.spectrum, spectrum)
    torch.testing.assert_close(state.magnitude, spectrum.abs())


def test_the_proximal_step_is_optimal():
    problem, spectrum, mel = _mel_problem(0.05)
    table = mels.mel_spectrogram("hifigan_22k").filterbank.table
    start = spectrum.abs() * 1.3 + 0.1
    result = problem.impose(start.to(spectrum.dtype)).real
    assert (result > 0).all()  # so that the bound at 0 is not active
    sigma = torch.linalg.matrix_norm(table, 2)
    slope = result - start + 0.05 / sigma**2 * (result @ table.T - mel.T) @ table
    assert float(slope.abs().max()) < 1e-9 * float(start.max())


@pytest.mark.parametrize("name", rows.PUBLISHED)
def test_the_published_forms_come_closer_to_the_mel(name: str):
    convention = mels.CONVENTIONS["hifigan_22k"]
    analysis, waveform = mels.mel_spectrogram("hifigan_22k"), signal(seconds=0.5)
    mel = analysis.linear_mel(waveform)
    errors = [
        tmi.metrics.mel_error_db(
            analysis.linear_mel(
                reconstruct_jointly(rows.PUBLISHED[name], mel, convention, n_iter, "pghi")
            ),
            mel,
        )
        for n_iter in (0, 30)
    ]
    assert errors[1] < errors[0] - 5


def test_the_published_forms_refuse_power_mels():
    convention = mels.CONVENTIONS["power_80"]
    with pytest.raises(InputError, match="power 1"):
        reconstruct_jointly(InertialPALM(), torch.ones(80, 20), convention, 1, "zero")
