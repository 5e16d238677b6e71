"""Every computation that has kernels agrees by kernels with the reference in float64.

The sources of the kernels run in emulation; on a machine with a CUDA device the same tests run
there, too.
"""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.host_cuda import COMPILER, fake_capture
from tests.problems import TINY, TINY_LOG, TINY_POWER, stft_convention, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.cuda import graphs, newton_cuda, verdicts
from torchmelinv.cuda.backend import backend
from torchmelinv.errors import InputError
from torchmelinv.functional import initial_phase, magnitude_to_waveform
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phases import AcceleratedGriffinLim, GriffinLim, MelConsistent
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

FUSED = stft_convention(n_fft=256, hop_length=64)
ANY_SIZE = stft_convention(n_fft=100, hop_length=30, padding="same_reflect")
TINY_FUSED = TINY.replace(n_fft=256, hop_length=64)
TINY_LOG_FUSED = TINY_LOG.replace(n_fft=256, hop_length=64)
# The methods whose steps are kernels, and some with other hyper-parameters.
METHODS = {name: PHASES[name]() for name in PHASES if PHASES[name]().cuda_graph_safe}
VARIANTS = {
    **METHODS,
    "different alpha and beta": AcceleratedGriffinLim(0.9, 0.3, 1.2),
    "three updates": MelConsistent(GriffinLim(0.99), inner_iter=3, damping=0.7),
}


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """The device where the kernels run."""
    if request.param == "cuda":
        return "cuda"
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    request.getfixturevalue("host_kernels")
    return "cpu"


def inverter(convention, phase="accelerated_griffin_lim", **options):
    return MelInverter(
        convention, phase=VARIANTS[phase], **{"init": "spsi", "n_iter": 4, **options}
    )


def assert_as_exact(run, device, *tensors):
    """Compare kernels with the float64 reference, relative to the reference in float32.

    Both forms amplify errors alike: they grow from step to step, and more where a bin is quiet or a
    window barely reaches. Kernels may have four times the error, and 1e-5 of the peak in addition.
    """
    exact = run(*(tensor.double() for tensor in tensors))
    single = run(*tensors).double()
    with backend("cuda"):
        result = run(*(tensor.to(device) for tensor in tensors)).cpu().double()
    assert result.isfinite().all()
    peak, error = exact.abs().max(), (single - exact).abs().max()
    assert (result - exact).abs().max() <= 4 * error + 1e-5 * peak


@pytest.mark.parametrize("convention", [FUSED, ANY_SIZE])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_one_step(device, convention, momentum):
    """Within 1e-5 of the peak, whatever the error of the reference in float32."""
    magnitude = STFT(convention)(tones(1000, (2,))).abs()
    options = {"method": GriffinLim(momentum), "n_iter": 1, "init": "zero"}
    expected = magnitude_to_waveform(magnitude.double(), convention, **options)
    with backend("cuda"):
        waveform = magnitude_to_waveform(magnitude.to(device), convention, **options)
    atol = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(waveform.cpu().double(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("method", newton_cuda.METHODS)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_magnitude_inverses_and_their_gradients(device, convention, method):
    mel = MelSpectrogram(convention).linear_mel(tones(600, (2,)))
    inverse, filterbank = MAGNITUDES[method], MelFilterbank(convention)
    assert_as_exact(lambda mel: inverse(mel, filterbank), device, mel)

    def gradient(mel):
        leaf = mel.clone().requires_grad_()
        inverse(leaf, filterbank).square().sum().backward()
        return leaf.grad

    assert_as_exact(gradient, device, mel)


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG_FUSED])
@pytest.mark.parametrize("phase", VARIANTS)
def test_waveforms(device, convention, phase):
    mel = MelSpectrogram(convention)(tones(1000, (2,)))
    assert_as_exact(inverter(convention, phase), device, mel)


@pytest.mark.parametrize("convention", [FUSED, ANY_SIZE])
@pytest.mark.parametrize("init", ["spsi", "pghi"])
def test_initial_phases(device, convention, init):
    """Within 1e-3 on the circle: angles are sums over all frames.

    No other error separates them from the tree and the peaks of the reference in float32.
    """
    magnitude = STFT(convention)(tones(1000, (2,))).abs()
    magnitude[1, :, 6:9] = 0
    expected = initial_phase(magnitude, convention, init)
    with backend("cuda"):
        angles = initial_phase(magnitude.to(device), convention, init).cpu()
        alone = initial_phase(magnitude[1].to(device), convention, init).cpu()
    assert ((angles - expected).cos() > 1 - 1e-6 / 2).all()
    assert torch.equal(angles[1], alone)


def test_waveforms_from_pghi(device):
    """The magnitude is given: rounding another magnitude may lead to another tree."""
    magnitude = STFT(FUSED)(tones(1000, (2,))).abs()
    run = lambda magnitude: magnitude_to_waveform(magnitude, FUSED, "griffin_lim", 3)  # noqa: E731
    assert_as_exact(run, device, magnitude)


