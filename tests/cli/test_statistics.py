"""`torchmelinv statistics`, and `--restore` and `--statistics` of the commands that invert."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny import QUICK, TINY, TINY_ONE, console, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.io.audio import write_audio
from torchmelinv.restoration import MelStatistics

pytestmark = pytest.mark.usefixtures("workplace")


def save(path: str = "mels/a.pt", seconds: float = 1.0) -> None:
    Path("mels").mkdir(exist_ok=True)
    torch.save(tiny_mel(seconds), path)


def test_statistics_of_a_folder_are_written_and_matched(run):
    save()
    save("mels/b.pt", 2.0)
    code, out, err = run("statistics", "mels", "-o", "real.json", *TINY_ONE)
    assert (code, err) == (0, "")
    assert out == "real.json: 2 files, 3 s of sound without pauses\n"
    statistics = MelStatistics.from_json(Path("real.json").read_text())
    assert statistics.convention == TINY
    for name in ("match_variance", "match_modulation_spectrum"):
        restore = ("--restore", name, "--statistics", "real.json")
        code, out, err = run("invert", "mels/a.pt", "-o", f"{name}.wav", *QUICK, *restore)
        assert (code, err) == (0, "")
        assert "to the restored mel" in out


def test_pictures_beside_mels_and_lists_of_archives_are_left_out(run):
    save()
    Path("mels/a.png").write_bytes(b"a plot")
    Path("mels/feats.scp").write_text("a feats.ark:2")
    code, out, err = run("statistics", "mels", "-o", "real.json", *TINY_ONE)
    assert (code, err) == (0, "")
    assert out.startswith("real.json: 1 file, 1 s of sound")


def test_a_broken_file_is_named_and_the_others_count(run):
    save()
    torch.save(torch.zeros(3, 4), "mels/b.pt")
    code, out, err = run("statistics", "mels", "-o", "real.json", *TINY_ONE)
    assert code == 1
    assert out == "real.json: 1 file, 1 s of sound without pauses\n"
    assert "mels/b.pt: the mel has 3 bands" in err


def test_nothing_to_compute_from(run):
    torch.save(torch.zeros(3, 4), "b.pt")
    code, out, err = run("statistics", "b.pt", "-o", "real.json", *TINY_ONE)
    assert (code, out) == (2, "")
    assert "there are 0 frames that are no pauses to compute statistics from" in err


def test_a_folder_without_a_file(run):
    Path("empty").mkdir()
    code, out, err = run("statistics", "empty", "-o", "real.json", *TINY_ONE)
    assert (code, out) == (2, "")
    assert "the folder empty contains no mel or audio file" in err


def test_recordings_have_the_statistics_of_their_mels(run):
    write_audio("tones/a.wav", tone(1.0), TINY.sample_rate, "FLOAT")
    save()
    for source in ("tones", "mels"):
        assert run("statistics", source, "-o", f"{source}.json", *TINY_ONE)[0] == 0
    texts = [Path(f"{source}.json").read_text() for source in ("tones", "mels")]
    first, second = map(MelStatistics.from_json, texts)
    assert first.band_mean == pytest.approx(second.band_mean, abs=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        ("--restore", "match_variance"),
        ("--statistics", "real.json"),
        ("--restore", "auto", "--statistics", "real.json"),
    ],
)
def test_statistics_and_matching_need_each_other(run, options):
    save()
    code, _, err = run("invert", "mels/a.pt", "-o", "a.wav", *QUICK, *options)
    assert code == 2
    assert "need each other" in err


def test_a_file_without_statistics(run):
    save()
    options = ("--restore", "match_variance", "--statistics", "tiny.json")
    code, _, err = run("invert", "mels/a.pt", "-o", "a.wav", *QUICK, *options)
    assert code == 2
    assert "tiny.json holds no statistics" in err


def test_restore_by_name(run):
    save()
    restored = run("invert", "mels/a.pt", "-o", "a.wav", *QUICK, "--restore", "unsharp_mask")
    exact = run("invert", "mels/a.pt", "-o", "b.wav", *QUICK)
    assert "to the restored mel" in restored[1]
    assert "to the restored mel" not in exact[1]
