"""StreamingInverter: samples for any division into pushes, latency, state, and constant memory."""

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
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics import mel_error_db
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.rtisi import RTISILA
from torchmelinv.streaming import StreamingInverter

KALDI = TINY_POWER.replace(
    padding="none",
    win_length=100,
    window="povey",
    window_align="left",
    remove_dc=True,
    pre_emphasis=0.97,
    n_mels=12,
)
CONVENTIONS = {
    "reflect": TINY,
    "same": TINY_LOG,
    "zero": TINY_POWER,
    "none": TINY.replace(padding="none"),
    "drop_last": TINY.replace(
        drop_last_frame=True,
        level=Compression(log="log10", floor=1e-9, dynamic_range=8, affine=(-4, 4)),
    ),
    "uneven": TINY.replace(hop_length=50, padding="same_reflect"),
    "touching": TINY.replace(hop_length=128),  # the left padding is less than a hop
    "short": TINY.replace(win_length=100, hop_length=25, padding="same_reflect_win"),
    "kaldi": KALDI,
    "emphasis": TINY.replace(pre_emphasis=0.9),
}
for_each_convention = pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
QUICK = MelConsistent(RTISILA(n_iter=2))


def mel_of(
    convention: MelConvention,
    items: tuple[int, ...] = (),
    dtype=torch.float32,
    n_samples: int = 1200,
) -> Tensor:
    return MelSpectrogram(convention)(tones(n_samples, items, dtype))


def stream_mel(
    mel: Tensor, convention: MelConvention | str, size: int, phase: MelConsistent = QUICK
) -> Tensor:
    return torch.cat(list(StreamingInverter(convention, phase).invert(mel.split(size, -1))), -1)


@pytest.mark.parametrize("look_ahead", [None, 0, 5])
@for_each_convention
def test_samples_do_not_depend_on_the_sizes_of_pushes(convention, look_ahead):
    phase, mel = MelConsistent(RTISILA(look_ahead, n_iter=2)), mel_of(convention)
    whole = stream_mel(mel, convention, mel.shape[-1], phase)
    for size in (1, 7):
        assert torch.equal(stream_mel(mel, convention, size, phase), whole)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_streamed(name):
    convention, phase = preset(name), MelConsistent(RTISILA(look_ahead=1, n_iter=2))
    mel = mel_of(convention, n_samples=2 * max(convention.n_fft, 1024))[..., :4]
    whole = stream_mel(mel, name, 4, phase)
    assert whole.shape == (convention.n_samples(mel.shape[-1]),)
    assert whole.isfinite().all()
    assert torch.equal(stream_mel(mel, name, 1, phase), whole)


@pytest.mark.parametrize("look_ahead", [None, 0, 5])
@for_each_convention
def test_stream_agrees_with_mel_inverter(convention, look_ahead):
    """They differ by the order of sums, which the recursion amplifies."""
    mel = mel_of(convention, (2,), torch.float64)
    phase = MelConsistent(RTISILA(look_ahead, n_iter=2))
    result = stream_mel(mel, convention, 7, phase)
    expected = MelInverter(convention, phase=phase, n_iter=2)(mel)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < 1e-9 * expected.abs().max()


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 9])
@for_each_convention
def test_latency_is_fixed_and_the_length_is_right(convention, n_frames):
    stream, mel = StreamingInverter(convention, QUICK), mel_of(convention)[:, :n_frames]
    latency, hop_length = stream.latency, convention.hop_length
    assert latency.samples <= hop_length * (latency.frames + 1) + convention.n_fft // 2
    assert latency.seconds == latency.samples / 8000
    n_returned = 0
    for frame in range(1, n_frames + 1):
        n_returned += len(stream.push(mel[:, frame - 1 : frame]))
        assert n_returned == max(0, hop_length * frame - latency.samples)
        assert stream.n_frames == frame
    assert n_returned + len(stream.flush()) == convention.n_samples(n_frames)
    assert stream.n_frames == 0


