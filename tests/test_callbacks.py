"""The log of validation mels: what a writer gets, and that no mel, however strange, stops a training."""

from __future__ import annotations

import copy
import pickle
import warnings
from types import SimpleNamespace

import pytest
import torch

from tests.tiny import TINY, tiny_mel
from torchmelinv.callbacks import LogInversion
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter


class Writer:
    """What a SummaryWriter is to the log: a place with `add_audio`."""

    def __init__(self) -> None:
        self.heard: dict[tuple[str, int], torch.Tensor] = {}

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        assert sample_rate == TINY.sample_rate
        assert snd_tensor.ndim == 2
        assert snd_tensor.shape[0] == 1
        assert (snd_tensor.device.type, snd_tensor.dtype, snd_tensor.requires_grad) == ("cpu", torch.float32, False)
        assert snd_tensor.abs().max() <= 1
        self.heard[tag, global_step] = snd_tensor[0]

    def steps(self, tag: str) -> list[int]:
        return [step for name, step in self.heard if name == tag]


def batch_of(*seconds: float) -> torch.Tensor:
    return torch.stack([tiny_mel(seconds[0], seed) for seed in range(len(seconds))])


def validate(log, trainer, batches, outputs=None):
    """The calls of one validation, in the order and with the names that Lightning's Trainer uses."""
    with torch.inference_mode():
        log.on_validation_epoch_start(trainer, None)
        for index, batch in enumerate(batches):
            log.on_validation_batch_start(trainer, None, batch, index, 0)
            returned = {"mel": batch} if outputs is None else outputs
            log.on_validation_batch_end(trainer, None, returned, batch, index, 0)
        log.on_validation_epoch_end(trainer, None)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def trainer(writer):
    loggers = [SimpleNamespace(experiment=object()), SimpleNamespace(experiment=writer)]  # one that takes no audio
    return SimpleNamespace(is_global_zero=True, sanity_checking=False, global_step=0, loggers=loggers)


def test_a_plain_loop(writer):
    mels = batch_of(*[0.2] * 3).requires_grad_()
    state = torch.get_rng_state()
    LogInversion(TINY, count=2, n_iter=3, tag="val").write(mels, writer, 7)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(writer.heard) == [("val/0", 7), ("val/1", 7)]
    expected = MelInverter(TINY, n_iter=3)(mels.detach())
    torch.testing.assert_close(writer.heard["val/1", 7], expected[1], rtol=0, atol=1e-6)


def test_one_mel_and_a_logger(writer):
    LogInversion(TINY, n_iter=1).write(tiny_mel(), SimpleNamespace(experiment=writer), 0)
    assert list(writer.heard) == [("inversion/0", 0)]


def test_lengths_cut_the_padding(writer):
    mels = batch_of(0.2, 0.2)
    mels[1, :, 40:] = torch.nan
    LogInversion(TINY, n_iter=2).write(mels, writer, 0, lengths=torch.tensor([mels.shape[-1], 40]))
    torch.testing.assert_close(writer.heard["inversion/1", 0], MelInverter(TINY, n_iter=2)(mels[1, :, :40]))


def test_loud_ones_are_scaled_down_and_quiet_ones_left_alone(writer):
    mel = tiny_mel()
    LogInversion(TINY, n_iter=2).write(torch.stack([mel, mel + 3.0, mel - 3.0]), writer, 0)
    plain, loud, quiet = (writer.heard[f"inversion/{item}", 0] for item in range(3))
    assert float(loud.abs().max()) == 1
    torch.testing.assert_close(loud, plain / plain.abs().max(), rtol=0, atol=1e-4)
    assert quiet.abs().max() < 0.1 * plain.abs().max()


@pytest.mark.parametrize("strange", [torch.nan, torch.inf, 1e4])
def test_a_strange_mel_costs_its_own_sound(writer, strange):
    mels = batch_of(0.2, 0.2, 0.2)
    mels[1, 2, 3] = strange
    with pytest.warns(RuntimeWarning, match="inversion/1 was not written as audio: the mel"):
        LogInversion(TINY, n_iter=1).write(mels, writer, 0)
    assert list(writer.heard) == [("inversion/0", 0), ("inversion/2", 0)]


