"""Rows of tables become what single mels and pairs become, with errors in their own rows."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from tests.shared import ROOT
from tests.tiny import TINY, stereo, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus import EvaluateBatch, InvertBatch, evaluate, pair_files, table_batches
from torchmelinv.corpus.output_level import default_level
from torchmelinv.errors import ConventionError, DiskError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.metrics.glossary import METRICS

pytestmark = pytest.mark.usefixtures("workplace")
INVERTER = MelInverter(TINY, n_iter=2)
MELS = [tiny_mel(0.05 * (1 + index), seed=index) for index in range(3)]
WAVEFORMS = [INVERTER(mel).numpy() for mel in MELS]


def paths() -> list[str]:
    """Save the mels and return their paths."""
    for index, mel in enumerate(MELS):
        np.save(f"{index}.npy", mel.numpy())
    return [f"{index}.npy" for index in range(len(MELS))]


def ragged(arrays):
    """Return an array of arrays, as Ray makes of mels of different lengths."""
    column = np.empty(len(arrays), object)
    column[:] = arrays
    column.flags.writeable = False
    return column


@pytest.mark.parametrize(
    "column",
    [
        lambda: [mel.numpy() for mel in MELS],
        lambda: [mel.tolist() for mel in MELS],
        lambda: MELS,
        lambda: ragged([mel.double().numpy() for mel in MELS]),
        paths,
        lambda: np.array(paths()),
    ],
    ids=["arrays", "lists", "tensors", "ragged float64", "paths", "array of paths"],
)
def test_waveforms_are_bit_for_bit_those_of_single_mels(column):
    invert = pickle.loads(pickle.dumps(InvertBatch(INVERTER, batch=2)))
    rows = invert({"mel": column(), "speaker": ["a", "b", "c"]})
    assert rows["speaker"] == ["a", "b", "c"]
    for waveform, expected in zip(rows["waveform"], WAVEFORMS, strict=True):
        assert np.array_equal(waveform, expected)
    assert all(error < -3 for error in rows["mel_error_db"])
    assert rows["error"] == ["", "", ""]


def test_channels_are_one_row():
    mel = MelSpectrogram(TINY)(stereo(0.05))
    together = MelInverter(TINY, n_iter=2, channels=True)
    (waveform,) = InvertBatch(together)({"mel": [mel.numpy()]})["waveform"]
    assert np.array_equal(waveform, together(mel).numpy())
    (error,) = InvertBatch(INVERTER)({"mel": [mel.numpy()]})["error"]
    assert "the row holds 2 mels" in error
    assert "channels=True" in error


def test_an_error_affects_its_row_alone():
    mels = [MELS[0].numpy(), "absent.npy", [["a"]], None, MELS[1].numpy()[:3], MELS[1].numpy()]
    rows = InvertBatch(INVERTER)({"mel": mels})
    assert [bool(error) for error in rows["error"]] == [False, True, True, True, True, False]
    assert [len(waveform) > 0 for waveform in rows["waveform"]] == [not e for e in rows["error"]]
    assert [math.isnan(value) for value in rows["mel_error_db"]] == list(map(bool, rows["error"]))
    assert np.array_equal(rows["waveform"][-1], WAVEFORMS[1])
    assert "no array of numbers" in rows["error"][2]


def test_files_are_written_below_a_folder():
    names = ["a", "speaker.1/b", "../c", "/d", ""]
    mels = [mel.numpy() for mel in (*MELS, *MELS[:2])]
    invert = InvertBatch(INVERTER, out="out", name="id", subtype="FLOAT")
    rows = invert({"id": names, "mel": mels})
    assert rows["output"] == [str(Path("out/a.wav")), str(Path("out/speaker.1/b.wav")), "", "", ""]
    assert all("not that of a file below" in error for error in rows["error"][2:])
    assert "waveform" not in rows
    for path, waveform in zip(rows["output"][:2], WAVEFORMS, strict=False):
        assert np.array_equal(read_audio(path)[0][0].numpy(), waveform)
    assert len(list(Path().rglob("*.wav"))) == 3  # with speech.wav


def test_files_of_mels_without_a_level_can_be_heard():
    convention = dataclasses.replace(
        TINY, level=dataclasses.replace(TINY.level, reference_max=True)
    )
    inverter = MelInverter(convention, n_iter=2)
    mel = MelSpectrogram(convention)(tone())
    rows = InvertBatch(inverter, out="out")({"name": ["a"], "mel": [mel]})
    written, _ = read_audio(rows["output"][0])
    expected = inverter(mel)
    expected = expected * default_level(convention).gain(expected, TINY.sample_rate)
    torch.testing.assert_close(written[0], expected, atol=2**-15, rtol=0)


def test_a_file_that_cannot_be_written_is_an_error_of_its_row():
    names = ["a" * 300, "speech.wav/b", "a\0b", "good"]
    mels = [mel.numpy() for mel in (*MELS, *MELS)][: len(names)]
    rows = InvertBatch(INVERTER, out=".")({"name": names, "mel": mels})
    assert list(map(bool, rows["error"])) == [True, True, True, False]
    assert rows["output"][3] == "good.wav"


def test_mistakes_of_the_caller_are_raised():
    with pytest.raises(InputError, match=r"no column 'mel'; it has 'mels'"):
        InvertBatch(INVERTER)({"mels": []})
    with pytest.raises(InputError, match=r"2 rows have the name 'x' in the column 'name'"):
        InvertBatch(INVERTER, out="out")({"name": ["x", "x"], "mel": MELS[:2]})
    with pytest.raises(InputError, match=r"InvertBatch has no option 'output'; .* 'out'"):
        InvertBatch(INVERTER, output="out")
    with pytest.raises(InputError, match="the inverter is 'hifigan_22k'; it must be a MelInverter"):
        InvertBatch("hifigan_22k")
    with pytest.raises(InputError, match="devise"):
        InvertBatch(INVERTER, devise="cpu")
    with pytest.raises(InputError, match="PCM_8"):
        InvertBatch(INVERTER, out="out", subtype="PCM_8")
    with pytest.raises(ConventionError):
        EvaluateBatch("no such preset")
    with pytest.raises(InputError, match="batch"):
        EvaluateBatch(TINY, perceptual=False, batch=0)


def test_a_full_disk_ends_the_job(monkeypatch):
    def fail(*_):
        raise DiskError("the disk is full")

    monkeypatch.setattr(table_batches, "write_audio", fail)
    with pytest.raises(DiskError):
        InvertBatch(INVERTER, out="out")({"name": ["a"], "mel": MELS[:1]})


def test_scores_are_those_of_evaluate():
    for side, gain in (("generated", 0.9), ("reference", 1.0)):
        Path(side).mkdir()
        for index in range(2):
            write_audio(f"{side}/{index}.wav", gain * tone(0.2, index), TINY.sample_rate, "FLOAT")
    pairs = pair_files("generated", "reference")
    columns = {
        side: [str(getattr(pair, side)) for pair in pairs] for side in ("generated", "reference")
    }
    score = pickle.loads(pickle.dumps(EvaluateBatch(TINY, perceptual=False)))
    rows = score({side: [*column, ""] for side, column in columns.items()})
    for index, scored in enumerate(evaluate(pairs, TINY, perceptual=False)):
        for name in METRICS:
            value = scored.scores.get(name, math.nan)
            assert rows[name][index] == pytest.approx(value, nan_ok=True, abs=0)
    assert rows["error"] == ["", "", "the row has no path of one of its files"]


def test_map_of_datasets():
    table = datasets.Dataset.from_dict({"id": list("abc"), "mel": [mel.tolist() for mel in MELS]})
    datasets.disable_progress_bars()
    rows = table.map(InvertBatch(INVERTER), batched=True, batch_size=2)
    for waveform, expected in zip(rows.with_format("numpy")["waveform"], WAVEFORMS, strict=True):
        assert np.array_equal(waveform, expected)
    assert rows["error"][:] == ["", "", ""]


@pytest.mark.slow
def test_ray_loses_a_node_and_no_row(tmp_path):
    """Two nodes on the loopback interface; one is killed while it inverts."""
    (tmp_path / "mels").mkdir()
    for index in range(24):
        np.save(tmp_path / f"mels/{index:02}.npy", tiny_mel(0.05 + 0.01 * index, index).numpy())
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",  # another number of threads rounds otherwise
        # Ray then keeps to 127.0.0.1, as it does by default on macOS and Windows.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    job = subprocess.run(
        [sys.executable, "-m", "tests.corpus.ray_job", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    lines = job.stdout.splitlines()  # Ray may print more after the report
    report = json.loads([line for line in lines if line.startswith("{")][-1])
    assert set(report["addresses"]) == {"127.0.0.1"}
    names = [f"{index:02}" for index in range(24)]
    assert sorted(row["name"] for row in report["rows"]) == names
    assert [row["error"] for row in report["rows"]] == [""] * 24
    # What the killed node had begun, another one did.
    lost = set(report["begun"][report["killed"]]) - {
        row["name"] for row in report["rows"] if row["node"] == report["killed"]
    }
    assert lost
    single = InvertBatch(MelInverter(TINY, n_iter=2), out=tmp_path / "single")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        single({"name": names, "mel": [str(tmp_path / f"mels/{name}.npy") for name in names]})
    finally:
        torch.set_num_threads(n_threads)
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "single").iterdir()}
