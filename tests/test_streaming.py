"""StreamingInverter: the same samples however frames come, its latency, its state, and memory that does not grow."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.peak import needs_peak
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from tests.shared import ROOT
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.functional import mel_error_db
from torchmelinv.invert import MelInverter
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.rtisi import RtisiLa
from torchmelinv.presets import preset, preset_names
from torchmelinv.streaming import StreamingInverter

KALDI = TINY_POWER.replace(
    padding="none", win_length=100, window="povey", window_align="left", remove_dc=True, pre_emphasis=0.97, n_mels=12
)
CONVENTIONS = {
    "reflect": TINY,
    "same": TINY_LOG,
    "zero": TINY_POWER,
    "none": TINY.replace(padding="none"),
    "dropped": TINY.replace(drop_last_frame=True, level=Level(log="log10", floor=1e-9, dynamic_range=8, affine=(-4, 4))),
    "uneven": TINY.replace(hop_length=50, padding="same_reflect"),
    "apart": TINY.replace(hop_length=128),  # half of a frame's padding is less than a hop
    "short": TINY.replace(win_length=100, hop_length=25, padding="same_reflect_win"),
    "kaldi": KALDI,
    "emphasis": TINY.replace(pre_emphasis=0.9),
}
each_convention = pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
QUICK = MelConsistent(RtisiLa(n_iter=2))


def mel_of(convention: MelConvention, items: tuple[int, ...] = (), dtype=torch.float32, n_samples: int = 1200) -> Tensor:
    return MelAnalyzer(convention)(tones(n_samples, items, dtype))


def streamed(mel: Tensor, convention: MelConvention | str, size: int, phase: MelConsistent = QUICK) -> Tensor:
    return torch.cat(list(StreamingInverter(convention, phase).invert(mel.split(size, -1))), -1)


@pytest.mark.parametrize("look_ahead", [None, 0, 5])
@each_convention
def test_pushes_of_any_size_give_the_same_samples_as_one_of_all(convention, look_ahead):
    phase, mel = MelConsistent(RtisiLa(look_ahead, n_iter=2)), mel_of(convention)
    whole = streamed(mel, convention, mel.shape[-1], phase)
    for size in (1, 7):
        assert torch.equal(streamed(mel, convention, size, phase), whole)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_streamed(name):
    convention, phase = preset(name), MelConsistent(RtisiLa(look_ahead=1, n_iter=2))
    mel = mel_of(convention, n_samples=2 * max(convention.n_fft, 1024))[..., :4]
    whole = streamed(mel, name, 4, phase)
    assert whole.shape == (convention.n_samples(mel.shape[-1]),)
    assert whole.isfinite().all()
    assert torch.equal(streamed(mel, name, 1, phase), whole)


@pytest.mark.parametrize("look_ahead", [None, 0, 5])
@each_convention
def test_all_frames_at_once_by_the_other_inverter(convention, look_ahead):
    """The same numbers but for the order of sums, which the recursion amplifies."""
    mel, phase = mel_of(convention, (2,), torch.float64), MelConsistent(RtisiLa(look_ahead, n_iter=2))
    found, expected = streamed(mel, convention, 7, phase), MelInverter(convention, phase=phase, n_iter=2)(mel)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-9 * expected.abs().max()


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 9])
@each_convention
def test_latency_is_fixed_and_the_end_is_known(convention, n_frames):
    stream, mel = StreamingInverter(convention, QUICK), mel_of(convention)[:, :n_frames]
    latency, hop_length = stream.latency, convention.hop_length
    assert latency.samples <= hop_length * (latency.frames + 1) + convention.n_fft // 2
    assert latency.seconds == latency.samples / 8000
    given = 0
    for frame in range(1, n_frames + 1):
        given += len(stream.push(mel[:, frame - 1 : frame]))
        assert given == max(0, hop_length * frame - latency.samples)
        assert stream.n_frames == frame
    assert given + len(stream.flush()) == convention.n_samples(n_frames)
    assert stream.n_frames == 0


def test_less_look_ahead_is_less_latency():
    latencies = [StreamingInverter("hifigan_22k", MelConsistent(RtisiLa(look_ahead))).latency for look_ahead in (None, 1, 0)]
    assert [latency.samples for latency in latencies] == [3 * 256 + 384, 256 + 384, 384]
    assert latencies[0].seconds == pytest.approx(0.0522, abs=1e-4)


@pytest.mark.parametrize("convention", [TINY_LOG, KALDI])
def test_a_state_is_saved_and_resumed(convention):
    mel = mel_of(convention, (2,))
    expected = streamed(mel, convention, 40)
    stream = StreamingInverter(convention, QUICK)
    before = stream.push(mel[..., :11])
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    stream.push(mel[..., 3:20])  # what it goes on with itself does not reach what was saved
    file.seek(0)
    other = StreamingInverter(convention, QUICK)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(torch.cat([before, other.push(mel[..., 11:]), other.flush()], -1), expected)
    other.load_state_dict(StreamingInverter(convention, QUICK).state_dict())  # of one that has not begun
    assert torch.equal(torch.cat(list(other.invert([mel])), -1), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_state_has_a_fixed_size(dtype):
    stream, mel = StreamingInverter(TINY_LOG, QUICK), mel_of(TINY_LOG, (2, 3), dtype)
    for size in (1, 9):
        stream.push(mel[..., :size])
        held = sum(part.nbytes for part in stream.state_dict().values() if isinstance(part, Tensor))
        assert held == 6 * stream.state_bytes * dtype.itemsize // 4


def test_states_of_other_streams_are_refused():
    stream = StreamingInverter(TINY_LOG, QUICK)
    stream.push(mel_of(TINY_LOG))
    state = stream.state_dict()
    for other, name in ((StreamingInverter(TINY, QUICK), "convention"), (StreamingInverter(TINY_LOG), "phase")):
        with pytest.raises(InputError, match=f"no state of a stream with the same {name}"):
            other.load_state_dict(state)
    for broken in (None, {}, {"phase": 1}):
        with pytest.raises(InputError, match="no state"):
            stream.load_state_dict(broken)
    missing = {name: value for name, value in state.items() if name != "past"}
    for broken in (missing, {**state, "past": state["past"][:, 1:]}, {**state, "items": [3]}, {**state, "wanted": None},
                   {**state, "n_frames": -3}, {**state, "n_frames": 1.5}):
        with pytest.raises(InputError, match="no whole state"):
            stream.load_state_dict(broken)
    assert stream.n_frames == mel_of(TINY_LOG).shape[-1]


def test_items_are_alone():
    mel = mel_of(TINY_LOG, (2, 2))
    batch = streamed(mel, TINY_LOG, 8)
    assert batch.shape == (2, 2, TINY_LOG.n_samples(mel.shape[-1]))
    assert all(torch.equal(batch[i, j], streamed(mel[i, j], TINY_LOG, 40)) for i in range(2) for j in range(2))


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_scale(convention, scale):
    mel = mel_of(convention)
    assert torch.equal(streamed(scale * mel, convention, 9), scale ** (1 / convention.power) * streamed(mel, convention, 9))


def test_silence_is_silent_and_sound_begins_after_it():
    mel = mel_of(TINY)
    mel[:, :10] = 0
    waveform = streamed(mel, TINY, 5)
    assert (waveform[: 32 * 8] == 0).all()
    assert mel_error_db(MelAnalyzer(TINY).linear(waveform)[:, 14:], mel[:, 14:]) < -10
    assert (streamed(torch.zeros(16, 9), TINY, 2) == 0).all()


def test_a_voice_comes_closer_to_its_mel_than_with_a_fixed_magnitude_or_less_latency():
    analyzer = MelAnalyzer("hifigan_22k")
    voice = signal(seconds=0.8)
    mel = analyzer(voice)

    def error(waveform: Tensor) -> float:
        return float(mel_error_db(analyzer.linear(waveform), analyzer.linear(voice)))

    usual, sooner = (error(streamed(mel, "hifigan_22k", 50, MelConsistent(RtisiLa(look_ahead)))) for look_ahead in (None, 1))
    assert usual < error(MelInverter("hifigan_22k", phase="rtisi_la", n_iter=10)(mel)) - 3
    assert usual < sooner - 2


def test_inference_only_in_single_or_double_precision():
    mel = mel_of(TINY_LOG)
    expected = streamed(mel, TINY_LOG, 9)
    waveform = streamed(mel.clone().requires_grad_(), TINY_LOG, 9)
    assert not waveform.requires_grad
    with torch.autocast("cpu"):
        assert torch.equal(streamed(mel, TINY_LOG, 9), expected)
    with torch.inference_mode():
        assert torch.equal(streamed(mel, TINY_LOG, 9), expected)
    assert torch.equal(streamed(mel.half(), TINY_LOG, 9), streamed(mel.half().float(), TINY_LOG, 9))


def test_refused_frames_leave_the_stream_as_it_was():
    mel = mel_of(TINY_LOG, (2,))
    stream = StreamingInverter(TINY_LOG, QUICK)
    with pytest.raises(InputError, match="nothing to flush"):
        stream.flush()
    before, broken = stream.push(mel[..., :9]), mel.clone()
    broken[0, 3, 4] = torch.nan
    for wrong, message in (
        (mel[0], r"torch.float32, on cpu, leading dimensions \(\); this stream began with .* \(2,\): flush"),
        (mel.double(), "torch.float64, .* began with torch.float32"),
        (mel.mT, "transposed"),
        (mel[..., :0], "empty"),
        (broken, "NaN"),
    ):
        with pytest.raises(InputError, match=message):
            stream.push(wrong)
    assert torch.equal(torch.cat([before, stream.push(mel[..., 9:]), stream.flush()], -1), streamed(mel, TINY_LOG, 50))


@pytest.mark.parametrize("phase", ["rtisi_la", RtisiLa(), MelConsistent(), MelConsistent(GriffinLim())])
def test_phases_that_look_at_all_frames_are_refused(phase):
    with pytest.raises(InputError, match=r"a stream needs MelConsistent\(RtisiLa"):
        StreamingInverter(TINY, phase)


def test_one_stream_after_another():
    mel, stream = mel_of(TINY_LOG), StreamingInverter(TINY_LOG, QUICK)
    first = torch.cat(list(stream.invert([mel])), -1)
    stream.push(mel[:, :5])
    stream.reset()
    assert torch.equal(torch.cat(list(stream.invert([mel])), -1), first)


@pytest.mark.gpu
def test_on_a_gpu():
    mel = mel_of(TINY_LOG, (2,), torch.float64)
    found = streamed(mel.cuda(), TINY_LOG, 7)
    assert found.is_cuda
    assert torch.equal(streamed(mel.cuda(), TINY_LOG, 1), found)
    torch.testing.assert_close(found.cpu(), streamed(mel, TINY_LOG, 7), atol=1e-6, rtol=0)


def test_it_keeps_up_with_speech():
    """Processor seconds for half a second of sound, on one thread."""
    mel, stream = MelAnalyzer("hifigan_22k")(signal(seconds=0.5)), StreamingInverter("hifigan_22k")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        stream.push(mel)
        spent = []
        for _ in range(3):
            start = time.process_time()
            stream.push(mel)
            spent.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    assert min(spent) < 0.5


LONG = """
import sys, numpy, torch
from tests.peak import peak
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.phases import MelConsistent, RtisiLa
from torchmelinv.streaming import StreamingInverter

