"""The GPU tables show what the file contains: reached, not reached, or not measured."""

from __future__ import annotations

import json
import platform
import re

import pytest

from benchmarks import gpu, gpu_doctor_table, gpu_table, gpu_targets, records
from benchmarks.gpu_inputs import MAIN, SETTINGS
from benchmarks.records import Record, check


def _entry(seconds: float, **fields) -> Record:
    checks = [{"what": "x", "value": 1e-7, "at_most": 1}]
    return {"seconds": seconds, "seconds_per_iteration": seconds, "checks": checks, **fields}


@pytest.fixture
def made_up() -> Record:
    """Return a record in which batch 64 is reached and batch 16 is not.

    Batch 1 has no peer, and a step has no time.
    """
    accuracy = {
        "step_error": 2e-7,
        "convergence_error_db": 0.01,
        "log_spectral_error_db": 0.06,
        "reproducible": True,
        "batch_independent": False,
    }
    cases = {
        f"call {MAIN} batch 64": {
            "torchaudio": _entry(0.060),
            "kernels": _entry(0.005),
            "kernels, graph": _entry(0.004),
        },
        f"call {MAIN} batch 16": {
            "torchaudio": _entry(0.060),
            "kernels": _entry(0.010),
            "pairs kernels": {"failed": "bad"},
        },
        f"call {MAIN} batch 1": {"torchaudio": {"failed": "broke"}, "kernels": _entry(0.001)},
        f"step {MAIN} batch 64": {"kernels": {"failed": "hung"}},
        f"accuracy {MAIN}": {
            "kernels": {"accuracy": accuracy},
            "fused kernels": {"failed": "broke", "unsupported": True},
        },
        "mel batch 64": {"plain torch": {"failed": "out of time"}},
        "mel batch 16": {"kernels, graph": _entry(0.0028)},
        f"step {MAIN} batch 16": {"kernels, graph": _entry(0.002)},
        "corpus": {
            "kernels": {
                "corpus": {
                    "audio_seconds_per_second": 1234.5,
                    "busy": 0.876,
                    "peak_bytes": 2**30,
                    "mel_error_db": -40.04,
                }
            },
        },
        "push batch 1": {
            "plain torch": {
                "push": {
                    "seconds": 0.004,
                    "seconds_of_95_percent": 0.005,
                    "times_real_time": 2.9,
                }
            }
        },
        "launches": {"entropic": {"launches": {"launches": 245, "waits": 0}}},
        "gradient batch 16": {
            "torchaudio": _entry(1.0, peak_bytes=8e9),
            "kernels": _entry(0.2, peak_bytes=0.5e9),
        },
    }
    return {
        "suite": "gpu-none",
        "date": "2000-01-01",
        "model": "A model.",
        "broken": {},
        "running": None,
        "versions": {"torch": "0", "python": "3"},
        "device": {"name": "None", "copy_bytes_per_second": 4e12, "cuda": "0"},
        "cases": {
            key: {"title": key, "setting": str(MAIN), "implementations": entries}
            for key, entries in cases.items()
        },
    }


def test_a_target_is_reached_or_not_or_not_measured(made_up: Record):
    targets = {target.what: target for target in gpu_targets.evaluate(made_up)}

    def speed(batch: int) -> gpu_targets.Target:
        return targets[f"fast Griffin-Lim, {MAIN}, batch {batch}: speed relative to torchaudio"]

    reached = (speed(64).value, speed(64).reached, speed(64).implementation)
    assert reached == (pytest.approx(12), True, "kernels")
    assert (speed(16).value, speed(16).reached) == (pytest.approx(6), False)
    assert (speed(1).value, speed(1).reached) == (None, False)
    mel = targets["mel-consistent iteration, batch 16: time relative to fast Griffin-Lim"]
    assert (mel.value, mel.reached) == (pytest.approx(1.4), True)
    assert mel.implementation == "kernels, graph"
    gradient = "forward and backward, batch 16"
    assert targets[f"{gradient}: speed relative to torchaudio"].value == 5
    assert targets[f"{gradient}: torchaudio's peak memory relative to ours"].value == 16
    # while settings are missing, targets of accuracy can only be missed
    after = "minus float64's after 100 iterations, dB"
    assert targets["error of a step, relative to the peak"].value is None
    assert targets[f"spectral convergence {after}"].value is None
    distance = targets[f"log-spectral distance {after}"]
    assert distance[1:] == (0.06, "≤ 0.05", False, f"kernels, {MAIN}")
    assert targets["not reproducible bit for bit (1: yes)"][1:4] == (None, "≤ 0", False)
    depends = targets["an item depends on its batch (1: yes)"]
    assert depends[1:] == (1.0, "≤ 0", False, f"kernels, {MAIN}")
    unmeasured = [target for target in targets.values() if target.value is None]
    assert unmeasured
    assert not any(target.reached for target in unmeasured)


