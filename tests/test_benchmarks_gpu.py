"""The GPU benchmark without a GPU: every path runs, no wrong result gets a time."""

from __future__ import annotations

import argparse
import functools
import math
import subprocess
import sys
import time
import types

import pytest
import torch
from torch import Tensor

from benchmarks import (
    gpu,
    gpu_doctor,
    gpu_inputs,
    gpu_measure,
    gpu_process,
    gpu_step_cases,
    gpu_work,
    records,
)
from benchmarks.gpu_case import Case, Implementation, NotSupported
from benchmarks.gpu_clock import DryRun
from benchmarks.gpu_inputs import FULL, MAIN, SETTINGS, TINY
from benchmarks.records import Record, check
from tests.host_cuda import needs_compiler
from torchmelinv.conventions import STFTConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.cuda import fused_cuda, nvrtc
from torchmelinv.cuda.nvrtc import Kernel
from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER
from torchmelinv.doctor import verification
from torchmelinv.doctor.check import Row

CONVENTION = STFTConvention(n_fft=1024, hop_length=256, padding="center_reflect")
PER_FRAME = 2 * 2.5 * 1024 * 10 + 3 * 1024 + 7 * 513 + 4 * 256  # operations, counted by hand


def test_every_path_runs_in_a_dry_run(capsys, monkeypatch: pytest.MonkeyPatch):
    created: list[Record] = []
    original = gpu.new_record

    def new_record(*given) -> Record:
        created.append(original(*given))
        return created[-1]

    monkeypatch.setattr(gpu, "new_record", new_record)
    before = sorted(records.RESULTS.iterdir())
    assert gpu.main(["--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == gpu.DRY_RUN
    assert sorted(records.RESULTS.iterdir()) == before
    (record,) = created
    assert set(record["cases"]) == {planned.key for planned in gpu.all_cases()}
    for key, case in record["cases"].items():
        assert case["done"], key
        assert "failed" not in case, (key, case)
        for name, entry in case["implementations"].items():
            kind = key.split()[0]
            field = kind if kind in gpu_measure.MEASURED else "seconds"
            assert (field in entry) != ("failed" in entry)
            assert "kernels" in name or field in entry, (key, name, entry)
    n_entries = sum(len(case["implementations"]) for case in record["cases"].values())
    assert len(lines) == 1 + n_entries


def test_without_a_device_the_command_exits_with_a_message(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--cases", "entropic"]) == 2
    captured = capsys.readouterr()
    assert "no CUDA device" in captured.err
    assert (len(captured.err.splitlines()), captured.out) == (1, "")


def test_an_unknown_case_is_an_error(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--cases", "no such case"])
    assert "entropic batch 64" in capsys.readouterr().err


def test_work_equals_the_count_by_hand():
    work = gpu_work.fast_griffin_lim(CONVENTION)
    assert work.bytes == 2052 + 2048 + 1024
    assert work.flops == PER_FRAME == 58887
    assert work.of(64 * 862).bytes == 282_680_832
    large, small = (
        gpu_work.fast_griffin_lim(STFTConvention(n_fft=n_fft, hop_length=hop_length))
        for n_fft, hop_length in ((2048, 512), (400, 160))
    )
    assert large.bytes == 4 * (1025 + 3 * 512)
    assert small.bytes == 2724
    joint = gpu_work.mel_consistent(CONVENTION, 80, 2)
    assert joint == (4 * (80 + 768), PER_FRAME + 2 * 9 * 513 + 6 * 256)
    assert gpu_work.entropic(513, 80, 7) == (4 * 593, 7 * (16 * 513 + 8 * 80))
    both = gpu_work.forward_and_backward(CONVENTION)
    assert both.bytes == 4 * (4 * 513 + 8 * 256)
    assert both.flops == PER_FRAME + 3 * 25600 + 4 * 1024 + 20 * 513 + 8 * 256


def test_a_time_is_compared_with_the_memory_bound():
    entry = gpu_measure.per_iteration(gpu_work.Work(3_000_000, 6e9), 2e-6, 4e12)
    assert entry["bytes_per_second"] == 1.5e12
    assert entry["flops_per_second"] == 3e15
    assert entry["times_memory_bound"] == pytest.approx(2.6667, abs=1e-4)  # of 0.75 µs


def test_the_inputs_of_a_step_count_for_the_cache():
    """Two signals, and the magnitude or mel of the problem, each once."""
    for convention, n_rows in ((MAIN.stft, 513), (preset("hifigan_22k"), 80)):
        device = torch.device("cpu")
        inputs = gpu_step_cases.step_inputs(convention, 22050, 2, 10, device, 0)
        expected = 4 * 2 * (10 * n_rows + 2 * inputs.state.signal.shape[-1])
        # plus some tables of a few bins
        assert gpu_inputs.tensor_bytes(inputs) == pytest.approx(expected, abs=2000)


def test_settings_have_10_seconds():
    shapes = [setting.shape(16, FULL) for setting in SETTINGS]
    assert shapes == [(16, 862), (16, 938), (16, 862), (16, 1001)]


def _double(x: Tensor) -> Tensor:
    return 2 * x


def _fail(_: Tensor) -> Tensor:
    raise RuntimeError("out of order at /some/folder/file.py\nmore")


def _leave_unwritten(x: Tensor) -> Tensor:
    return torch.cat([2 * x[:3], torch.empty(1)])


def _launch(x: Tensor) -> Tensor:
    nvrtc._function(Kernel("doubling.cu", "doubling"), 0, 0)
    return 2 * x


def _unsupported(_: int):
    raise NotSupported("n_fft is odd")


def _case(implementations: list[Implementation]) -> Case:
    inputs = [torch.arange(1.0, 5.0), torch.arange(2.0, 6.0)]

    def checks(_, __, index: int, result: Tensor) -> list[Record]:
        return [check("error", float((result - 2 * inputs[index]).abs().max()), at_most=1e-6)]

    work = gpu_work.Work(32, 4.0)
    return Case("doubling", MAIN, 1, 1, work, inputs, implementations, checks)


def _new_record(**cases) -> Record:
    return gpu.new_record("gpu-test", DryRun()) | {"cases": cases}


def _run(
    implementations: list[Implementation],
    record: Record | None = None,
    save=lambda: None,
    deadline: float = math.inf,
) -> Record:
    record = record or _new_record()
    planned = gpu_measure.PlannedCase("doubling", lambda *_: _case(implementations))
    assert gpu_measure.run(record, [planned], TINY, DryRun(), save, deadline) == 0
    return record


def test_a_wrong_result_gets_no_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nvrtc, "_function", lambda *_: None)
    functions = {
        "right": _double,
        "wrong": lambda x: 2.001 * x,
        "nan": lambda x: x * math.nan,
        "unwritten": _leave_unwritten,
        "fails": _fail,
        "kernels": _double,
        "launched kernels": _launch,
    }
    implementations = [
        Implementation(name, lambda _, f=function: f, None, ("label",) * ("kernels" in name))
        for name, function in functions.items()
    ]
    record = _run([*implementations, Implementation("unsupported", _unsupported)])
    entries = record["cases"]["doubling"]["implementations"]
    timed = [name for name, entry in entries.items() if "seconds" in entry]
    assert timed == ["right", "launched kernels"]
    assert entries["right"]["checks"][0]["at_most"] == 1e-6
    assert entries["launched kernels"]["kernels"] == ["doubling"]
    assert entries["fails"] == {"failed": "RuntimeError: out of order at …"}
    assert "no kernel was launched" in entries["kernels"]["failed"]
    assert entries["unsupported"] == {"failed": "n_fft is odd", "unsupported": True}
    assert all("error" in entries[name]["failed"] for name in ("wrong", "nan", "unwritten"))


def test_the_file_is_saved_after_every_implementation(tmp_path):
    snapshots = []

    def make_snapshot(name: str):
        def make(_: int):
            record = records.load("gpu-test", tmp_path)
            done = list(record["cases"]["doubling"]["implementations"])
            snapshots.append((name, record["running"], done))
            return _double

        return make

    record = _new_record()
    save = functools.partial(records.save, "gpu-test", record, tmp_path)
    _run([Implementation(name, make_snapshot(name)) for name in "ab"], record, save)
    assert snapshots == [("a", ["doubling", "a", "a"], []), ("b", ["doubling", "b", "b"], ["a"])]
    saved = records.load("gpu-test", tmp_path)
    assert saved["running"] is None
    assert saved["cases"]["doubling"]["done"]
    assert set(saved["cases"]["doubling"]["implementations"]) == {"a", "b"}


def test_a_case_after_the_deadline_is_recorded():
    record = _run([Implementation("a", lambda _: _double)], deadline=0)
    assert record["cases"]["doubling"]["failed"] == gpu_measure.OUT_OF_TIME


def test_selected_cases_replace_those_of_the_file(tmp_path):
    entry = {"implementations": {}, "done": True, "date": "2000-01-01"}
    records.save("gpu-test", _new_record(first=entry, second=entry), tmp_path)
    for cases, resume, kept in (
        ("first", False, ["second"]),
        ("", False, []),
        ("first", True, ["first", "second"]),
    ):
        options = argparse.Namespace(out=tmp_path, cases=cases, resume=resume)
        record = gpu.open_record("gpu-test", DryRun(), options, ["first"])
        assert list(record["cases"]) == kept


def test_cases_are_selected_by_name_or_part_of_it():
    def keys(name: str) -> list[str]:
        return [planned.key for planned in gpu.select_cases(name)]

    assert keys(f"call {MAIN} batch 1") == [f"call {MAIN} batch 1"]
    assert keys("mel") == ["mel batch 64", "mel batch 16"]
    assert all(key.startswith("sweep") for key in keys("sweep"))
    assert len(set(keys(""))) == len(gpu.all_cases())


def test_a_case_that_cannot_be_made_stops_no_other():
    record = _new_record()
    planned_cases = [
        gpu_measure.PlannedCase("broken", lambda *_: _fail(torch.ones(1))),
        gpu_measure.PlannedCase("works", lambda *_: _case([])),
    ]
    code = gpu_measure.run(record, planned_cases, TINY, DryRun(), lambda: None, math.inf)
    assert code == 0
    assert record["cases"]["broken"]["failed"].startswith("RuntimeError")
    assert record["cases"]["works"]["done"]


class BreakableClock(DryRun):
    """A device that takes no more work once it is broken."""

    broken = False

    def synchronize(self) -> None:
        if self.broken:
            raise RuntimeError("an illegal memory access was encountered")


def test_what_breaks_the_device_runs_only_once(monkeypatch: pytest.MonkeyPatch):
    """One restart for each kernel that breaks it. Peers and independent kernels are measured."""
    monkeypatch.setattr(nvrtc, "_function", lambda *_: None)
    clock, started = BreakableClock(), []

    def make(name: str, breaks: bool = False):
        def run(x: Tensor) -> Tensor:
            started.append(name)
            clock.broken |= breaks
            return _launch(x)

        return lambda _: run

    implementations = [
        Implementation("fused kernels", make("fused", True), None, ("fused",)),
        Implementation("kernels", make("kernels"), None, ("step", "fused")),
        Implementation("pairs kernels", make("pairs"), None, ("pairs",)),
        Implementation("plain torch", make("plain")),
    ]
    planned_cases = [
        gpu_measure.PlannedCase(key, lambda *_: _case(implementations)) for key in ("a", "b")
    ]
    record, codes = _new_record(), []
    while not codes or codes[-1] == gpu_measure.DEVICE_BROKEN:
        clock.broken = False
        code = gpu_measure.run(record, planned_cases, TINY, clock, lambda: None, math.inf)
        codes.append(code)
    assert codes == [gpu_measure.DEVICE_BROKEN, 0]
    assert started[0] == "plain"
    assert "kernels" not in started
    first, second = (record["cases"][key]["implementations"] for key in ("a", "b"))
    timed = [name for name, entry in second.items() if "seconds" in entry]
    assert timed == ["plain torch", "pairs kernels"]
    assert first["fused kernels"]["failed"].startswith("broke the device")
    skipped = "skipped after fused kernels in a"
    assert first["kernels"]["failed"].startswith(f"{skipped}: broke the device")
    assert second["fused kernels"]["failed"].startswith(skipped)


def test_an_implementation_that_ends_the_process_is_recorded(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
):
    commands = []

    class Process:
        def __init__(self, command, cwd):
            commands.append(command)
            if len(commands) == 1:
                case = {"implementations": {"a": {"seconds": 1.0}}}
                running = {"running": ["doubling", "b", "label"]}
                records.save("gpu-test", _new_record(doubling=case) | running, tmp_path)
            self.returncode = -11 if len(commands) == 1 else 0

        def poll(self):
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Process)
    options = argparse.Namespace(out=tmp_path, cases="")
    assert gpu_process.measure(options, "gpu-test", time.time() + 60) == 0
    assert ["--resume" in command for command in commands] == [False, True]
    saved = records.load("gpu-test", tmp_path)
    assert (saved["running"], list(saved["broken"])) == (None, ["label"])
    assert saved["cases"]["doubling"]["implementations"] == {
        "a": {"seconds": 1.0},
        "b": {"failed": "ended its process (code -11)"},
    }


def test_a_process_that_hangs_is_killed(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_process, "PATIENCE_AT_START", 0.2)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert gpu_process._watch(process, tmp_path / "none.json") is None
    assert process.returncode != 0


def test_a_device_names_its_file():
    assert gpu.suite_name("NVIDIA H200") == "gpu-h200"
    assert gpu.suite_name("NVIDIA A100-SXM4-80GB") == "gpu-a100-sxm4-80gb"
    assert gpu.suite_name("NVIDIA GeForce RTX 4090") == "gpu-rtx-4090"


def test_torch_torchaudio_and_numpy_are_enough():
    """Without other packages it measures, and reports that the tables were not written."""
    missing = (
        "librosa",
        "soundfile",
        "soxr",
        "pesq",
        "pystoi",
        "matplotlib",
        "scipy",
        "tqdm",
        "tests",
    )
    code = f"""
import sys, types
sys.modules.update(dict.fromkeys({missing}))
import torch
from benchmarks import gpu
gpu.records.environment()
torch.cuda.is_available, gpu.gpu_process.measure = lambda: True, lambda *_: 0
torch.cuda.get_device_properties = lambda _: types.SimpleNamespace(name="none")
sys.exit(gpu.main([]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=records.ROOT,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert "tables of the pages were not written" in done.stdout


def test_the_report_of_the_doctor_is_kept_after_each_check(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """A doctor that is killed in its second check leaves the results of the first."""
    right = Row(
        "spsi", "init 'spsi'", "10 s", RIGHT_AND_FASTER, "", "angles", 1e-6, 1e-5, 4e-3, 1e-3
    )
    wrong = Row("pghi", "init 'pghi'", "10 s", "crashed", "ended by SIGSEGV")
    found = {"spsi": [right], "pghi": [wrong]}
    saved: list[tuple[int, bool]] = []

    def run_in_process(check, registry: str, device: str, seconds: float) -> list[Row]:
        assert (registry, device, seconds) == (verification.REGISTRY, "cuda:0", 5)
        if check == "pghi":
            record = records.load("doctor-h200", tmp_path)
            saved.append((len(record["rows"]), record["done"]))
        return found[check]

    verdict: list[Row] = []
    monkeypatch.setattr(verification, "load_checks", lambda _: list(found))
    monkeypatch.setattr(verification, "run_in_process", run_in_process)
    monkeypatch.setattr(verification, "save", lambda _, rows: verdict.extend(rows))
    monkeypatch.setattr(gpu_doctor.verdicts, "machine", lambda _: {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    properties = types.SimpleNamespace(name="NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert gpu_doctor.main(["--out", str(tmp_path), "--seconds", "5"]) == 0
    assert saved == [(1, False)]
    record = records.load("doctor-h200", tmp_path)
    assert record["done"]
    assert [row["speedup"] for row in record["rows"]] == [4.0, None]
    assert record["operations"] == {"init 'spsi'": RIGHT_AND_FASTER, "init 'pghi'": "crashed"}
    assert verdict == [right, wrong]
    first, second = capsys.readouterr().out.splitlines()
    assert first == ("spsi, 10 s: right and faster; error 1e-06 of 1e-05; 1 ms, 4 × plain torch")
    assert second == "pghi, 10 s: crashed; ended by SIGSEGV"


def test_without_a_device_no_report_is_written(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_doctor.main(["--out", str(tmp_path)]) == 2
    assert not any(tmp_path.iterdir())


KERNEL_CASES = [
    f"step {MAIN} batch 1",
    "mel batch 16",
    "init batch 1",
    "waveform batch 1",
    "gradient",
]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", KERNEL_CASES)
def test_kernels_take_part(host_kernels, name: str):
    (case,) = gpu.dry_run(gpu.select_cases(name))["cases"].values()
    for implementation, entry in case["implementations"].items():
        assert "seconds" in entry, (implementation, entry)
        assert ("kernels" in implementation) == bool(entry["kernels"])


@pytest.mark.slow
@needs_compiler
def test_a_sweep_restores_the_launch_parameters(host_kernels, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_step_cases.itertools, "product", lambda *_: [(33, 168)])
    before = dict(vars(fused_cuda))
    (case,) = gpu.dry_run(gpu.select_cases(f"sweep {MAIN} batch 1"))["cases"].values()
    assert dict(vars(fused_cuda)) == before
    entries = case["implementations"]
    assert list(entries) == ["fused kernels, graph", "33 multiprocessors, 168 registers"]
    assert all("seconds" in entry for entry in entries.values()), entries


@pytest.mark.gpu
def test_a_case_is_measured_on_the_device(tmp_path):
    name = f"step {MAIN} batch 1"
    assert gpu.main(["--cases", name, "--out", str(tmp_path), "--seconds", "60"]) == 0
    (path,) = tmp_path.glob("gpu-*.json")
    case = records.load(path.stem, tmp_path)["cases"][name]
    for implementation in ("plain torch", "plain torch, graph"):
        assert case["implementations"][implementation]["seconds"] > 0
