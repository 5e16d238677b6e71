"""The benchmark for a GPU, without one: every path is rehearsed, nothing wrong gets a time, no time gets lost."""

from __future__ import annotations

import argparse
import functools
import math
import subprocess
import sys
import time
from unittest import mock

import pytest
import torch

from benchmarks import common, gpu, gpu_cases, gpu_clock, gpu_inputs, gpu_process
from benchmarks.common import check
from benchmarks.gpu_cases import NotServed
from benchmarks.gpu_clock import Rehearsal
from benchmarks.gpu_inputs import FULL, MAIN, SETTINGS, TINY, Case, Contender
from tests.host_cuda import needs_compiler
from torchmelinv.conventions import FrameConvention
from torchmelinv.ops import fused_cuda, nvrtc
from torchmelinv.ops.nvrtc import Kernel
from torchmelinv.presets import preset

FRAME = FrameConvention(n_fft=1024, hop_length=256, padding="center_reflect")
PER_FRAME = 2 * 2.5 * 1024 * 10 + 3 * 1024 + 7 * 513 + 4 * 256  # operations, counted by hand


def test_every_path_can_be_rehearsed(capsys, monkeypatch: pytest.MonkeyPatch):
    records = []
    original = gpu.new_record
    monkeypatch.setattr(gpu, "new_record", lambda *given: records.append(original(*given)) or records[-1])
    before = sorted(common.RESULTS.iterdir())
    assert gpu.main(["--rehearse"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == gpu.REHEARSED
    assert sorted(common.RESULTS.iterdir()) == before
    (record,) = records
    assert set(record["cases"]) == {planned.key for planned in gpu.plans()}
    for key, case in record["cases"].items():
        assert case["done"], key
        assert "failed" not in case, key
        for name, entry in case["contenders"].items():
            field = "accuracy" if key.startswith("accuracy") else "seconds"
            assert (field in entry) != ("failed" in entry)
            assert "kernels" in name or field in entry, (key, name, entry)
    assert len(said) == 1 + sum(len(case["contenders"]) for case in record["cases"].values())


def test_without_a_device_it_says_so(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--cases", "entropic"]) == 2
    said = capsys.readouterr()
    assert "no CUDA device" in said.err
    assert (len(said.err.splitlines()), said.out) == (1, "")


def test_a_case_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--cases", "no such case"])
    assert "entropic batch 64" in capsys.readouterr().err


def test_bytes_and_operations_are_those_counted_by_hand():
    one = gpu_inputs.fast_griffin_lim(FRAME)
    assert one.bytes == 2052 + 2048 + 1024
    assert one.flops == PER_FRAME == 58887
    assert one.of(64 * 862).bytes == 282_680_832
    assert gpu_inputs.fast_griffin_lim(FrameConvention(n_fft=2048, hop_length=512)).bytes == 4 * (1025 + 3 * 512)
    assert gpu_inputs.fast_griffin_lim(FrameConvention(n_fft=400, hop_length=160)).bytes == 2724
    joint = gpu_inputs.mel_consistent(FRAME, 80, 2)
    assert joint == (4 * (80 + 768), PER_FRAME + 2 * 9 * 513 + 6 * 256)
    assert gpu_inputs.entropic(513, 80, 7) == (4 * 593, 7 * (16 * 513 + 8 * 80))
    there_and_back = gpu_inputs.forward_and_backward(FRAME)
    assert there_and_back.bytes == 4 * (4 * 513 + 8 * 256)
    assert there_and_back.flops == PER_FRAME + 3 * 25600 + 4 * 1024 + 20 * 513 + 8 * 256


def test_a_time_beside_the_floor():
    found = gpu.derived(gpu_inputs.Work(3_000_000, 6e9), 2e-6, 4e12)
    assert found["floor_bytes_per_second"] == 1.5e12
    assert found["flops_per_second"] == 3e15
    assert found["times_byte_floor"] == pytest.approx(2.6667, abs=1e-4)  # 0.75 µs


def test_what_a_step_reads_counts_for_the_cache():
    """Two signals, and the magnitudes or mels inside the problem, each once."""
    for convention, rows in ((MAIN.frame, 513), (preset("hifigan_22k"), 80)):
        inputs = gpu_cases.step_inputs(convention, 22050, 2, 10, torch.device("cpu"), 0)
        expected = 4 * 2 * (10 * rows + 2 * inputs.state[0].shape[-1])
        assert sum(gpu_inputs._sizes(inputs).values()) == pytest.approx(expected, abs=2000)  # and tables of a few bins


def test_sizes_are_10_seconds_in_sets_that_exceed_the_cache():
    assert [setting.shape(16, FULL) for setting in SETTINGS] == [(16, 862), (16, 938), (16, 862), (16, 1001)]
    assert gpu_clock.n_sets(10, cache=60, memory=10_000) == 24
    assert gpu_clock.n_sets(1000, cache=60, memory=10**6) == 2
    assert gpu_clock.n_sets(1, cache=10**6, memory=10**9) == gpu_clock.MOST_SETS
    assert gpu_clock.n_sets(10**6, cache=10**8, memory=3 * 10**7) == 7


def _right(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def _case(contenders: list[Contender]) -> Case:
    inputs = [torch.arange(1.0, 5.0), torch.arange(2.0, 6.0)]

    def checks(_, __, index, found):
        return [check("distance", float((found - 2 * inputs[index]).abs().max()), at_most=1e-6)]

    return Case("doubling", MAIN, 1, 1, gpu_inputs.Work(32, 4.0), inputs, contenders, checks)


def _breaks(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("out of order at /some/folder/file.py\nmore")


def _unwritten(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([2 * x[:3], torch.empty(1)])


def _launches(x: torch.Tensor) -> torch.Tensor:
    nvrtc._function(Kernel("doubling.cu", "doubling"), 0, 0)
    return 2 * x


def _refuses(_: int):
    raise NotServed("n_fft is odd")


def _new(**cases) -> common.Record:
    return gpu.new_record("gpu-test", Rehearsal()) | {"cases": cases}


def _work(contenders: list[Contender], record=None, save=lambda: None, until: float = math.inf):
    record = record or _new()
    planned = gpu.Planned("doubling", lambda scale, clock: _case(contenders))
    assert gpu.work(record, [planned], TINY, Rehearsal(), save, until) == 0
    return record


def test_nothing_wrong_gets_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nvrtc, "_function", lambda *_: None)
    contenders = {
        "right": _right, "wrong": lambda x: 2.001 * x, "nothing": lambda x: x * math.nan, "unwritten": _unwritten,
        "breaks": _breaks, "kernels": _right, "true kernels": _launches,
    }  # fmt: skip
    made = [Contender(name, lambda _, run=run: run, None, ("word",) * ("kernels" in name)) for name, run in contenders.items()]
    record = _work([*made, Contender("unserved", _refuses)])
    found = record["cases"]["doubling"]["contenders"]
    assert [name for name, entry in found.items() if "seconds" in entry] == ["right", "true kernels"]
    assert found["right"]["checks"][0]["at_most"] == 1e-6
    assert found["true kernels"]["kernels"] == ["doubling"]
    assert found["breaks"] == {"failed": "RuntimeError: out of order at …"}
    assert "no kernel was launched" in found["kernels"]["failed"]
    assert found["unserved"] == {"failed": "n_fft is odd", "unserved": True}
    assert all("distance" in found[name]["failed"] for name in ("wrong", "nothing", "unwritten"))


def test_the_file_is_saved_after_every_contender(tmp_path):
    seen = []

    def look(name: str):
        def make(_: int):
            record = common.load("gpu-test", tmp_path)
            seen.append((name, record["running"], list(record["cases"]["doubling"]["contenders"])))
            return _right

        return make

    record = _new()
    save = functools.partial(common.save, "gpu-test", record, tmp_path)
    _work([Contender("a", look("a")), Contender("b", look("b"))], record, save)
    assert seen == [("a", ["doubling", "a", "a"], []), ("b", ["doubling", "b", "b"], ["a"])]
    saved = common.load("gpu-test", tmp_path)
    assert saved["running"] is None
    assert saved["cases"]["doubling"]["done"]
    assert set(saved["cases"]["doubling"]["contenders"]) == {"a", "b"}


def test_what_time_does_not_allow_is_named():
    assert _work([Contender("a", lambda _: _right)], until=0)["cases"]["doubling"]["failed"] == gpu.OVER


def test_some_cases_are_put_beside_those_that_the_file_has(tmp_path):
    entry = {"contenders": {}, "done": True, "date": "2000-01-01"}
    common.save("gpu-test", _new(one=entry, other=entry), tmp_path)
    for cases, resume, kept in (("one", False, ["other"]), ("", False, []), ("one", True, ["one", "other"])):
        options = argparse.Namespace(out=tmp_path, cases=cases, resume=resume)
        assert list(gpu.opened("gpu-test", Rehearsal(), options, ["one"])["cases"]) == kept


def test_a_case_goes_by_its_name_or_a_part_of_it():
    assert [planned.key for planned in gpu.chosen_by(f"call {MAIN} batch 1")] == [f"call {MAIN} batch 1"]
    assert [planned.key for planned in gpu.chosen_by("mel")] == ["mel batch 64", "mel batch 16"]
    assert all(planned.key.startswith("sweep") for planned in gpu.chosen_by("sweep"))
    assert len({planned.key for planned in gpu.chosen_by("")}) == len(gpu.plans())


def test_a_case_that_cannot_be_made_stops_no_other():
    record = _new()
    chosen = [gpu.Planned("broken", lambda *_: _breaks(torch.ones(1))), gpu.Planned("whole", lambda *_: _case([]))]
    assert gpu.work(record, chosen, TINY, Rehearsal(), lambda: None, math.inf) == 0
    assert record["cases"]["broken"]["failed"].startswith("RuntimeError")
    assert record["cases"]["whole"]["done"]


def test_what_breaks_the_device_is_tried_no_second_time(monkeypatch: pytest.MonkeyPatch):
    """One start more for each kernel that breaks; the peers are measured first, and what does not build on it too."""
    monkeypatch.setattr(nvrtc, "_function", lambda *_: None)
    clock, tried = Rehearsal(), []

    def make(name: str, breaks: bool = False):
        def run(x: torch.Tensor) -> torch.Tensor:
            tried.append(name)
            clock.broken |= breaks
            return _launches(x)

        return lambda _: run

    def settle():
        if clock.broken:
            raise RuntimeError("an illegal memory access was encountered")

    clock.broken, clock.settle = False, settle
    contenders = [
        Contender("fused kernels", make("fused", True), None, ("fused",)),
        Contender("kernels", make("kernels"), None, ("step", "fused")),
        Contender("pairs kernels", make("pairs"), None, ("pairs",)),
        Contender("plain torch", make("plain")),
    ]
    chosen = [gpu.Planned(key, lambda *_: _case(contenders)) for key in ("one", "two")]
    record, codes = _new(), []
    while not codes or codes[-1] == gpu.BROKEN:
        clock.broken = False
        codes.append(gpu.work(record, chosen, TINY, clock, lambda: None, math.inf))
    assert codes == [gpu.BROKEN, 0]
    assert tried[0] == "plain"
    assert "kernels" not in tried
    first, second = (record["cases"][key]["contenders"] for key in ("one", "two"))
    assert [name for name, entry in second.items() if "seconds" in entry] == ["plain torch", "pairs kernels"]
    assert first["fused kernels"]["failed"].startswith("broke the device")
    assert first["kernels"]["failed"].startswith("not tried after fused kernels in one: broke the device")
    assert second["fused kernels"]["failed"].startswith("not tried after fused kernels in one")


def test_a_contender_that_ends_the_process_is_the_one_that_failed(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys):
    starts = []

    class Process:
        def __init__(self, words, cwd):
            starts.append(words)
            if len(starts) == 1:
                case = {"doubling": {"contenders": {"a": {"seconds": 1.0}}}}
                common.save("gpu-test", _new(**case) | {"running": ["doubling", "b", "word"]}, tmp_path)
            self.returncode = -11 if len(starts) == 1 else 0

        def poll(self):
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Process)
    options = argparse.Namespace(out=tmp_path, cases="")
    assert gpu_process.measure(options, "gpu-test", time.time() + 60) == 0
    assert ["--resume" in words for words in starts] == [False, True]
    saved = common.load("gpu-test", tmp_path)
    assert (saved["running"], list(saved["broken"])) == (None, ["word"])
    assert saved["cases"]["doubling"]["contenders"] == {"a": {"seconds": 1.0}, "b": {"failed": "ended its process (code -11)"}}


def test_a_process_that_hangs_is_stopped(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_process, "PATIENCE_TO_START", 0.2)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert gpu_process._watched(process, tmp_path / "none.json") is None
    assert process.returncode != 0


class FakeEvent(mock.MagicMock):
    def record(self):
        self.at = time.perf_counter()

    def elapsed_time(self, end):
        return 1000 * (end.at - self.at)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> gpu_clock.Cuda:
    """The clock of a device with that device's part taken out: graphs record nothing and replay nothing."""
    clock = object.__new__(gpu_clock.Cuda)
    clock.device = torch.device("cpu")
    for name in ("Stream", "CUDAGraph", "current_stream", "stream", "graph", "set_stream", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, mock.MagicMock())
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 100)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 300)
    return clock


def test_inputs_take_turns_in_blocks_that_are_long_enough(cuda: gpu_clock.Cuda, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_clock, "ENOUGH", 0.01)
    order: list[int] = []
    jobs = [lambda i=i: (order.append(i), time.sleep(2e-4)) for i in range(3)]
    seconds = cuda.seconds(gpu_clock.Prepared(jobs, 2, lambda _: torch.ones(1)))
    assert order[:7] == [0, 1, 2, 0, 1, 2, 0]
    assert len(seconds) >= gpu_clock.LEAST_BLOCKS
    assert min(seconds) >= 1e-4  # two calls a job
    assert cuda._copy(1000) > 0
    assert cuda.peaks([lambda: None, lambda: None]) == [200, 200]


def test_a_graph_that_writes_nothing_is_found_out(cuda: gpu_clock.Cuda):
    sets = [torch.ones(2), torch.full((2,), 2.0), torch.full((2,), 3.0)]
    for graph, jobs, calls in ((None, 3, 1), ("each", 3, 1), ("chain", 1, 3)):
        prepared = cuda.prepared(lambda x: 2 * x, sets, graph)
        assert (len(prepared.jobs), prepared.calls) == (jobs, calls)
        found = [prepared.result(index) for index in range(3)]
        assert all(torch.equal(a, 2 * b) for a, b in zip(found, sets, strict=True)) == (graph is None)
        assert graph is None or all(bool(each.isnan().all()) for each in found)
    beside = torch.cuda.Stream.return_value
    torch.cuda.graph.assert_called_with(torch.cuda.CUDAGraph.return_value, stream=beside, capture_error_mode="thread_local")


def test_a_device_names_its_file():
    assert gpu.suite_name("NVIDIA H200") == "gpu-h200"
    assert gpu.suite_name("NVIDIA A100-SXM4-80GB") == "gpu-a100-sxm4-80gb"
    assert gpu.suite_name("NVIDIA GeForce RTX 4090") == "gpu-rtx-4090"


def test_memory_is_poisoned_without_another_algorithm(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    with gpu_clock.Poisoned():
        one = torch.ones(1)
        for made in (torch.empty(3), torch.empty_like(one), one.new_empty(3), torch.empty(3, dtype=torch.cfloat)):
            assert made.isnan().all()
        assert torch.equal(torch.ones(3), torch.full((3,), 1.0))
        assert torch.empty(3, dtype=torch.int32).shape == (3,)


def test_it_needs_torch_torchaudio_and_numpy_alone():
    """Without the others it measures, and says that the pages' tables are as they were."""
    missing = ("librosa", "soundfile", "soxr", "pesq", "pystoi", "matplotlib", "scipy", "tqdm")
    code = f"""
import sys, types
sys.modules.update(dict.fromkeys({missing}))
import torch
from benchmarks import gpu
gpu.common.surroundings()
torch.cuda.is_available, gpu.gpu_process.measure = lambda: True, lambda *_: 0
torch.cuda.get_device_properties = lambda _: types.SimpleNamespace(name="none")
sys.exit(gpu.main([]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=common.ROOT, timeout=120, capture_output=True, text=True)
    assert "tables were not rewritten" in done.stdout


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", [f"step {MAIN} batch 1", "mel batch 16", "start batch 1", "waveform batch 1", "gradient"])
def test_kernels_take_part(host_kernels, name: str):
    (case,) = gpu.rehearse(gpu.chosen_by(name))["cases"].values()
    for contender, entry in case["contenders"].items():
        assert "seconds" in entry, (contender, entry)
        assert ("kernels" in contender) == bool(entry["kernels"])


@pytest.mark.slow
@needs_compiler
def test_a_sweep_changes_numbers_and_puts_them_back(host_kernels, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu.gpu_cases.itertools, "product", lambda *_: [(33, 168)])
    before = dict(vars(fused_cuda))
    (case,) = gpu.rehearse(gpu.chosen_by(f"sweep {MAIN} batch 1"))["cases"].values()
    assert dict(vars(fused_cuda)) == before
    assert list(case["contenders"]) == ["fused kernels, graph", "33 multiprocessors, 168 registers"]
    assert all("seconds" in entry for entry in case["contenders"].values()), case["contenders"]


@pytest.mark.gpu
def test_a_case_is_measured_on_the_device(tmp_path):
    assert gpu.main(["--cases", f"step {MAIN} batch 1", "--out", str(tmp_path), "--seconds", "60"]) == 0
    (path,) = tmp_path.glob("gpu-*.json")
    case = common.load(path.stem, tmp_path)["cases"][f"step {MAIN} batch 1"]
    for name in ("plain torch", "plain torch, graph"):
        assert case["contenders"][name]["seconds"] > 0
