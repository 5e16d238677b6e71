"""A kernel is its reference, faster: every computation that has kernels, run by them, beside the reference in float64.

Here the kernels' own source runs in emulation; on a machine with a CUDA device the same tests run there as well.
"""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.host_cuda import COMPILER, stand_in
from tests.problems import TINY, TINY_LOG, TINY_POWER, frame_convention, tones
from torchmelinv import functional
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import Frame
from torchmelinv.invert import MelInverter
from torchmelinv.ops import graphs
from torchmelinv.ops.backend import backend
from torchmelinv.phases import AcceleratedGriffinLim, GriffinLim, MelConsistent
from torchmelinv.presets import preset, preset_names

FUSED = frame_convention(n_fft=256, hop_length=64)
ANY_SIZE = frame_convention(n_fft=100, hop_length=30, padding="same_reflect")
METHODS = {
    "griffin_lim": GriffinLim(),
    "fast_griffin_lim": GriffinLim(0.99),
    "accelerated_griffin_lim": AcceleratedGriffinLim(),
    "other inertia": AcceleratedGriffinLim(0.9, 0.3, 1.2),
    "mel_consistent": MelConsistent(),
    "mel_consistent, 3 sweeps": MelConsistent(GriffinLim(0.99), sweeps=3, agreement=0.7),
}


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Where the kernels run."""
    if request.param == "cuda":
        return "cuda"
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    request.getfixturevalue("host_kernels")
    return "cpu"


def inverter(convention, phase="accelerated_griffin_lim", **options):
    return MelInverter(convention, phase=METHODS[phase], **{"start": "spsi", "n_iter": 4, **options})


def assert_as_exact(run, device, *tensors):
    """By kernels `run` is about as near to its float64 reference as the reference is in float32, and within 1e-5 of its peak.

    Errors grow from step to step, and more where a bin is quiet or a window barely reaches; both forms grow them alike.
    """
    exact = run(*(tensor.double() for tensor in tensors))
    single = run(*tensors).double()
    with backend("cuda"):
        found = run(*(tensor.to(device) for tensor in tensors)).cpu().double()
    assert found.isfinite().all()
    peak, own = exact.abs().max(), (single - exact).abs().max()
    assert (found - exact).abs().max() <= 4 * own + 1e-5 * peak


@pytest.mark.parametrize("frame", [FUSED, ANY_SIZE])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_one_step(device, frame, momentum):
    """1e-5 of the peak, whatever the reference's own float32 does."""
    magnitude = Frame(frame).analyse(tones(1000, (2,))).abs()
    expected = functional.griffin_lim(magnitude.double(), frame, 1, momentum, start="zero")
    with backend("cuda"):
        found = functional.griffin_lim(magnitude.to(device), frame, 1, momentum, start="zero").cpu().double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("method", ["entropic", "least_distance"])
@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_magnitudes_and_their_gradients(device, convention, method):
    mel, inverse = MelAnalyzer(convention).linear(tones(600, (2,))), getattr(functional, method)
    filterbank = MelFilterbank(convention)
    assert_as_exact(lambda mel: inverse(mel, filterbank), device, mel)

    def by_mel(mel):
        leaf = mel.clone().requires_grad_()
        inverse(leaf, filterbank).square().sum().backward()
        return leaf.grad

    assert_as_exact(by_mel, device, mel)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG.replace(n_fft=256, hop_length=64)])
@pytest.mark.parametrize("phase", METHODS)
def test_waveforms(device, convention, phase):
    assert_as_exact(inverter(convention, phase), device, MelAnalyzer(convention)(tones(1000, (2,))))


@pytest.mark.parametrize("frame", [FUSED, ANY_SIZE])
@pytest.mark.parametrize("start", ["spsi", "pghi"])
def test_starts(device, frame, start):
    """1e-3 on the circle: angles are sums over all frames. Nothing else stands between them and float32's own tree and peaks."""
    magnitude = Frame(frame).analyse(tones(1000, (2,))).abs()
    magnitude[1, :, 6:9] = 0
    expected = functional.start_angles(magnitude, frame, start)
    with backend("cuda"):
        found = functional.start_angles(magnitude.to(device), frame, start).cpu()
        alone = functional.start_angles(magnitude[1].to(device), frame, start).cpu()
    assert ((found - expected).cos() > 1 - 1e-6 / 2).all()
    assert torch.equal(found[1], alone)


def test_waveforms_from_a_tree(device):
    """The magnitude's inverse stays the reference's: rounding another magnitude may lead to another tree."""
    magnitude = Frame(FUSED).analyse(tones(1000, (2,))).abs()
    assert_as_exact(lambda magnitude: functional.griffin_lim(magnitude, FUSED, 3, start="pghi"), device, magnitude)


@pytest.mark.parametrize("convention", [TINY_POWER, TINY_LOG.replace(n_fft=256, hop_length=64)])
@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_padded_batches(device, convention, phase):
    """The shortest item is shorter than its padding, which then is mirrored more than once."""
    mel, run = MelAnalyzer(convention)(tones(1000, (3,))), inverter(convention, phase)
    lengths = torch.tensor([mel.shape[-1], 9, 2])
    assert_as_exact(lambda mel: run(mel, lengths=lengths), device, mel)