torch.set_num_threads(1)
convention = MelConvention(sample_rate=8000, n_fft=2048, hop_length=1024, n_mels=16, level=Level(log="ln", floor=1e-5))
stream = StreamingInverter(convention, MelConsistent(RtisiLa(look_ahead=0, n_iter=1), sweeps=1))
mel = numpy.load(sys.argv[1], mmap_mode="r")
pieces = (torch.tensor(mel[:, at : at + 200]) for at in range(0, mel.shape[1], 200))
n_samples, peaks = 0, []
for waveform in stream.invert(pieces):
    assert waveform.isfinite().all()
    n_samples += len(waveform)
    peaks.append(peak())
assert n_samples == convention.n_samples(mel.shape[1])
print(peaks[-1] - peaks[1])
"""


@needs_peak
@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_a_long_mel_in_a_file_takes_no_more_memory_than_a_short_one(minutes, tmp_path):
    """What the process ever held grows from the first minute on by less than a minute's waveform (and its mapped mel)."""
    n_frames = minutes * 60 * 8000 // 1024
    mel = np.random.default_rng(0).normal(-5, 1, (16, n_frames)).astype(np.float32)
    np.save(tmp_path / "mel.npy", mel)
    command = [sys.executable, "-c", LONG, str(tmp_path / "mel.npy")]
    grown = int(subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout)
    assert grown < mel.nbytes + 60 * 8000 * 4
