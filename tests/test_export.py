"""Exported files in ONNX Runtime against torch."""

from __future__ import annotations

import importlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.torch_version import TorchVersion

import torchmelinv as tmi
from tests.problems import TINY_LOG
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.export import export_onnx

# Some of the exporter's own packages warn of what they will change.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(torch.__version__ < (2, 11), reason="the exporter fixes all sizes"),
]
CLOSE = 1e-4  # of the peak
# From the phase that PGHI estimates, float32 in torch is up to 8e-5 from float64 itself.
CLOSE_FROM_PGHI = 2e-4


def noise_mel(n_items: int, n_frames: int, convention: tmi.MelConvention = TINY_LOG):
    waveform = 0.1 * torch.randn(n_items, convention.n_samples(n_frames))
    return tmi.MelSpectrogram(convention)(waveform)


def run(path, values: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = (each.name for each in session.get_inputs())
    return torch.from_numpy(np.asarray(session.run(None, {name: values.numpy()})[0]))


def check_inverter(path, close: float, n_iter: int, **options):
    inverter = tmi.MelInverter(TINY_LOG, n_iter=n_iter, **options)
    report = export_onnx(inverter, path)
    assert report.error < close
    assert report.n_bytes == path.stat().st_size
    inputs = onnx.load(report.path).graph.input
    assert [dim.dim_param or dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim] == [
        "batch",
        TINY_LOG.n_mels,
        "n_frames",
    ]
    for n_items, n_frames in ((1, 8), (2, 33), (5, 130)):
        mel = noise_mel(n_items, n_frames)
        with fixed_control_flow():
            expected = inverter(mel)
        waveform = run(report.path, mel)
        assert waveform.shape == expected.shape
        assert float((waveform - expected).abs().max()) < close * float(expected.abs().max())
    metadata = {each.key: each.value for each in onnx.load(report.path).metadata_props}
    assert tmi.MelConvention.from_json(metadata["convention"]) == TINY_LOG
    assert metadata["torchmelinv_version"] == tmi.__version__
    assert f"n_iter={n_iter}" in metadata["settings"]
    assert b".py" not in path.read_bytes()  # no traces of the source code


def test_an_inverter(tmp_path):
    path = tmp_path / "vocoder.onnx"
    check_inverter(path, CLOSE, 1, magnitude="transpose", init="random", restore="none")


@pytest.mark.slow
def test_the_default_for_short_and_long_mels(tmp_path):
    check_inverter(tmp_path / "vocoder.onnx", CLOSE_FROM_PGHI, 2)


def test_an_analysis(tmp_path):
    analysis = tmi.MelSpectrogram(TINY_LOG)
    report = export_onnx(analysis, tmp_path / "analysis.onnx")
    waveform = 0.1 * torch.randn(3, 2000)
    expected = analysis(waveform)
    assert float((run(report.path, waveform) - expected).abs().max()) < CLOSE * float(
        expected.abs().max()
    )


@pytest.mark.parametrize("phase", ["griffin_lim", "fast_griffin_lim", "admm", "raar"])
def test_a_torch_program_of_every_size(phase):
    inverter = tmi.MelInverter(
        TINY_LOG, "transpose", phase, n_iter=2, init="random", restore="none", check=False
    )
    sizes = ({0: torch.export.Dim("batch"), 2: torch.export.Dim("n_frames", min=8, max=4096)},)
    program = torch.export.export(inverter.eval(), (noise_mel(2, 20),), dynamic_shapes=sizes)
    mel = noise_mel(3, 47)
    expected = inverter(mel)
    torch.testing.assert_close(program.module()(mel), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_preset_in_a_few_iterations(tmp_path):
    inverter = tmi.MelInverter("hifigan_22k", n_iter=3)
    assert export_onnx(inverter, tmp_path / "vocoder.onnx").error < CLOSE_FROM_PGHI


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"magnitude": "nnls"}, "nnls"),
        ({"tolerance": 1e-3}, "tolerance"),
        ({"channels": True}, "channels"),
        ({"phase": "rtisi_la"}, "rtisi_la"),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export_onnx(tmi.MelInverter(TINY_LOG, **options), tmp_path / "vocoder.onnx")
    assert not list(tmp_path.iterdir())


def test_other_modules_are_refused(tmp_path):
    with pytest.raises(InputError, match="Linear"):
        export_onnx(torch.nn.Linear(1, 1), tmp_path / "vocoder.onnx")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    plain = importlib.import_module

    def import_module(name: str):
        if name == "onnxscript":
            raise ImportError("no such module")
        return plain(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(DependencyError, match=r"torchmelinv\[export\]"):
        export_onnx(tmi.MelInverter(TINY_LOG), tmp_path / "vocoder.onnx")


def test_the_settings_are_text():
    json.dumps(tmi.MelInverter(TINY_LOG).extra_repr())


def test_an_older_torch_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.6.0+cu124"))
    with pytest.raises(DependencyError, match=r"torch 2\.11 or newer, and this is torch 2\.6"):
        export_onnx(tmi.MelSpectrogram(TINY_LOG), tmp_path / "x.onnx")