@pytest.mark.parametrize("batch", [torch.zeros(5), torch.zeros(1, 30, 8), torch.zeros(2, 8, 5).long(), None, "mel"])
def test_a_strange_batch_costs_its_sounds(writer, batch):
    with pytest.warns(RuntimeWarning, match="the batch of mels was not written as audio"):
        LogInversion(TINY).write(batch, writer, 0)
    assert not writer.heard


def test_a_writer_that_fails_is_only_warned_of():
    def full(*_args, **_kwargs):
        raise OSError("No space left on device")

    with pytest.warns(RuntimeWarning, match="No space left"):
        LogInversion(TINY, n_iter=1).write(tiny_mel(), SimpleNamespace(add_audio=full), 0)


def test_a_trainer_gets_count_items_of_every_second_validation(trainer, writer):
    log = LogInversion(TINY, count=3, every=2, n_iter=1)
    trainer.sanity_checking = True
    validate(log, trainer, [batch_of(0.2, 0.2)])
    trainer.sanity_checking = False
    for step in (10, 20, 30):
        trainer.global_step = step
        validate(log, trainer, [batch_of(0.2, 0.2)] * 4)
    assert list(writer.heard) == [(f"inversion/{item}", step) for step in (10, 30) for item in range(3)]


def test_only_process_zero_writes(trainer, writer):
    trainer.is_global_zero = False
    validate(LogInversion(TINY), trainer, [batch_of(0.2)])
    assert not writer.heard


def test_functions_find_mels_and_lengths(trainer, writer):
    mels = batch_of(0.2, 0.2)
    log = LogInversion(TINY, lambda outputs, batch: batch + outputs, lengths=lambda outputs, batch: [20, 30], n_iter=1)
    validate(log, trainer, [mels], outputs=0.0)
    assert [len(sound) for sound in writer.heard.values()] == [TINY.n_samples(20), TINY.n_samples(30)]


@pytest.mark.parametrize("outputs", [{"loss": 1.0}, None, torch.zeros(2)])
def test_a_key_that_leads_nowhere(trainer, writer, outputs):
    log = LogInversion(TINY, "predicted")
    trainer.sanity_checking = True
    with pytest.raises(InputError, match="'predicted' is looked for in what validation_step returns"):
        validate(log, trainer, [batch_of(0.2)], outputs)
    trainer.sanity_checking = False
    with pytest.warns(RuntimeWarning, match="a batch of validation mels was not written as audio: 'predicted'"):
        validate(log, trainer, [batch_of(0.2)], outputs)


def test_mels_of_another_shape_are_refused_before_training(trainer):
    trainer.sanity_checking = True
    with pytest.raises(InputError, match="looks transposed"):
        validate(LogInversion(TINY), trainer, [batch_of(0.2).mT])


def test_a_trainer_without_a_place_for_audio_hears_of_it_once(trainer):
    trainer.loggers = trainer.loggers[:1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validate(LogInversion(TINY), trainer, [batch_of(0.2)] * 3)
    assert [str(each.message).split(": ")[1][:39] for each in caught] == ["no logger of this Trainer has add_audio"]


def test_a_training_graph_with_the_same_convention_goes_on(trainer):
    validate(LogInversion(TINY, n_iter=1), trainer, [batch_of(0.2)])  # in inference mode, whose tensors no graph can save
    mel = tiny_mel().requires_grad_()
    MelInverter(TINY, n_iter=1)(mel).sum().backward()
    assert mel.grad.isfinite().all()


def test_what_else_a_trainer_asks_of_a_callback():
    log = LogInversion(TINY, tag="val")
    for hook in ("setup", "teardown", "on_fit_start", "on_exception", "on_save_checkpoint", "load_state_dict"):
        assert getattr(log, hook)(None, None, stage="fit") is None
    assert log.state_dict() == {}
    assert log.state_key == copy.deepcopy(log).state_key == pickle.loads(pickle.dumps(log)).state_key
    assert log.state_key != LogInversion(TINY).state_key
    with pytest.raises(AttributeError, match="no attribute 'onwards'"):
        log.onwards()


@pytest.mark.parametrize("mistake", [{"count": 0}, {"every": 0}, {"phase": "griffin"}])
def test_mistakes(mistake):
    with pytest.raises(InputError):
        LogInversion(TINY, **mistake)