@pytest.mark.parametrize("convention", [TINY_POWER, TINY_LOG_FUSED])
@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_padded_batches(device, convention, phase):
    """The shortest item is shorter than its padding, which then mirrors it more than once."""
    mel, run = MelSpectrogram(convention)(tones(1000, (3,))), inverter(convention, phase)
    lengths = torch.tensor([mel.shape[-1], 9, 2])
    assert_as_exact(lambda mel: run(mel, lengths=lengths), device, mel)


@pytest.mark.parametrize(
    ("convention", "gradient"),
    [
        (TINY, "unrolled"),
        (TINY_LOG, 1),
        (TINY_FUSED, "checkpointed"),
        (TINY_POWER, "phase_detached"),
    ],
)
@pytest.mark.parametrize("phase", ["fast_griffin_lim", "accelerated_griffin_lim", "mel_consistent"])
def test_gradients(device, convention, phase, gradient):
    run = inverter(convention, phase, gradient=gradient, n_iter=2)

    def mel_gradient(mel):
        leaf = mel.clone().requires_grad_()
        run(leaf).square().sum().backward()
        return leaf.grad

    assert_as_exact(mel_gradient, device, MelSpectrogram(convention)(tones(600)))


def test_second_derivatives_are_those_of_the_reference(device):
    def second_derivative(magnitude):
        leaf = magnitude.clone().requires_grad_()
        waveform = magnitude_to_waveform(leaf, FUSED, "griffin_lim", 1, init="zero")
        (first,) = torch.autograd.grad(waveform.square().sum(), leaf, create_graph=True)
        return torch.autograd.grad(first.square().sum(), leaf)[0]

    assert_as_exact(second_derivative, device, STFT(FUSED)(tones(600)).abs())


@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_an_item_is_bitwise_the_same_alone(device, phase):
    """For the fused kernel; other sizes use the Fourier transforms of a library."""
    mel = MelSpectrogram(TINY_FUSED)(tones(1000, (3,))).to(device)
    run = inverter(TINY_FUSED, phase)
    with backend("cuda"):
        batch, alone, repeated = run(mel), run(mel[1]), run(mel)
    torch.testing.assert_close(batch, repeated, rtol=0, atol=0)
    torch.testing.assert_close(batch[1], alone, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e8])
@pytest.mark.parametrize("phase", ["accelerated_griffin_lim", "mel_consistent"])
def test_scale_equivariance(device, scale, phase):
    mel = MelSpectrogram(TINY).linear_mel(tones(600)).to(device)
    run = inverter(TINY, phase, check=False)
    with backend("cuda"):
        scaled, expected = run(scale * mel), scale * run(mel)
    atol = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(scaled, expected, rtol=0, atol=atol)


