"""Log what predicted mels sound like while their model trains, without a vocoder.

As a callback of Lightning's Trainer, from the package lightning or pytorch_lightning::

    trainer = Trainer(callbacks=[LogInversion("hifigan_22k", mel="predicted")])

In another training loop, with a TensorBoard SummaryWriter, a run of Weights & Biases, or MLflow::

    LogInversion("hifigan_22k").write(mels, writer, step)

Neither Lightning nor any logger is imported. Lightning's Trainer does not check the class of a
callback: it calls every hook by its name, and reads `state_key` and a state. This module has these
names; all other hooks do nothing.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_lengths, check_whole
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.output_level import default_level
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.loggers import Write, mel_image, writer_for
from torchmelinv.transforms.mel_checks import check_mel_shape

__all__ = ["LogInversion"]

_LOGGERS = "give a logger of TensorBoard, Weights & Biases or MLflow"
_UNUSED_HOOKS = ("on_", "setup", "teardown", "load_state_dict")

# A key of what `validation_step` returned, or a function (outputs, batch).
Finder = str | Callable[[Any, Any], Any]


def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    """Stand for an unused hook."""


@contextlib.contextmanager
def _errors_as_warnings(subject: str) -> Iterator[None]:
    """Turn an exception into a RuntimeWarning: logging never stops a training."""
    try:
        yield
    except Exception as error:
        warnings.warn(
            f"{subject} was not written as audio: {error or type(error).__name__}",
            RuntimeWarning,
            stacklevel=3,
        )


def _find(finder: Finder, outputs: Any, batch: Any) -> Any:
    """Return what a finder finds in the outputs and the batch of a validation step."""
    if callable(finder):
        return finder(outputs, batch)
    if not isinstance(outputs, Mapping):
        returned = f"a {type(outputs).__name__}"
    elif finder in outputs:
        return outputs[finder]
    else:
        returned = f"the keys {', '.join(map(repr, outputs))}"
    raise InputError(
        f"{finder!r} is looked for in what validation_step returns, and that is {returned}; "
        "return it from there, or give LogInversion a function (outputs, batch) that finds it"
    )


class LogInversion:
    """Log validation mels as audio: a Lightning callback, or a helper in another training loop.

    Every `every`-th validation, the first `count` mels are inverted and given to each logger that
    takes audio: TensorBoard (``add_audio``), Weights & Biases and packages with its interface
    (``log`` and ``Audio``), MLflow (``log_artifact``). Each item has its sound as
    ``"{tag}/{item}"`` and a picture of the mel as ``"{tag}/{item}/mel"``. With `reference`, the
    reference mel is inverted the same way, as ``"{tag}/{item}/reference"``: it shows how good the
    first can sound. It stands below the mel in the picture, on one scale. A waveform above 1 is
    scaled down to a peak of 1, where loggers would clip it. Waveforms of a convention that puts the
    peak of each mel at one value, as ``ref=np.max``, would be nearly silent: they are brought to a
    loudness of −23 LUFS.

    Items and channels are inverted one by one, as mono. An item that cannot be inverted (NaN, a
    wrong shape, no memory) gives a RuntimeWarning and no audio, and the training continues. Only
    Lightning's sanity check, before the training, raises an error for a key without a mel. Works on
    process zero alone, keeps no gradient, leaves random generators unchanged and has no state to
    restore. Cost: `count` inversions on the mels' device, twice that with `reference`.

    Args:
        convention: How the mels were made: a `MelConvention`, a preset's name, the path of a JSON
            file, or a `MelInverter` with its own options. By default mels are inverted exactly, so
            that one hears how much they are smoothed.
        mel: Where the mels (…, n_mels, n_frames) are: a key of what ``validation_step`` returns, or
            a function (outputs, batch) of that and of the batch.
        reference: Where the reference mels are, like `mel`. None: there are none.
        lengths: Where the frames of each mel of a padded batch are, (…), like `mel`.
        count: Number of mels to log in a validation, at least 1.
        every: Number of validations from one log to the next, at least 1.
        tag: Prefix of the names in the log.

    Attributes:
        inverter: The `MelInverter`.

    Raises:
        InputError: If an option has no such value.
        ConventionError: If there is no such convention.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> class Writer:  # a TensorBoard SummaryWriter has the same method
        ...     def add_audio(self, tag, snd_tensor, global_step, sample_rate):
        ...         print(tag, tuple(snd_tensor.shape), global_step, sample_rate)
        >>> mels = tmi.MelSpectrogram("hifigan_22k")(torch.randn(2, 5632))
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> tmi.callbacks.LogInversion(inverter).write(mels, Writer(), step=7)
        inversion/0 (1, 5632) 7 22050
        inversion/1 (1, 5632) 7 22050
    """

    @named_options
    def __init__(
        self,
        convention: MelInverter | MelConvention | str | os.PathLike[str],
        mel: Finder = "mel",
        *,
        reference: Finder | None = None,
        lengths: Finder | None = None,
        count: int = 4,
        every: int = 1,
        tag: str = "inversion",
    ) -> None:
        check_whole("count", count, 1)
        check_whole("every", every, 1)
        self.inverter = (
            convention
            if isinstance(convention, MelInverter)
            else MelInverter(convention, restore="none")
        )
        self.mel, self.reference, self.lengths = mel, reference, lengths
        self.count, self.every, self.tag = count, every, tag
        self._n_validations = 0
        self._n_written = count  # in this validation; nothing to write before the first one starts

    def write(
        self,
        mel: Tensor,
        writer: Any,
        step: int,
        *,
        reference: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        """Invert and write the first `count` mels now.

        Args:
            mel: Mels (…, n_mels, n_frames) in the convention's values.
            writer: A SummaryWriter, a run of Weights & Biases, the module mlflow, or a logger of
                Lightning whose ``experiment`` is one.
            step: Step of the log.
            reference: Reference mels of the same shape.
            lengths: Frames of each mel of a padded batch, (…).

        Warns:
            RuntimeWarning: If a mel cannot be inverted or written.

        Shape:
            - mel: (…, n_mels, n_frames)
            - reference: (…, n_mels, n_frames)
            - lengths: (…)
        """
        with _errors_as_warnings("the batch of mels"):
            write = writer_for(writer)
            if write is None:
                raise InputError(f"the writer has type {type(writer).__name__}; {_LOGGERS}")
            self._write(mel, reference, lengths, [write], step, 0)

    @torch.no_grad()
    def _write(
        self,
        mel: Tensor,
        reference: Tensor | None,
        lengths: Tensor | None,
        writers: list[Write],
        step: int,
        first: int,
    ) -> int:
        """Write items from number `first` on, up to `count`; return how many."""
        convention = self.inverter.convention
        mel = check_mel_shape(mel, convention).detach()
        items, n_frames = mel.shape[:-2], mel.shape[-1]
        counts = torch.full(items, n_frames)
        if lengths is not None:
            counts = check_lengths(lengths, items, n_frames, torch.device("cpu"))
        if reference is not None:
            reference = check_mel_shape(reference, convention).detach()
            if reference.shape != mel.shape:
                raise InputError(
                    f"the reference has shape {tuple(reference.shape)} and the mel "
                    f"{tuple(mel.shape)}; they must be equal"
                )
            reference = reference.reshape(-1, *mel.shape[-2:])
        mels = mel.reshape(-1, *mel.shape[-2:])[: self.count - first]
        for index, (item, count) in enumerate(zip(mels, counts.reshape(-1).tolist(), strict=False)):
            name = f"{self.tag}/{first + index}"
            with _errors_as_warnings(name):
                item = item[:, :count]
                other = None if reference is None else reference[index, :, :count]
                waveforms = {name: self._waveform(item)}
                if other is not None:
                    waveforms[f"{name}/reference"] = self._waveform(other)
                images = {f"{name}/mel": mel_image(item, other)}
                for write in writers:
                    write(waveforms, images, step, convention.sample_rate)
        return len(mels)

    def _waveform(self, mel: Tensor) -> Tensor:
        """Return the waveform of a mel on the CPU, (n_mels, n_frames) -> (1, n_samples)."""
        # TensorBoard takes mono alone, so channels are logged as items.
        waveform = self.inverter(mel[None])
        if level := default_level(self.inverter.convention):
            waveform = waveform * level.gain(waveform, self.inverter.convention.sample_rate)
        return (waveform / waveform.abs().amax().clamp(min=1)).float().cpu()

    # Lightning's hooks

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Start a validation: count it, unless it is the sanity check.

        Args:
            trainer: The Trainer.
            pl_module: The module in training.
        """
        due = trainer.sanity_checking or self._n_validations % self.every == 0
        self._n_written = 0 if due else self.count
        self._n_validations += not trainer.sanity_checking

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write mels of this batch, until `count` are written.

        Args:
            trainer: The Trainer.
            pl_module: The module in training.
            outputs: What ``validation_step`` returned.
            batch: The batch of that step.
            batch_idx: Number of the batch.
            dataloader_idx: Number of the data loader.

        Raises:
            InputError: If the sanity check finds no mel.
        """
        if self._n_written >= self.count or not trainer.is_global_zero:
            return
        if trainer.sanity_checking:
            for finder in (self.mel, self.reference or self.mel):
                check_mel_shape(_find(finder, outputs, batch), self.inverter.convention)
            return
        found = map(writer_for, trainer.loggers)
        writers = [write for write in found if write is not None]
        with _errors_as_warnings("a batch of validation mels"):
            if not writers:
                self._n_written = self.count
                raise InputError(f"no logger of this Trainer takes audio; {_LOGGERS}")
            mel = _find(self.mel, outputs, batch)
            reference, lengths = (
                None if finder is None else _find(finder, outputs, batch)
                for finder in (self.reference, self.lengths)
            )
            step, first = trainer.global_step, self._n_written
            self._n_written += self._write(mel, reference, lengths, writers, step, first)

    # What a Trainer reads from every callback besides its hooks

    @property
    def state_key(self) -> str:
        """The key of this callback in a checkpoint; Lightning refuses two with one tag."""
        return f"{type(self).__qualname__}{{'tag': {self.tag!r}}}"

    @property
    def _legacy_state_key(self) -> type:
        return type(self)

    def state_dict(self) -> dict[str, Any]:
        """Return no state: a resumed training counts its validations from 0.

        Returns:
            An empty dictionary.
        """
        return {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith(_UNUSED_HOOKS):
            return _do_nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
