"""The tables of a GPU's figures say what the file says: reached, missed, or not measured."""

from __future__ import annotations

import json
import platform
import re

import pytest

from benchmarks import common, gpu, gpu_table, gpu_targets
from benchmarks.common import check
from benchmarks.gpu_inputs import MAIN, SETTINGS


def _entry(seconds: float, **more) -> common.Record:
    return {"seconds": seconds, "seconds_per_iteration": seconds, "checks": [{"what": "x", "value": 1e-7, "at_most": 1}], **more}


@pytest.fixture
def made_up() -> common.Record:
    """A device that never was: batch 64 reached, batch 16 missed, batch 1 without the peer, a step without a time."""
    same = {"convergence_apart_db": 0.01, "log_spectral_apart_db": 0.06, "two_runs_equal": True, "alone_equal": False}
    cases = {
        f"call {MAIN} batch 64": {"torchaudio": _entry(0.060), "kernels": _entry(0.005), "kernels, graph": _entry(0.004)},
        f"call {MAIN} batch 16": {"torchaudio": _entry(0.060), "kernels": _entry(0.010), "pairs kernels": {"failed": "bad"}},
        f"call {MAIN} batch 1": {"torchaudio": {"failed": "broke"}, "kernels": _entry(0.001)},
        f"step {MAIN} batch 64": {"kernels": {"failed": "hung"}},
        f"accuracy {MAIN}": {
            "kernels": {"accuracy": {"step_error": 2e-7, **same}}, "fused kernels": {"failed": "broke", "unserved": True},
        },
        "mel batch 64": {"failed": {"failed": "time was over"}}, "mel batch 16": {"kernels, graph": _entry(0.0028)},
        f"step {MAIN} batch 16": {"kernels, graph": _entry(0.002)},
        "gradient batch 16": {"torchaudio": _entry(1.0, peak_bytes=8e9), "kernels": _entry(0.2, peak_bytes=0.5e9)},
    }  # fmt: skip
    return {
        "suite": "gpu-none", "date": "2000-01-01", "model": "A model.", "broken": {}, "running": None,
        "versions": {"torch": "0", "python": "3"}, "device": {"name": "None", "copy_bytes_per_second": 4e12, "cuda": "0"},
        "cases": {key: {"title": key, "setting": str(MAIN), "contenders": found} for key, found in cases.items()},
    }  # fmt: skip


def test_a_target_is_reached_missed_or_not_measured(made_up: common.Record):
    rows = {row.what: row for row in gpu_targets.verdict(made_up)}
    speed = {batch: rows[f"fast Griffin-Lim, {MAIN}, batch {batch}, times as fast as torchaudio"] for batch in (1, 16, 64)}
    assert (speed[64].value, speed[64].reached, speed[64].by) == (pytest.approx(12), True, "kernels")
    assert (speed[16].value, speed[16].reached) == (pytest.approx(6), False)
    assert (speed[1].value, speed[1].reached) == (None, False)
    mel = rows["mel-consistent iteration beside one of fast Griffin-Lim, batch 16"]
    assert (mel.value, mel.reached, mel.by) == (pytest.approx(1.4), True, "kernels, graph")
    assert rows["forward and backward, batch 16, times as fast as torchaudio"].value == 5
    assert rows["forward and backward, batch 16, less memory at its peak than torchaudio"].value == 16
    # of the accuracy only what misses can be said while sizes are missing
    assert rows["a step from float64, of the peak"].value is None
    assert rows["spectral convergence from float64's after 100 iterations, dB"].value is None
    assert rows["log-spectral error from float64's after 100 iterations, dB"][1:] == (0.06, "≤ 0.05", False, f"kernels, {MAIN}")
    assert rows["two runs are not bit for bit the same (1: so it is)"][1:4] == (None, "≤ 0", False)
    assert rows["an item alone is another (1: so it is)"][1:] == (1.0, "≤ 0", False, f"kernels, {MAIN}")
    unmeasured = [row for row in rows.values() if row.value is None]
    assert unmeasured
    assert not any(row.reached for row in unmeasured)


def test_accuracy_is_the_worst_of_all_that_serve(made_up: common.Record):
    good = {"step_error": 1e-7, "convergence_apart_db": 0.0, "log_spectral_apart_db": 0.0}
    good |= {"two_runs_equal": True, "alone_equal": True}
    for setting in SETTINGS:
        found = {name: {"accuracy": good} for name in gpu_targets.KERNELS}
        made_up["cases"][f"accuracy {setting}"] = {"contenders": found}
    made_up["cases"][f"accuracy {SETTINGS[3]}"]["contenders"]["fused kernels"] = {"failed": "n_fft", "unserved": True}
    assert [(row.value, row.reached) for row in gpu_targets.verdict(made_up)[-5:]] == [(1e-7, True)] + 4 * [(0.0, True)]
    worse = {**good, "step_error": float("nan"), "alone_equal": False}
    made_up["cases"][f"accuracy {MAIN}"]["contenders"]["pairs kernels"] = {"accuracy": worse}
    last = gpu_targets.verdict(made_up)[-5:]
    assert [row.reached for row in last] == [False, True, True, True, False]
    assert last[0].by == last[4].by == f"pairs kernels, {MAIN}"


def test_the_tables_of_a_made_up_device(made_up: common.Record, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_table, "RESULTS", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    assert gpu_table.render_short({}) == gpu_table.render({}) == f"{gpu_table.NOTHING}\n"
    common.save("gpu-none", made_up)
    page = gpu_table.render({})
    assert "times as fast as torchaudio | `kernels` | 12 × | ≥ 8 × | reached |" in page
    assert "| `kernels` | 6 × | ≥ 8 × | **missed** |" in page
    assert re.search(r"beside the floor of bytes \| `kernels, graph` \| not measured \| ≤ 3 × \|  \|", page)
    assert f"- call {MAIN} batch 16, pairs kernels: bad" in page
    assert f"- step {MAIN} batch 64, kernels: hung" in page
    assert "- mel batch 64, failed: time was over" in page
    assert "|  | **kernels, graph** | 4 ms | 4 ms |" in page
    assert page.endswith("2000-01-01, None (4.00 TB/s in a large copy), CUDA 0, torch 0, Python 3.\n")
    for line in page.splitlines():
        assert "pairs kernels" not in line or not re.search(r"\d (ms|µs)", line)
    short = gpu_table.render_short({})
    assert "12 ×" in short
    assert "gradient" not in short


@pytest.mark.parametrize("path", sorted(common.RESULTS.glob("gpu-*.json")), ids=lambda path: path.stem)
def test_a_result_names_nothing_private_and_every_check_holds(path):
    record = common.load(path.stem)
    assert record["suite"] == path.stem == gpu.suite_name(record["device"]["name"])
    text = json.dumps(record)
    assert platform.node() not in text.split('"')
    assert not re.search(r'"(/|[A-Z]:)', text)
    for case in record["cases"].values():
        for entry in case["contenders"].values():
            assert "seconds" not in entry or entry["checks"]
            for each in entry.get("checks", ()):
                check(**each)
