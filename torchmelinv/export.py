"""Export the inversion and the analysis to ONNX, for runtimes without Python or torch.

The file takes mels (or waveforms) of any batch size and any length. It has no checks of values and
no warnings; its metadata say which convention, options and version made it.

`torch.export.export(inverter, (mel,), dynamic_shapes=...)` makes a torch program of the same
computation.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import torchmelinv
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv._utils.optional import require
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.paths import atomic_write
from torchmelinv.phases import RTISILA
from torchmelinv.synthetic_voice import signal

__all__ = ["ExportReport", "export_onnx"]

OPSET = 20  # the first with a discrete Fourier transform along any axis and irfft in torch
_EXTRA = "export"
_MIN_TORCH = "2.11"  # the exporter of torch 2.6 fixes the sizes of the batch and of the signal
_EXAMPLE_FRAMES, _CHECKED_FRAMES = 40, 57
_LEAST_FRAMES, _MOST_FRAMES = 8, 2**16
_MOST_ITEMS = 2**12
_LARGEST_CONSTANT = 2**24  # elements


class ExportReport(NamedTuple):
    """What was written, and how far it is from torch.

    Args:
        path: The file.
        n_bytes: Its size.
        error: Largest difference between ONNX Runtime and torch, of another size than the export
            saw, relative to the peak.

    Example:
        >>> from torchmelinv.export import ExportReport
        >>> ExportReport("vocoder.onnx", 5_000_000, 2e-6).error < 1e-4
        True
    """

    path: str
    n_bytes: int
    error: float


def _check_exportable(inverter: MelInverter) -> None:
    """Refuse what decides by values and has no form with fixed control flow."""
    reason = None
    if inverter.magnitude == "nnls":
        reason = "magnitude='nnls' stops by values; use 'entropic' or 'least_distance'"
    elif inverter.tolerance is not None:
        reason = "tolerance stops items by values; set tolerance=None"
    elif inverter.channels:
        reason = "channels=True has another shape of input; export it with channels=False"
    else:
        stages = inverter._method.stages(max(1, inverter.n_iter))
        if any(isinstance(stage, RTISILA) for stage, _ in stages):
            reason = f"phase={inverter.phase!r} goes from frame to frame; use another phase method"
    if reason is not None:
        raise InputError(f"this inverter cannot be exported: {reason}")


def _program(module: nn.Module, example: Tensor, name: str) -> Any:
    """Return the ONNX program of a module of one tensor (batch, …, length)."""
    # Here, because they load the compiler.
    from torch._dynamo.exc import UserError
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    length = example.ndim - 1
    n_frames = torch.export.Dim("n_frames", min=_LEAST_FRAMES, max=_MOST_FRAMES)
    batch = torch.export.Dim("batch", min=1, max=_MOST_ITEMS)
    shapes = ({0: batch, length: torch.export.Dim.DYNAMIC if length == 1 else n_frames},)
    try:
        with torch.no_grad():
            exported = torch.export.export(module.eval(), (example,), dynamic_shapes=shapes)
    except (UserError, GuardOnDataDependentSymNode) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"this module cannot be exported: {reason}") from error
    output_name = "waveform" if name == "mel" else "mel"
    program: Any = torch.onnx.export(
        exported,
        dynamo=True,
        input_names=[name],
        output_names=[output_name],
        opset_version=OPSET,
        verbose=False,
    )
    axes: dict[str, list[Any]] = {
        "mel": ["batch", example.shape[1], "n_frames"],
        "waveform": ["batch", "n_samples"],
    }
    if name == "waveform":
        axes["mel"][1] = program.model.graph.outputs[0].shape[1]
    shape_of = require("onnx_ir", _EXTRA).Shape
    program.model.graph.inputs[0].shape = shape_of(axes[name])
    program.model.graph.outputs[0].shape = shape_of(axes[output_name])
    _shrink(program.model)
    return program


def _shrink(model: Any) -> None:
    """Remove traces of the source code, and copies of constants: nine tenths of the file."""
    passes = importlib.import_module("onnx_ir.passes.common")
    passes.ClearMetadataAndDocStringPass()(model)
    passes.DeduplicateInitializersPass(size_limit=_LARGEST_CONSTANT)(model)


def _example(name: str, convention: MelConvention, n_items: int, n_frames: int) -> Tensor:
    """Return a batch of mels or waveforms of a synthetic voice, each a little later."""
    n_samples, hop = convention.n_samples(n_frames), convention.hop_length
    voice = signal(sample_rate=convention.sample_rate).float()
    voice = voice.repeat(2 + (n_samples + n_items * hop) // len(voice))
    start = len(voice) // 4
    parts = [voice[start + item * hop :][:n_samples] for item in range(n_items)]
    # A little noise, because the logarithm of near silence magnifies rounding.
    noise = 1e-3 * torch.randn(n_items, n_samples, generator=torch.Generator().manual_seed(0))
    waveforms = torch.stack(parts) + noise
    return waveforms if name == "waveform" else MelSpectrogram(convention)(waveforms)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's progress and its warnings about packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _run(path: Path, name: str, values: Tensor) -> Tensor:
    """Return the output of a file in ONNX Runtime."""
    runtime = require("onnxruntime", _EXTRA)
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    session = runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: values.numpy()})
    return torch.from_numpy(np.asarray(output))


def export_onnx(module: MelInverter | MelSpectrogram, path: str | os.PathLike[str]) -> ExportReport:
    """Write an inverter (mel to waveform) or an analysis (waveform to mel) as an ONNX file.

    The inputs are ``mel`` (batch, n_mels, n_frames) or ``waveform`` (batch, n_samples), in float32,
    of at least 8 frames; the output is ``waveform`` or ``mel``. ONNX Runtime then runs the file on
    a batch of another size, and the difference from torch in the same form is returned. Conversion
    takes some minutes for 32 iterations.

    Args:
        module: A `MelInverter` or `MelSpectrogram` on the CPU.
        path: The file to write.

    Returns:
        Path, size and error of the file.

    Raises:
        InputError: If the module has an option that cannot be exported.
        DependencyError: If onnx, onnxscript or onnxruntime is missing, or torch is older than 2.11.
        FileError: If the file cannot be written.

    Example:
        >>> import torchmelinv as tmi
        >>> from torchmelinv.export import export_onnx
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=32)
        >>> report = export_onnx(inverter, "vocoder.onnx")  # doctest: +SKIP
    """
    if torch.__version__ < _MIN_TORCH:
        raise DependencyError(
            f"the export needs torch 2.11 or newer, and this is torch {torch.__version__}; "
            "a newer torch in an environment of its own writes the same file"
        )
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, _EXTRA)
    name, settings = "waveform", ""
    if isinstance(module, MelInverter):
        _check_exportable(module)
        name, settings = "mel", module.extra_repr()
    elif not isinstance(module, MelSpectrogram):
        raise InputError(
            f"module has type {type(module).__name__}; it must be a MelInverter or MelSpectrogram"
        )
    convention = module.convention
    example, checked = (
        _example(name, convention, n_items, n_frames)
        for n_items, n_frames in ((2, _EXAMPLE_FRAMES), (3, _CHECKED_FRAMES))
    )
    with _quiet():
        program = _program(module, example, name)
    program.model.metadata_props.update(
        torchmelinv_version=torchmelinv.__version__,
        convention=convention.to_json(),
        sample_rate=f"{convention.sample_rate:g}",
        settings=settings,
    )
    program.model.producer_name = "torchmelinv"
    program.model.producer_version = torchmelinv.__version__
    with atomic_write(Path(path)) as temporary:
        program.save(temporary)
        output = _run(Path(temporary), name, checked)
        n_bytes = Path(temporary).stat().st_size
    with torch.no_grad(), fixed_control_flow():
        expected = module(checked)
    error = float((output - expected).abs().max() / expected.abs().max())
    return ExportReport(str(path), n_bytes, error)
