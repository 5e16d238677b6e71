"""What a mel sounds like while its model is still training: validation mels as audio in TensorBoard, without a vocoder.

    trainer = Trainer(callbacks=[LogInversion("hifigan_22k", mel="predicted")])        # Lightning, under either of its names
    LogInversion("hifigan_22k").write(mels, writer, step)                              # any loop of your own

Neither Lightning nor TensorBoard is imported. Lightning's Trainer does not ask a callback for its class: it takes every hook by
its name, and asks for `state_key` and a state. That much is here; what is no hook of ours does nothing.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.door import check_shape
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.ops.checks import as_lengths, check_whole

_HOOKS_THAT_DO_NOTHING = ("on_", "setup", "teardown", "load_state_dict")
Finder = str | Callable[[Any, Any], Any]  # a key of what `validation_step` returned, or a function of that and the batch


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """A hook that is not used."""


@contextlib.contextmanager
def _only_warned(what: str) -> Iterator[None]:
    """What goes wrong in the block costs a sound, not the training."""
    try:
        yield
    except Exception as error:
        warnings.warn(f"{what} was not written as audio: {error or type(error).__name__}", RuntimeWarning, stacklevel=3)


def _find(finder: Finder, outputs: Any, batch: Any) -> Any:
    if callable(finder):
        return finder(outputs, batch)
    if isinstance(outputs, Mapping) and finder in outputs:
        return outputs[finder]
    keys = f"the keys {', '.join(map(repr, outputs))}" if isinstance(outputs, Mapping) else f"a {type(outputs).__name__}"
    fix = "return it from there, or give LogInversion a function (outputs, batch) that finds it"
    raise InputError(f"{finder!r} is looked for in what validation_step returns, and that is {keys}; {fix}")


class LogInversion:
    """Writes what mels sound like: at most `count` items of each `every`-th validation, by `add_audio`, as `{tag}/{item}`.

    `convention`: how the mels were made. `mel`: where they are, (…, n_mels, n_frames): a key of what `validation_step` returns,
    or a function of that and of its batch; `lengths` likewise, the frames of each item, where they are padded. `options` are
    `MelInverter`'s. Every logger of the Trainer whose `experiment` has `add_audio` gets the sounds. A second LogInversion on the
    true mels, with another tag, tells how good the first could sound.

    A sound is at most 1 in size: a louder waveform is scaled down as a whole, where `add_audio` would clip it. Items are inverted
    one by one: one that cannot be (NaN, a wrong shape, no memory) costs a RuntimeWarning and its own sound, never the training;
    only in Lightning's sanity check, before training, is a key that leads to no mel an error. Works on process zero alone, keeps
    no gradient, leaves random generators as they are and has no state to restore. Cost: `count` inversions, on the mels' device.
    """

    def __init__(
        self,
        convention: MelConvention | str,
        mel: Finder = "mel",
        *,
        lengths: Finder | None = None,
        count: int = 4,
        every: int = 1,
        tag: str = "inversion",
        **options: Any,
    ) -> None:
        check_whole("count", count, 1)
        check_whole("every", every, 1)
        self.inverter = MelInverter(convention, **options)
        self.mel, self.lengths, self.count, self.every, self.tag = mel, lengths, count, every, tag
        self._validations, self._written = 0, count  # items written in this validation; none is wanted before one starts

    def write(self, mel: Tensor, writer: Any, step: int, *, lengths: Any = None) -> None:
        """Write the first `count` items now. `writer`: a SummaryWriter, or a logger whose `experiment` is one."""
        with _only_warned("the batch of mels"):
            self._write(mel, lengths, [getattr(writer, "experiment", writer)], step, 0)

    @torch.no_grad()
    def _write(self, mel: Tensor, lengths: Any, writers: list[Any], step: int, first: int) -> int:
        """Items from number `first` on, up to `count`; how many they were."""
        mel = check_shape(mel, self.inverter.convention).detach()
        frames = None if lengths is None else as_lengths(lengths, mel.shape[:-2], mel.shape[-1], mel.device).reshape(-1).tolist()
        items = mel.reshape(-1, *mel.shape[-2:])[: self.count - first]
        for index, item in enumerate(items):
            name = f"{self.tag}/{first + index}"
            with _only_warned(name):
                waveform = self.inverter(item if frames is None else item[:, : frames[index]])
                waveform = waveform / waveform.abs().amax().clamp(min=1)
                for writer in writers:
                    rate = self.inverter.convention.sample_rate
                    writer.add_audio(name, waveform[None].cpu(), global_step=step, sample_rate=rate)
        return len(items)

    # Lightning's hooks

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """A validation begins: count it, the sanity check apart."""
        wanted = trainer.sanity_checking or self._validations % self.every == 0
        self._written = 0 if wanted else self.count
        self._validations += not trainer.sanity_checking

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write items of this batch, until there are enough."""
        if self._written >= self.count or not trainer.is_global_zero:
            return
        if trainer.sanity_checking:
            check_shape(_find(self.mel, outputs, batch), self.inverter.convention)
            return
        experiments = (getattr(logger, "experiment", logger) for logger in trainer.loggers)
        writers = [experiment for experiment in experiments if hasattr(experiment, "add_audio")]
        with _only_warned("a batch of validation mels"):
            if not writers:
                self._written = self.count
                raise InputError("no logger of this Trainer has add_audio; give it a TensorBoardLogger")
            mel = _find(self.mel, outputs, batch)
            lengths = None if self.lengths is None else _find(self.lengths, outputs, batch)
            self._written += self._write(mel, lengths, writers, trainer.global_step, self._written)

    # What a Trainer asks of every callback beside its hooks

    @property
    def state_key(self) -> str:
        """Its name among the callbacks of a checkpoint; two with one tag would write over each other, and Lightning says so."""
        return f"{type(self).__qualname__}{{'tag': {self.tag!r}}}"

    @property
    def _legacy_state_key(self) -> type:
        return type(self)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a resumed training counts its validations anew."""
        return {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith(_HOOKS_THAT_DO_NOTHING):
            return _nothing
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