def test_accuracy_is_the_worst_of_all_that_are_supported(made_up: Record):
    good = {
        "step_error": 1e-7,
        "convergence_error_db": 0.0,
        "log_spectral_error_db": 0.0,
        "reproducible": True,
        "batch_independent": True,
    }
    cases = made_up["cases"]
    for setting in SETTINGS:
        entries = {name: {"accuracy": good} for name in gpu_targets.KERNEL_IMPLEMENTATIONS}
        cases[f"accuracy {setting}"] = {"implementations": entries}
    unsupported = {"failed": "n_fft", "unsupported": True}
    cases[f"accuracy {SETTINGS[3]}"]["implementations"]["fused kernels"] = unsupported
    last = gpu_targets.evaluate(made_up)[-5:]
    assert [target.value for target in last] == [1e-7, 0, 0, 0, 0]
    assert all(target.reached for target in last)

    worse = {**good, "step_error": float("nan"), "batch_independent": False}
    cases[f"accuracy {MAIN}"]["implementations"]["pairs kernels"] = {"accuracy": worse}
    last = gpu_targets.evaluate(made_up)[-5:]
    assert [target.reached for target in last] == [False, True, True, True, False]
    assert last[0].implementation == last[4].implementation == f"pairs kernels, {MAIN}"


def test_the_tables_of_a_made_up_device(made_up: Record, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_table, "RESULTS", tmp_path)
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    assert gpu_table.render_short({}) == gpu_table.render({}) == f"{gpu_table.NO_RESULTS}\n"
    records.save("gpu-none", made_up)
    targets = gpu_table.render_targets({})
    assert "speed relative to torchaudio | `kernels` | 12 × | ≥ 8 × | reached |" in targets
    assert "| `kernels` | 6 × | ≥ 8 × | **not reached** |" in targets
    assert re.search(r"memory bound \| `kernels, graph` \| not measured \| ≤ 3 × \|  \|", targets)
    page = gpu_table.render({})
    assert "reached" not in page
    assert f"- call {MAIN} batch 16, pairs kernels: bad" in page
    assert f"- step {MAIN} batch 64, kernels: hung" in page
    assert "- mel batch 64, plain torch: out of time" in page
    assert "|  | **kernels, graph** | 4 ms | 4 ms |" in page
    device = "None (4.00 TB/s in a large copy), CUDA 0, torch 0, Python 3."
    assert page.endswith(f"2000-01-01, {device}\n")
    for line in page.splitlines():
        assert "pairs kernels" not in line or not re.search(r"\d (ms|µs)", line)
    assert "| corpus | kernels | 1234 | 88 % | 1024 MB | -40.0 |" in page
    assert "| push batch 1 | plain torch | 4 ms | 5 ms | 2.9 × |" in page
    assert "| launches | entropic | 245 | 0 |" in page
    short = gpu_table.render_short({})
    assert "1234" in short
    assert "12 ×" in short
    assert "gradient" not in short


@pytest.mark.parametrize(
    "path", sorted(records.RESULTS.glob("gpu-*.json")), ids=lambda path: path.stem
)
def test_a_file_names_nothing_private_and_every_check_holds(path):
    record = records.load(path.stem)
    assert record["suite"] == path.stem == gpu.suite_name(record["device"]["name"])
    text = json.dumps(record)
    assert platform.node() not in text.split('"')
    assert not re.search(r'"(/|[A-Z]:)', text)
    for case in record["cases"].values():
        for entry in case["implementations"].values():
            assert "seconds" not in entry or entry["checks"]
            for each in entry.get("checks", ()):
                check(**each)


def test_the_report_of_the_doctor_shows_errors_speed_and_verdict(monkeypatch, tmp_path):
    row = {"check": "spsi", "shape": "10 s", "error": 1e-6, "allowed": 1e-5, "reason": ""}
    right = row | {"speedup": 3.5, "verdict": "right and faster"}
    wrong = row | {"error": None, "speedup": None, "verdict": "crashed", "reason": "SIGSEGV"}
    record = {"device": "None", "date": "2000-01-01", "versions": {"torch": "0"}}
    record["rows"] = [right, wrong]
    records.save("doctor-none", record, tmp_path)
    monkeypatch.setattr(gpu_doctor_table, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu_doctor_table, "load", lambda suite: records.load(suite, tmp_path))
    page = gpu_doctor_table.render({})
    assert "| spsi | 10 s | 1.0e-06 | 1.0e-05 | 3.5 × | right and faster |" in page
    assert "| spsi | 10 s |  | 1.0e-05 |  | crashed: SIGSEGV |" in page
    assert page.endswith("None, 2000-01-01, torch 0.\n")