@pytest.mark.parametrize(
    ("convention", "gradient"),
    [(TINY, "unrolled"), (TINY_LOG, 1), (TINY.replace(n_fft=256, hop_length=64), "checkpointed"), (TINY_POWER, "phase_detached")],
)
@pytest.mark.parametrize("phase", ["fast_griffin_lim", "accelerated_griffin_lim", "mel_consistent"])
def test_gradients(device, convention, phase, gradient):
    run = inverter(convention, phase, gradient=gradient, n_iter=2)

    def by_mel(mel):
        leaf = mel.clone().requires_grad_()
        run(leaf).square().sum().backward()
        return leaf.grad

    assert_as_exact(by_mel, device, MelAnalyzer(convention)(tones(600)))


def test_a_second_derivative_is_the_references(device):
    def twice(magnitude):
        leaf = magnitude.clone().requires_grad_()
        waveform = functional.griffin_lim(leaf, FUSED, 1, start="zero")
        (first,) = torch.autograd.grad(waveform.square().sum(), leaf, create_graph=True)
        return torch.autograd.grad(first.square().sum(), leaf)[0]

    assert_as_exact(twice, device, Frame(FUSED).analyse(tones(600)).abs())


@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_an_item_gets_what_it_gets_alone(device, phase):
    """Bit for bit by the fused kernel; for other sizes the Fourier transforms of a library stand between."""
    convention = TINY.replace(n_fft=256, hop_length=64)
    mel, run = MelAnalyzer(convention)(tones(1000, (3,))).to(device), inverter(convention, phase)
    with backend("cuda"):
        together, alone, again = run(mel), run(mel[1]), run(mel)
    torch.testing.assert_close(together, again, rtol=0, atol=0)
    torch.testing.assert_close(together[1], alone, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e8])
@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_loudness_does_not_matter(device, scale, phase):
    mel, run = MelAnalyzer(TINY).linear(tones(600)).to(device), inverter(TINY, phase, check=False)
    with backend("cuda"):
        found, expected = run(scale * mel), scale * run(mel)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@contextlib.contextmanager
def _no_wait(device):
    """On a CUDA device its own watch besides: what makes the host wait is an error."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


class _NothingAsked(TorchDispatchMode):
    """Refuses what makes the host wait for a device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        assert not any(word in name for word in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")), name
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("phase", ["fast_griffin_lim", "accelerated_griffin_lim", "mel_consistent"])
@pytest.mark.parametrize(
    ("frame", "start"), [(TINY, "spsi"), (TINY, "pghi"), (TINY.replace(n_fft=256, hop_length=64), "pghi")]
)
def test_neither_start_nor_iteration_asks_the_host(device, phase, frame, start):
    mel, run = MelAnalyzer(frame)(tones(600)).to(device), inverter(frame, phase, start=start, check=False)
    with backend("cuda"):
        expected = [run(mel) for _ in range(2)][1]  # the first call makes tables, the second on a device a graph
        with _NothingAsked(), _no_wait(device):
            found = run(mel)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_a_recorded_loop_is_the_loop(host_kernels, monkeypatch, phase):
    """Recording by a stand-in: what goes in and comes out, and what is another graph."""
    made = []
    monkeypatch.setattr(graphs, "_record", lambda *given: made.append(1) or stand_in(*given))
    mels = [MelAnalyzer(TINY)(scale * tones(600, (2,))) for scale in (1, 0.3, 0.1)]
    runs = [inverter(TINY, phase, n_iter=n_iter) for n_iter in (1, 2)]
    with backend("cuda"):
        expected = [[run(mel) for mel in mels] for run in runs]
        monkeypatch.setattr("torchmelinv.phase.run.worth_recording", lambda *_: True)
        found = [[run(mel) for mel in mels] for run in runs]
        with torch.inference_mode():
            found[0].append(runs[0](mels[0]))
    graphs.forget()
    assert len(made) == 2
    torch.testing.assert_close(found, [[*expected[0], expected[0][0]], expected[1]], rtol=0, atol=0)


def test_filters_of_which_kernels_know_nothing_are_refused_with_the_reason(device):
    """Square filters, of which three share a bin."""
    table = torch.zeros(6, 65)
    for band in range(6):
        table[band, 5 * band : 5 * band + 15] = 1
    mel = torch.rand(6, 10).to(device)
    with backend("cuda"), pytest.raises(InputError, match=r"a magnitude inverse: .* at most two neighbours share a bin"):
        functional.entropic(mel, MelFilterbank(table.to(device)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(preset_names()) - {"riffusion"}))
def test_every_preset(device, name):
    """Sizes, filters, floors and paddings of real use. From random phases: `spsi` may take another peak where two are equal."""
    convention = preset(name)
    mel = MelAnalyzer(convention)(tones(8 * convention.n_fft))
    assert_as_exact(MelInverter(convention, n_iter=2, start="random", check=False), device, mel)


def test_the_one_preset_that_has_too_many_filters(device):
    mel = MelAnalyzer("riffusion")(tones(40000)).to(device)
    with backend("cuda"), pytest.raises(InputError, match="512 filters are more"):
        MelInverter("riffusion")(mel)