@pytest.mark.parametrize("convention", [TINY_LOG, KALDI])
def test_saved_state_is_resumed(convention):
    mel = mel_of(convention, (2,))
    expected = stream_mel(mel, convention, 40)
    stream = StreamingInverter(convention, QUICK)
    before = stream.push(mel[..., :11])
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    stream.push(mel[..., 3:20])  # does not change what was saved
    file.seek(0)
    other = StreamingInverter(convention, QUICK)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(torch.cat([before, other.push(mel[..., 11:]), other.flush()], -1), expected)
    other.load_state_dict(StreamingInverter(convention, QUICK).state_dict())  # without frames
    assert torch.equal(torch.cat(list(other.invert([mel])), -1), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_has_a_fixed_size(dtype):
    stream, mel = StreamingInverter(TINY_LOG, QUICK), mel_of(TINY_LOG, (2, 3), dtype)
    for size in (1, 9):
        stream.push(mel[..., :size])
        values = stream.state_dict().values()
        n_bytes = sum(value.nbytes for value in values if isinstance(value, Tensor))
        assert n_bytes == 6 * stream.state_bytes * dtype.itemsize // 4


def test_states_of_other_streams_are_refused():
    stream = StreamingInverter(TINY_LOG, QUICK)
    stream.push(mel_of(TINY_LOG))
    state = stream.state_dict()
    for other, name in (
        (StreamingInverter(TINY, QUICK), "convention"),
        (StreamingInverter(TINY_LOG), "phase"),
    ):
        with pytest.raises(InputError, match=f"not the state of a stream with the same {name}"):
            other.load_state_dict(state)
    for broken in (None, {}, {"phase": 1}, {**state, "channels": torch.zeros(2)}):
        with pytest.raises(InputError, match="not the state"):
            stream.load_state_dict(broken)
    assert stream.n_frames == mel_of(TINY_LOG).shape[-1]


def test_items_are_independent():
    mel = mel_of(TINY_LOG, (2, 2))
    batch = stream_mel(mel, TINY_LOG, 8)
    assert batch.shape == (2, 2, TINY_LOG.n_samples(mel.shape[-1]))
    assert all(
        torch.equal(batch[i, j], stream_mel(mel[i, j], TINY_LOG, 40))
        for i in range(2)
        for j in range(2)
    )


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_scale_equivariance(convention, scale):
    mel = mel_of(convention)
    assert torch.equal(
        stream_mel(scale * mel, convention, 9),
        scale ** (1 / convention.power) * stream_mel(mel, convention, 9),
    )


def test_silence_stays_silent_before_sound():
    mel = mel_of(TINY)
    mel[:, :10] = 0
    waveform = stream_mel(mel, TINY, 5)
    assert (waveform[: 32 * 8] == 0).all()
    assert mel_error_db(MelSpectrogram(TINY).linear_mel(waveform)[:, 14:], mel[:, 14:]) < -10
    assert (stream_mel(torch.zeros(16, 9), TINY, 2) == 0).all()


def test_look_ahead_and_mel_consistency_reduce_the_mel_error():
    mel_spectrogram = MelSpectrogram("hifigan_22k")
    voice = signal(seconds=0.8)
    mel = mel_spectrogram(voice)

    def error(waveform: Tensor) -> float:
        linear_mel = mel_spectrogram.linear_mel
        return float(mel_error_db(linear_mel(waveform), linear_mel(voice)))

    usual, short = (
        error(stream_mel(mel, "hifigan_22k", 50, MelConsistent(RTISILA(look_ahead))))
        for look_ahead in (None, 1)
    )
    assert usual < error(MelInverter("hifigan_22k", phase="rtisi_la", n_iter=10)(mel)) - 3
    assert usual < short - 2


def test_inference_in_single_or_double_precision():
    mel = mel_of(TINY_LOG)
    expected = stream_mel(mel, TINY_LOG, 9)
    waveform = stream_mel(mel.clone().requires_grad_(), TINY_LOG, 9)
    assert not waveform.requires_grad
    with torch.autocast("cpu"):
        assert torch.equal(stream_mel(mel, TINY_LOG, 9), expected)
    with torch.inference_mode():
        assert torch.equal(stream_mel(mel, TINY_LOG, 9), expected)
    assert torch.equal(
        stream_mel(mel.half(), TINY_LOG, 9), stream_mel(mel.half().float(), TINY_LOG, 9)
    )


def test_refused_frames_leave_the_stream_as_it_was():
    mel = mel_of(TINY_LOG, (2,))
    stream = StreamingInverter(TINY_LOG, QUICK)
    with pytest.raises(InputError, match="nothing to flush"):
        stream.flush()
    before, broken = stream.push(mel[..., :9]), mel.clone()
    broken[0, 3, 4] = torch.nan
    other_items = (
        r"torch.float32, on cpu, leading dimensions \(\); this stream began with .* \(2,\)"
    )
    for wrong, message in (
        (mel[0], f"{other_items}: flush"),
        (mel.double(), "torch.float64, .* began with torch.float32"),
        (mel.mT, "transposed"),
        (mel[..., :0], "empty"),
        (broken, "NaN"),
    ):
        with pytest.raises(InputError, match=message):
            stream.push(wrong)
    assert torch.equal(
        torch.cat([before, stream.push(mel[..., 9:]), stream.flush()], -1),
        stream_mel(mel, TINY_LOG, 50),
    )


@pytest.mark.parametrize(
    "phase", ["rtisi_la", RTISILA(), MelConsistent(), MelConsistent(GriffinLim())]
)
def test_phases_that_need_all_frames_are_refused(phase):
    with pytest.raises(InputError, match=r"a stream needs MelConsistent\(RTISILA"):
        StreamingInverter(TINY, phase)


def test_attributes_that_have_no_effect_cannot_be_assigned():
    stream = StreamingInverter(TINY, QUICK)
    for name in ("convention", "phase", "latency", "state_bytes", "n_frames", "n_iter"):
        with pytest.raises(AttributeError):
            setattr(stream, name, None)
    with pytest.raises(InputError, match="'phases'; did you mean 'phase'"):
        StreamingInverter(TINY, phases=QUICK)
    stream.check = False
    stream.push(torch.full((16, 3), torch.nan))


def test_a_stream_can_be_used_again():
    mel, stream = mel_of(TINY_LOG), StreamingInverter(TINY_LOG, QUICK)
    first = torch.cat(list(stream.invert([mel])), -1)
    stream.push(mel[:, :5])
    stream.reset()
    assert torch.equal(torch.cat(list(stream.invert([mel])), -1), first)


@pytest.mark.gpu
def test_on_a_gpu():
    mel = mel_of(TINY_LOG, (2,), torch.float64)
    result = stream_mel(mel.cuda(), TINY_LOG, 7)
    assert result.is_cuda
    assert torch.equal(stream_mel(mel.cuda(), TINY_LOG, 1), result)
    torch.testing.assert_close(result.cpu(), stream_mel(mel, TINY_LOG, 7), atol=1e-6, rtol=0)


def test_streaming_is_real_time():
    """Processor seconds for half a second of sound, on one thread."""
    mel = MelSpectrogram("hifigan_22k")(signal(seconds=0.5))
    stream = StreamingInverter("hifigan_22k")
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
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.phases import MelConsistent, RTISILA
from torchmelinv.streaming import StreamingInverter

torch.set_num_threads(1)
level = Compression(log="ln", floor=1e-5)
convention = MelConvention(sample_rate=8000, n_fft=2048, hop_length=1024, n_mels=16, level=level)
phase = MelConsistent(RTISILA(look_ahead=0, n_iter=1), inner_iter=1)
stream = StreamingInverter(convention, phase)
mel = numpy.load(sys.argv[1], mmap_mode="r")
pieces = (torch.tensor(mel[:, i : i + 200]) for i in range(0, mel.shape[1], 200))
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
def test_memory_does_not_grow_with_a_mel_in_a_file(minutes, tmp_path):
    """Peak memory grows after the first pieces by less than the mapped mel and 1 min of sound."""
    n_frames = minutes * 60 * 8000 // 1024
    mel = np.random.default_rng(0).normal(-5, 1, (16, n_frames)).astype(np.float32)
    np.save(tmp_path / "mel.npy", mel)
    command = [sys.executable, "-c", LONG, str(tmp_path / "mel.npy")]
    output = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert int(output) < mel.nbytes + 60 * 8000 * 4