@contextlib.contextmanager
def _sync_is_an_error(device):
    """On a CUDA device, let torch raise an error where the host waits."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


class _RefuseSyncs(TorchDispatchMode):
    """Refuse operations that make the host wait for a device."""

    SYNCS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        assert not any(word in name for word in self.SYNCS), name
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("phase", ["fast_griffin_lim", "accelerated_griffin_lim", "mel_consistent"])
@pytest.mark.parametrize(
    ("convention", "init"), [(TINY, "spsi"), (TINY, "pghi"), (TINY_FUSED, "pghi")]
)
def test_no_host_sync(device, phase, convention, init):
    mel = MelSpectrogram(convention)(tones(600)).to(device)
    run = inverter(convention, phase, init=init, check=False)
    with backend("cuda"):
        run(mel)  # the first call builds tables
        expected = run(mel)  # on a device the second call captures a graph
        with _RefuseSyncs(), _sync_is_an_error(device):
            waveform = run(mel)
    torch.testing.assert_close(waveform, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("verified", "kernels"),
    [
        (set(), set()),
        ({"init 'spsi'"}, {"spsi_advance", "spsi_angles"}),
        ({"fused mel step, n_fft 256"}, {"fused_step"}),
        ({"fused mel step, n_fft 1024", "mel step by pairs of frames"}, set()),
        ({"a filterbank inverse", "of another version"}, {"newton"}),
    ],
)
def test_auto_runs_the_verified_kernels_alone(host_kernels, monkeypatch, verified, kernels):
    mel = MelSpectrogram(TINY_FUSED)(tones(600))
    run = inverter(TINY_FUSED, "mel_consistent", magnitude="entropic")
    expected = run(mel)
    monkeypatch.setattr(verdicts, "_device_count", lambda: 1)
    monkeypatch.setattr(verdicts, "_verified_on", lambda _: frozenset(verified))
    waveform = run(mel)
    assert set(host_kernels.launched) == kernels
    torch.testing.assert_close(waveform, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["cuda", "reference"])
@pytest.mark.parametrize("phase", METHODS)
def test_a_captured_loop_is_the_loop(host_kernels, monkeypatch, phase, name):
    """With a fake capture: inputs, outputs, and what counts as another graph."""
    captures = []

    def capture(*arguments):
        captures.append(arguments)
        return fake_capture(*arguments)

    monkeypatch.setattr(graphs, "capture", capture)
    mels = [MelSpectrogram(TINY)(scale * tones(600, (2,))) for scale in (1, 0.3, 0.1)]
    runs = [inverter(TINY, phase, n_iter=n_iter) for n_iter in (1, 2)]
    with backend(name):
        expected = [[run(mel) for mel in mels] for run in runs]
        monkeypatch.setattr("torchmelinv.phase.iterate_stages.worth_capturing", lambda *_: True)
        waveforms = [[run(mel) for mel in mels] for run in runs]
        with torch.inference_mode():
            waveforms[0].append(runs[0](mels[0]))
    graphs.clear()
    # On the CPU, where this device is pretended, coarse_to_fine has weights, which are no input.
    assert len(captures) == (0 if phase == "coarse_to_fine" else 2)
    expected = [[*expected[0], expected[0][0]], expected[1]]
    torch.testing.assert_close(waveforms, expected, rtol=0, atol=0)


def test_both_forms_have_graphs_of_their_own(host_kernels, monkeypatch):
    captures = []

    def capture(*arguments):
        captures.append(list(host_kernels.launched))
        return fake_capture(*arguments)

    monkeypatch.setattr(graphs, "capture", capture)
    monkeypatch.setattr("torchmelinv.phase.iterate_stages.worth_capturing", lambda *_: True)
    mel, run = MelSpectrogram(TINY)(tones(600)), inverter(TINY)
    for name in ("reference", "cuda", "reference", "cuda"):
        host_kernels.launched.clear()
        with backend(name):
            run(mel)
    graphs.clear()
    assert [bool(launched) for launched in captures] == [False, True]


@pytest.mark.parametrize(
    "options",
    [
        {"tolerance": 1e-3},
        {"phase": "admm"},
        {"phase": MelConsistent(time_structure=1.0)},
    ],
    ids=str,
)
def test_what_reads_values_between_steps_is_not_captured(monkeypatch, options):
    monkeypatch.setattr(graphs, "capture", lambda *_: pytest.fail("captured"))
    monkeypatch.setattr("torchmelinv.phase.iterate_stages.worth_capturing", lambda *_: True)
    run = MelInverter(TINY, **{"n_iter": 2, "init": "spsi", **options})
    mel = MelSpectrogram(TINY)(tones(600))
    for _ in range(3):
        run(mel)


@pytest.mark.gpu
@pytest.mark.parametrize("phase", METHODS)
def test_plain_calls_are_captured_when_they_come_again(phase):
    graphs.clear()
    mels = [MelSpectrogram(TINY)(scale * tones(600)).cuda() for scale in (1, 0.3, 0.1)]
    run = inverter(TINY, phase, check=False)
    with backend("reference"):
        waveforms = [run(mel) for mel in mels]
        assert any(graphs._graphs.values())
        graphs.clear()
        expected = []
        for mel in mels:  # a first call is not captured
            expected.append(run(mel))
            graphs.clear()
    torch.testing.assert_close(waveforms, expected, rtol=0, atol=1e-6)


@pytest.mark.gpu
def test_users_capture_a_call():
    first, other = (MelSpectrogram(TINY)(scale * tones(600)).cuda() for scale in (1, 0.3))
    run, static = inverter(TINY, check=False), first.clone()
    expected = run(other)
    graph = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.no_grad():
        run(static)
    torch.cuda.current_stream().wait_stream(side)
    with torch.no_grad(), torch.cuda.graph(graph):
        waveform = run(static)
    static.copy_(other)
    graph.replay()
    torch.testing.assert_close(waveform, expected, rtol=0, atol=1e-6)


@pytest.mark.gpu
def test_users_capture_forward_and_backward():
    mel = MelSpectrogram(TINY)(tones(600)).cuda()
    run = inverter(TINY, check=False, n_iter=2)

    def gradient(function):
        leaf = mel.clone().requires_grad_()
        function(leaf).square().sum().backward()
        return leaf.grad

    expected = gradient(run)
    captured = torch.cuda.make_graphed_callables(run, (mel.clone().requires_grad_(),))
    torch.testing.assert_close(gradient(captured), expected, rtol=1e-3, atol=1e-5)


def test_unsupported_filters_are_refused_with_the_reason(device):
    """Square filters, of which three share a bin."""
    table = torch.zeros(6, 65)
    for band in range(6):
        table[band, 5 * band : 5 * band + 15] = 1
    mel, filterbank = torch.rand(6, 10).to(device), MelFilterbank(table.to(device))
    message = r"a filterbank inverse: .* at most two neighbors share a bin"
    with backend("cuda"), pytest.raises(InputError, match=message):
        MAGNITUDES["entropic"](mel, filterbank)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(preset_names()) - {"riffusion"}))
def test_every_preset(device, name):
    """Sizes, filters, floors and paddings of real use, from random phases.

    `spsi` may take another peak where two are equal.
    """
    convention = preset(name)
    mel = MelSpectrogram(convention)(tones(8 * convention.n_fft))
    assert_as_exact(MelInverter(convention, n_iter=2, init="random", check=False), device, mel)


def test_the_preset_with_too_many_filters_is_refused(device):
    mel = MelSpectrogram("riffusion")(tones(40000)).to(device)
    with backend("cuda"), pytest.raises(InputError, match="512 filters are more"):
        MelInverter("riffusion")(mel)
