"""References inverted from their own mels: the best that any system with the same inversion can do.

The difference between this and a system's score comes from the system's mels; what remains is lost
by the mel and the inversion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from torchmelinv._utils.text import plain
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.manifest import inversion_settings
from torchmelinv.corpus.pairs import Pair, read_side
from torchmelinv.errors import FileError, InputError, TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import write_audio
from torchmelinv.io.disk_errors import write_error
from torchmelinv.io.paths import atomic_write

__all__ = ["invert_references"]

_SETTINGS = "inverted_references.json"


def invert_references(
    pairs: Iterable[Pair],
    folder: str | Path,
    inverter: MelInverter,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[], None] | None = None,
) -> list[Pair]:
    """Invert the mel of each reference, and pair the result with the reference.

    A file that an earlier call has written with the same inverter stays as it is.

    Args:
        pairs: Pairs of any system; only names and references matter.
        folder: Folder of the wav files.
        inverter: The inverter; it is moved to `device`.
        device: Where mels are inverted.
        progress: Called after each pair. None: no calls.

    Returns:
        Pairs of the inverted references, with an error where a reference cannot be read.

    Raises:
        InputError: If the folder has other files, or the references of another inverter.
        FileError: If a file cannot be written.

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
    folder, device = Path(folder), torch.device(device)
    _check_settings(folder, inverter)
    inverter = inverter.to(device)
    analysis = MelSpectrogram(inverter.convention)
    result = []
    for pair in pairs:
        path = folder / f"{pair.name}.wav"
        try:
            _invert(pair, path, inverter, analysis, device)
            result.append(pair._replace(generated=path, error=None))
        except TorchmelinvError as error:
            result.append(pair._replace(generated=None, error=str(error)))
        if progress is not None:
            progress()
    return result


def _check_settings(folder: Path, inverter: MelInverter) -> None:
    """Write the inverter's settings to the folder, or refuse the folder of another inverter."""
    text = json.dumps(plain(inversion_settings(inverter)), sort_keys=True)
    path = folder / _SETTINGS
    try:
        present = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError):
        present = ""
    if present is None:
        # Not a temporary file, by which another rank may just write the settings.
        if folder.is_dir() and any(each.name[0] != "." for each in folder.iterdir()):
            raise InputError(
                f"{folder} holds files that are no inverted references; give a new folder"
            )
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    elif present != text:
        raise InputError(
            f"{folder} holds references that were inverted with other settings; give another "
            "folder, or remove it"
        )


def _invert(
    pair: Pair,
    path: Path,
    inverter: MelInverter,
    analysis: MelSpectrogram,
    device: torch.device,
) -> None:
    """Write the inverted reference of a pair, unless it is there and newer than the reference."""
    if pair.reference is None:
        raise FileError(pair.error or "no reference file has this name")
    try:
        if path.exists() and path.stat().st_mtime_ns >= pair.reference.stat().st_mtime_ns:
            return
    except OSError as error:
        raise write_error(path, error) from None
    values, _ = read_side(pair.reference, analysis, pair.layout)
    length = values.shape[-1] if values.ndim == 1 else None
    with torch.inference_mode():
        mel = analysis(values) if values.ndim == 1 else values
        waveform = inverter(mel.to(device), length=length).cpu()
    write_audio(path, waveform, inverter.convention.sample_rate)
