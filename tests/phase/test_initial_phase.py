"""Initial phases: magnitude and angles by name and as given tensors, and `initial_phase`."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, stft_convention, tones
from tests.solve import solve
from torchmelinv.cuda.backend import backend
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.functional import initial_phase
from torchmelinv.phase.initial_phase import INITS, check_init, copy_phase, init_spectrum
from torchmelinv.phase.pghi import pghi
from torchmelinv.phase.spsi import spsi
from torchmelinv.phases import GriffinLim
from torchmelinv.transforms.stft import STFT

CONVENTION = stft_convention(n_fft=16, hop_length=4)
MAGNITUDE = torch.rand(2, 6, 9, dtype=torch.float64)  # (items, frames, n_freqs)


def test_initial_spectra_have_the_magnitude_and_equal_angles_in_all_items():
    zero = init_spectrum("zero", 0, MAGNITUDE, CONVENTION)
    torch.testing.assert_close(zero, MAGNITUDE + 0j)
    random = init_spectrum("random", 3, MAGNITUDE, CONVENTION)
    torch.testing.assert_close(random.abs(), MAGNITUDE)
    torch.testing.assert_close(random[0].angle(), random[1].angle())
    angles = torch.rand_like(MAGNITUDE)
    given = init_spectrum(angles, 0, MAGNITUDE, CONVENTION)
    torch.testing.assert_close(given, torch.polar(MAGNITUDE, angles))


def test_estimated_phases_by_name():
    estimates = {"spsi": spsi(MAGNITUDE, CONVENTION), "pghi": pghi(MAGNITUDE, CONVENTION, 3)}
    for name, angles in estimates.items():
        spectrum = init_spectrum(name, 3, MAGNITUDE, CONVENTION)
        torch.testing.assert_close(spectrum, torch.polar(MAGNITUDE, angles))


@pytest.mark.parametrize("name", INITS)
def test_gradients_pass_the_magnitude_and_not_the_angles(name):
    """The derivative of A e^(iφ) is 1 along e^(iφ), and 0 across it."""
    magnitude = MAGNITUDE.clone().requires_grad_()
    spectrum = init_spectrum(name, 0, magnitude, CONVENTION)
    rotated = spectrum * spectrum.detach().sgn().conj()
    (along,) = torch.autograd.grad(rotated.real.sum(), magnitude, retain_graph=True)
    torch.testing.assert_close(along, torch.ones_like(MAGNITUDE))
    (across,) = torch.autograd.grad(rotated.imag.sum(), magnitude)
    torch.testing.assert_close(across, torch.zeros_like(MAGNITUDE), atol=1e-12, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", INITS)
def test_all_initial_phases_can_be_captured_with_kernels(name):
    magnitude = MAGNITUDE.float().cuda()
    with backend("cuda"):
        expected = init_spectrum(name, 0, magnitude, CONVENTION)  # builds tables and modules
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            spectrum = init_spectrum(name, 0, magnitude, CONVENTION)
    graph.replay()
    assert torch.equal(spectrum, expected)


@pytest.mark.gpu
def test_capturing_a_host_sync_is_refused():
    magnitude = MAGNITUDE.float().cuda()
    graph = torch.cuda.CUDAGraph()
    with (
        backend("reference"),
        torch.cuda.graph(graph),
        pytest.raises(InputError, match="use backend 'cuda'"),
    ):
        init_spectrum("pghi", 0, magnitude, CONVENTION)


@pytest.mark.parametrize("name", ["randm", "Zero", "", None, 0, ["zero"]])
def test_unknown_names(name):
    with pytest.raises(InputError, match="it must be one of 'zero', 'random', 'spsi', 'pghi'"):
        check_init(name)
    with pytest.raises(InputError, match=r"^init (is|has type) "):
        init_spectrum(name, 0, MAGNITUDE, CONVENTION)


def test_an_error_suggests_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'random'"):
        check_init("randm")
    assert [check_init(name) for name in INITS] == list(INITS)


@pytest.mark.parametrize("name", INITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_phase_gives_the_angles_of_the_named_init(name, dtype):
    convention = TINY.stft
    magnitude = STFT(convention)(tones(800, (2, 2), dtype)).abs()
    angles = initial_phase(magnitude, convention, name, seed=4)
    assert (angles.shape, angles.dtype) == (magnitude.shape, dtype)
    by_angles, by_name = (
        solve(GriffinLim(), magnitude, convention, 2, init=init, seed=4).waveform
        for init in (angles, name)
    )
    # Two iterations amplify rounding in quiet bins.
    tolerance = 1e-4 if dtype == torch.float32 else 1e-8
    torch.testing.assert_close(by_angles, by_name, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", INITS)
def test_initial_phase_accepts_any_convention_and_batch_and_passes_no_gradient(name):
    magnitude = STFT(TINY)(tones(800)).abs()
    angles = initial_phase(magnitude.clone().requires_grad_(), TINY, name)
    assert not angles.requires_grad
    assert torch.equal(angles, initial_phase(magnitude, TINY.stft, name))
    assert torch.equal(initial_phase(magnitude[None, None], TINY, name)[0, 0], angles)
    half = initial_phase(magnitude.half(), TINY, name)
    assert half.dtype == torch.float32
    assert half.isfinite().all()


def test_the_default_is_pghi():
    default = initial_phase(MAGNITUDE.mT, CONVENTION)
    assert torch.equal(default, initial_phase(MAGNITUDE.mT, CONVENTION, "pghi", seed=0))


def test_previous_continues_from_an_earlier_chunk():
    stft = STFT(TINY)
    magnitude = stft(tones(1600, (2,), torch.float64)).abs()
    whole = initial_phase(magnitude, TINY, "spsi")
    first, second = whole[..., :20], magnitude[..., 20:]
    continued = initial_phase(second, TINY, "spsi", previous=whole[..., 19])
    expected = spsi(second.mT, TINY.stft, whole[..., 19]).mT
    torch.testing.assert_close(continued, expected)
    joined = torch.cat([first, continued], -1)
    restarted = torch.cat([first, initial_phase(second, TINY, "spsi")], -1)
    errors = []
    for angles in (whole, joined, restarted):
        error = stft(stft.inverse(torch.polar(magnitude, angles))).abs() - magnitude
        errors.append(error[..., 16:26].norm())  # around the boundary
    assert errors[1] < 1.1 * errors[0] < errors[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "spsy"}, "did you mean 'spsi'"),
        ({"init": ["spsi"]}, "init has type list"),
        ({"init": MAGNITUDE}, "init has type Tensor"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"init": "pghi", "previous": torch.zeros(2, 9)}, "only 'spsi' continues"),
        ({"previous": torch.zeros(9)}, r"previous has shape \(9,\); it must be \(2, 9\)"),
        ({"previous": [0.0]}, "previous has type list"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(InputError, match=message):
        initial_phase(MAGNITUDE.mT, CONVENTION, **options)


def test_preset_names_are_conventions():
    magnitude = STFT("whisper_80")(tones(800)).abs()
    assert initial_phase(magnitude, "whisper_80").shape == magnitude.shape
    with pytest.raises(ConventionError, match="did you mean"):
        initial_phase(magnitude, "whisper_8")


@pytest.mark.parametrize("shape", [(3, 9, 6), (1, 2, 9, 6), (2, 9, 5)])
def test_given_angles_must_broadcast_to_the_magnitude(shape):
    with pytest.raises(InputError, match=r"init \(angles\) has shape"):
        solve(GriffinLim(), MAGNITUDE.mT, CONVENTION, 1, init=torch.zeros(shape))


def test_given_angles_must_be_floating_point():
    with pytest.raises(InputError, match="floating point"):
        solve(GriffinLim(), MAGNITUDE.mT, CONVENTION, 1, init=torch.zeros(2, 9, 6).int())


def test_given_angles_broadcast_and_pass_no_gradient():
    angles = torch.rand(9, 6, dtype=torch.float64)
    expanded = angles.expand(2, -1, -1)
    expected = solve(GriffinLim(), MAGNITUDE.mT, CONVENTION, 1, init=expanded).waveform
    angles.requires_grad_()
    waveform = solve(GriffinLim(), MAGNITUDE.mT, CONVENTION, 1, init=angles).waveform
    assert not waveform.requires_grad
    assert torch.equal(waveform, expected)


def test_initial_phase_needs_a_magnitude():
    with pytest.raises(InputError, match="magnitude has shape"):
        initial_phase(MAGNITUDE, CONVENTION)
    with pytest.raises(InputError, match="take its magnitude first"):
        initial_phase(MAGNITUDE.mT + 0j, CONVENTION)


def test_copy_phase():
    spectrum = torch.randn(2, 6, 9, dtype=torch.complex128)
    spectrum[0, 0, 0] = 0
    result = copy_phase(spectrum, MAGNITUDE)
    torch.testing.assert_close(result.abs(), MAGNITUDE)
    torch.testing.assert_close(result.sgn(), torch.where(spectrum == 0, 1, spectrum).sgn())
