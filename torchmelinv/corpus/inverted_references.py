"""References inverted from their own mels: the best that any system with the same inversion can do.

The difference between this and a system's score comes from the system's mels; what remains is lost
by the mel and the inversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

import torchmelinv
from torchmelinv._utils.options import named_options
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.pairs import Pair, read_side
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import SINGLE_PROCESS, World
from torchmelinv.errors import DiskError, FileError, TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import write_audio
from torchmelinv.io.paths import check_exists

__all__ = ["invert_references"]


@named_options
def invert_references(
    pairs: Iterable[Pair],
    folder: str | Path,
    inverter: MelInverter,
    *,
    device: torch.device | str = "cpu",
    world: World = SINGLE_PROCESS,
    progress: Callable[[], None] | None = None,
) -> list[Pair]:
    """Invert the mel of each reference, and pair the result with the reference.

    A file that an earlier call has made of the same reference with the same inverter stays as it
    is, see `Manifest`.

    Args:
        pairs: Pairs of any system; only names and references matter.
        folder: Folder of the wav files.
        inverter: The inverter; it is moved to `device`.
        device: Where mels are inverted.
        world: The process, if several share the folder.
        progress: Called after each pair. None: no calls.

    Returns:
        Pairs of the inverted references, with an error where a reference cannot be read.

    Raises:
        FileError: If a manifest cannot be read or written, or another process has opened it.
        DiskError: If the disk is full or read-only.

    Example:
        >>> import tempfile, torch, torchmelinv as tmi
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Pair, invert_references
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mel = Path(folder, "a.pt")
        ...     torch.save(tmi.MelSpectrogram("hifigan_22k")(torch.randn(8000)), mel)
        ...     pairs = invert_references([Pair("a", None, mel)], Path(folder, "out"), inverter)
        >>> pairs[0].generated.name
        'a.wav'
    """
    pairs, folder, device = list(pairs), Path(folder), torch.device(device)
    inverter = inverter.to(device)
    analysis = MelSpectrogram(inverter.convention)
    layouts = sorted({str(pair.layout) for pair in pairs})
    settings = inversion_settings(
        inverter, version=torchmelinv.__version__, layouts=" ".join(layouts)
    )
    result = []
    with Manifest(folder, settings, world) as manifest:
        for pair in pairs:
            path = folder / f"{pair.name}.wav"
            try:
                _invert(pair, path, inverter, analysis, device, manifest)
                result.append(pair._replace(generated=path, error=None))
            except DiskError:
                raise
            except TorchmelinvError as error:
                result.append(pair._replace(generated=None, error=str(error)))
            if progress is not None:
                progress()
    return result


def _invert(
    pair: Pair,
    path: Path,
    inverter: MelInverter,
    analysis: MelSpectrogram,
    device: torch.device,
    manifest: Manifest,
) -> None:
    """Write the inverted reference of a pair, unless it is there and the reference is the same."""
    if pair.reference is None:
        raise FileError(pair.error or "no reference file has this name")
    check_exists(pair.reference)
    task = Task(path, pair.reference)
    if manifest.done_entries(task):
        return
    status = pair.reference.stat()
    values, _ = read_side(pair.reference, analysis, pair.layout)
    length = values.shape[-1] if values.ndim == 1 else None
    with torch.inference_mode():
        mel = analysis(values) if values.ndim == 1 else values
        waveform = inverter(mel.to(device), length=length).cpu()
    rate = inverter.convention.sample_rate
    write_audio(path, waveform, rate, staging=manifest.staging)
    manifest.add(task, status, 0, 1, {})
