"""Candidates: every preset once, model spaces where they need no statistics, best first."""

from __future__ import annotations

from tests.problems import tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset, preset_info, preset_names
from torchmelinv.identification.candidate import Candidate, preset_conventions, score_presets
from torchmelinv.identification.scoring import ValueStatistics


def test_every_preset_is_considered_once():
    conventions = preset_conventions()
    plain = [each.preset for each in conventions if not each.model_space]
    assert tuple(plain) == preset_names()
    for each in conventions:
        assert each.convention == preset(each.preset, model_space=each.model_space)
        if each.model_space:
            assert preset_info(each.preset).model_space
            assert not preset_info(each.preset).needs


def test_candidates_are_sorted_by_score():
    mel = MelSpectrogram("hifigan_22k")(0.1 * tones(22050))[None].double()
    conventions = [each for each in preset_conventions() if each.convention.n_mels == 80]
    candidates = score_presets(ValueStatistics(mel, 1e-7), conventions)
    assert len(candidates) == len(conventions)
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    same = {each.score for each in candidates if each.convention == preset("hifigan_22k")}
    assert len(same) == 1


def test_title_and_logarithm():
    def candidate(name: str, model_space: bool = False) -> Candidate:
        convention = preset(name, model_space=model_space)
        return Candidate(name, model_space, "fits", "the mel has …", 1.0, convention)

    assert candidate("matcha_ljspeech", True).title == "matcha_ljspeech (model space)"
    assert candidate("matcha_ljspeech").title == "matcha_ljspeech"
    logs = {
        "hifigan_22k": "ln",
        "melgan": "log10",
        "clap_laion_fusion": "dB",
        "librosa_melspectrogram": "linear",
        "whisper_80": "normalized",
    }
    assert {name: candidate(name).log for name in logs} == logs
