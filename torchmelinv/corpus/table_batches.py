"""Rows of a table to waveforms or scores: callables for engines that distribute tables.

``map_batches`` of Ray Data and ``map`` of datasets call a function with a batch of rows as columns:
a dict of arrays or lists. The callables here return those columns with new ones, one value for each
row. The engine distributes batches over machines, and repeats those that a lost machine had. A
repeated row gives the same result: on a CPU bit for bit, and its file replaces the earlier one in
one step.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.options import unknown_option
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.corpus.evaluation import evaluate
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.corpus.output_level import default_level
from torchmelinv.corpus.pairs import Pair
from torchmelinv.errors import DiskError, InputError, TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import write_audio
from torchmelinv.io.audio_formats import audio_format
from torchmelinv.metrics.glossary import METRICS

__all__ = ["EvaluateBatch", "InvertBatch"]


def _column(batch: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Return a column of a batch."""
    if name not in batch:
        raise InputError(f"the table has no column {name!r}; it has {', '.join(map(repr, batch))}")
    column: Sequence[Any] = batch[name]
    return column


def _as_source(value: Any) -> str | Tensor:
    """Return a path as it is, and an array or nested lists as a tensor."""
    if isinstance(value, str | os.PathLike):
        return str(value)
    if isinstance(value, Tensor):
        return value
    try:
        return torch.from_numpy(np.array(value, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the mel is no array of numbers ({error}); a row holds a mel (n_mels, n_frames), or "
            "the path of a mel file"
        ) from None


class InvertBatch:
    """Invert the mels of a batch of rows, as `invert_many` does.

    The new columns are ``waveform``, with arrays (n_samples,) or (channels, n_samples) in float32,
    or ``output``, with the paths of written files; ``mel_error_db``; ``warnings``; and ``error``,
    the reason why a row has no waveform, else empty. An error affects only its own row.

    Args:
        inverter: The inverter. If its `channels` is True, a mel (channels, n_mels, n_frames) is one
            row; otherwise each row holds a mel (n_mels, n_frames).
        mel: Column of the mels: arrays, nested lists, or paths of mel files.
        out: Folder that all machines share, where a wav file is written for each row, at the level
            of `torchmelinv invert`. Default: the table holds the waveforms as `MelInverter`
            returns them.
        name: Column of the names of these files, relative paths without suffix. No two rows of the
            table may have the same name.
        subtype: Sample format of the files, as in `write_audio`.
        **options: Options of `invert_many`: `device`, `batch`, `memory` and `mfcc`.

    Raises:
        InputError: If an option is not valid.

    Example:
        >>> import numpy as np, torchmelinv as tmi
        >>> from torchmelinv.corpus import InvertBatch
        >>> invert = InvertBatch(tmi.MelInverter("hifigan_22k", n_iter=4))
        >>> rows = invert({"mel": [np.full((80, 20), -11.5), np.zeros((3, 20))]})
        >>> rows["waveform"][0].shape, rows["error"][1][:19]
        ((5120,), 'the mel has 3 bands')
    """

    def __init__(
        self,
        inverter: MelInverter,
        *,
        mel: str = "mel",
        out: str | Path | None = None,
        name: str = "name",
        subtype: str | None = None,
        **options: Any,
    ) -> None:
        _, _, *stream_options = inspect.signature(invert_many).parameters
        for keyword in options:
            if keyword not in stream_options:
                known = ["mel", "out", "name", "subtype", *stream_options]
                raise unknown_option("InvertBatch", keyword, known)
        invert_many([], inverter, **options).close()  # reports an option that is not valid
        self.inverter, self.mel, self.name, self.options = inverter, mel, name, options
        self.out, self.subtype = None if out is None else Path(out), subtype
        if out is not None:
            audio_format("x.wav", subtype)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Invert the mels of a batch.

        Args:
            batch: Columns of the same length.

        Returns:
            The same columns, and the new ones as lists.

        Raises:
            InputError: If a column is missing, or two rows have the same name.
            DiskError: If the disk is full or read-only.
        """
        values = _column(batch, self.mel)
        names = self._names(batch) if self.out else [""] * len(values)
        rows: list[dict[str, Any]] = [{} for _ in values]
        sources: list[tuple[int, str | Tensor]] = []
        for index, value in enumerate(values):
            try:
                sources.append((index, _as_source(value)))
            except InputError as error:
                rows[index] = self._row(Inverted(index, error=str(error)), "")
        for result in invert_many(sources, self.inverter, **self.options):
            rows[result.name] = self._row(result, names[result.name])
        columns = self._row(Inverted(0), "")
        return {**batch, **{column: [row[column] for row in rows] for column in columns}}

    def _names(self, batch: Mapping[str, Any]) -> list[str]:
        """Return the names of the rows."""
        names = [str(name) for name in _column(batch, self.name)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                f"{names.count(twice)} rows have the name {twice!r} in the column {self.name!r}; "
                "each row writes a file of its own, so names must differ"
            )
        return names

    def _row(self, result: Inverted, name: str) -> dict[str, Any]:
        """Return the new values of a row; write its file."""
        error, output = result.error or "", ""
        if result.count > 1:
            error = (
                f"the row holds {result.count} mels; it must hold one, or the channels of one "
                "recording with channels=True of the inverter"
            )
        waveform = np.zeros(0, np.float32)
        if result.waveform is not None and not error:
            try:
                output = self._write(result.waveform, name)
                waveform = result.waveform.numpy()
            except DiskError:
                raise
            except TorchmelinvError as reason:
                error = str(reason)
        return {
            **({"output": output} if self.out else {"waveform": waveform}),
            "mel_error_db": math.nan if error else result.mel_error_db,
            "warnings": "; ".join(result.warnings),
            "error": error,
        }

    def _write(self, waveform: Tensor, name: str) -> str:
        """Write the file of a row and return its path, "" without a folder."""
        if self.out is None:
            return ""
        relative = PurePath(name)
        if not relative.name or relative.is_absolute() or {"..", "\0"} & {*relative.parts, *name}:
            raise InputError(
                f"the name {name!r} is not that of a file below the folder {self.out}; names are "
                "relative paths without suffix"
            )
        path = self.out / f"{name}.wav"
        convention = self.inverter.convention
        if level := default_level(convention):
            waveform = waveform * level.gain(waveform, convention.sample_rate)
        write_audio(path, waveform, convention.sample_rate, self.subtype)
        return str(path)


class EvaluateBatch:
    """Score the pairs of files of a batch of rows, as `evaluate` does.

    The new columns have the names of `metrics.METRICS`, with NaN where a metric is not computed or
    not defined; ``notes``; and ``error``, the reason why a row has no scores, else empty.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file.
        generated: Column of the paths of generated files.
        reference: Column of the paths of reference files.
        **options: Options of `evaluate`, such as `device` and `perceptual`.

    Raises:
        DependencyError: If an extra that the metrics need is not installed.
        ConventionError: If there is no such convention.
        InputError: If an option is not valid.

    Example:
        >>> import tempfile, torch, torchmelinv as tmi
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import EvaluateBatch
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(8000))
        >>> score = EvaluateBatch("hifigan_22k", perceptual=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [str(Path(folder, name)) for name in ("a.pt", "b.pt")]
        ...     torch.save(mel, paths[0])
        ...     torch.save(mel + 0.1, paths[1])
        ...     rows = score({"generated": paths[:1], "reference": paths[1:]})
        >>> round(rows["log_mel_l1"][0], 3)
        0.1
    """

    def __init__(
        self,
        convention: MelConvention | str | os.PathLike[str],
        *,
        generated: str = "generated",
        reference: str = "reference",
        **options: Any,
    ) -> None:
        self.convention, self.options = as_convention(convention), options
        self.generated, self.reference = generated, reference
        evaluate([], self.convention, **options)  # reports an option that is not valid

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Score the pairs of a batch.

        Args:
            batch: Columns of the same length.

        Returns:
            The same columns, and the new ones as lists.

        Raises:
            InputError: If a column is missing.
        """
        sides = (_column(batch, name) for name in (self.generated, self.reference))
        pairs = [_pair(index, *paths) for index, paths in enumerate(zip(*sides, strict=True))]
        scored = evaluate(pairs, self.convention, **self.options)
        return {
            **batch,
            **{name: [pair.scores.get(name, math.nan) for pair in scored] for name in METRICS},
            "notes": ["; ".join(pair.notes) for pair in scored],
            "error": [pair.error or "" for pair in scored],
        }


def _pair(index: int, generated: Any, reference: Any) -> Pair:
    """Return the pair of a row; a file that an earlier step could not make has an empty path."""
    if not generated or not reference:
        return Pair(str(index), None, None, "the row has no path of one of its files")
    return Pair(str(index), Path(generated), Path(reference))
