"""The log of validation mels: what a writer gets, and that no mel stops a training."""

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

FAST = MelInverter(TINY, n_iter=1)


class Writer:
    """Stand for a SummaryWriter: keep the audio by tag and step."""

    def __init__(self) -> None:
        self.audio: dict[tuple[str, int], torch.Tensor] = {}

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        assert sample_rate == TINY.sample_rate
        assert snd_tensor.ndim == 2
        assert snd_tensor.shape[0] == 1
        assert snd_tensor.device.type == "cpu"
        assert snd_tensor.dtype == torch.float32
        assert not snd_tensor.requires_grad
        assert snd_tensor.abs().max() <= 1
        self.audio[tag, global_step] = snd_tensor[0]


def batch_of(*seconds: float) -> torch.Tensor:
    return torch.stack([tiny_mel(seconds[0], seed) for seed in range(len(seconds))])


def validate(log, trainer, batches, outputs=None):
    """Call the hooks of one validation in the order of Lightning's Trainer."""
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
    without_audio = SimpleNamespace(experiment=object())
    return SimpleNamespace(
        is_global_zero=True,
        sanity_checking=False,
        global_step=0,
        loggers=[without_audio, SimpleNamespace(experiment=writer)],
    )


def test_a_plain_loop(writer):
    mels = batch_of(*[0.2] * 3).requires_grad_()
    inverter = MelInverter(TINY, n_iter=3)
    state = torch.get_rng_state()
    LogInversion(inverter, count=2, tag="val").write(mels, writer, 7)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(writer.audio) == [("val/0", 7), ("val/1", 7)]
    expected = inverter(mels.detach())
    torch.testing.assert_close(writer.audio["val/1", 7], expected[1], rtol=0, atol=1e-6)


def test_a_convention_gets_the_default_inverter(writer):
    log = LogInversion(TINY)
    log.write(tiny_mel(), writer, 0)
    expected = MelInverter(TINY)(tiny_mel())
    torch.testing.assert_close(writer.audio["inversion/0", 0], expected)
    assert LogInversion("hifigan_22k").inverter.convention.sample_rate == 22050


def test_a_single_mel_and_a_logger(writer):
    LogInversion(FAST).write(tiny_mel(), SimpleNamespace(experiment=writer), 0)
    assert list(writer.audio) == [("inversion/0", 0)]


def test_channels_are_logged_as_items(writer):
    log = LogInversion(MelInverter(TINY, n_iter=1, channels=True))
    log.write(batch_of(0.2, 0.2), writer, 0)
    assert writer.audio.keys() == {("inversion/0", 0), ("inversion/1", 0)}


def test_lengths_remove_the_padding(writer):
    mels = batch_of(0.2, 0.2)
    mels[1, :, 40:] = torch.nan
    LogInversion(FAST).write(mels, writer, 0, lengths=torch.tensor([mels.shape[-1], 40]))
    torch.testing.assert_close(writer.audio["inversion/1", 0], FAST(mels[1, :, :40]))


def test_loud_waveforms_are_scaled_down_and_quiet_ones_are_not_scaled(writer):
    mel = tiny_mel()
    LogInversion(FAST).write(torch.stack([mel, mel + 1.0, mel - 3.0]), writer, 0)
    plain, loud, quiet = (writer.audio[f"inversion/{item}", 0] for item in range(3))
    assert float(loud.abs().max()) == 1
    torch.testing.assert_close(loud, plain / plain.abs().max(), rtol=0, atol=1e-4)
    assert quiet.abs().max() < 0.1 * plain.abs().max()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e4])
def test_an_invalid_mel_loses_only_its_own_audio(writer, value):
    mels = batch_of(0.2, 0.2, 0.2)
    mels[1, 2, 3] = value
    with pytest.warns(RuntimeWarning, match="inversion/1 was not written as audio: the mel"):
        LogInversion(FAST).write(mels, writer, 0)
    assert list(writer.audio) == [("inversion/0", 0), ("inversion/2", 0)]


@pytest.mark.parametrize(
    "batch", [torch.zeros(5), torch.zeros(1, 30, 8), torch.zeros(2, 8, 5).long(), None, "mel"]
)
def test_an_invalid_batch_is_a_warning(writer, batch):
    with pytest.warns(RuntimeWarning, match="the batch of mels was not written as audio"):
        LogInversion(TINY).write(batch, writer, 0)
    assert not writer.audio


def test_a_writer_that_fails_is_a_warning():
    def fail(*_args, **_kwargs):
        raise OSError("No space left on device")

    with pytest.warns(RuntimeWarning, match="No space left"):
        LogInversion(FAST).write(tiny_mel(), SimpleNamespace(add_audio=fail), 0)


def test_a_trainer_logs_count_items_of_every_second_validation(trainer, writer):
    log = LogInversion(FAST, count=3, every=2)
    trainer.sanity_checking = True
    validate(log, trainer, [batch_of(0.2, 0.2)])
    trainer.sanity_checking = False
    for step in (10, 20, 30):
        trainer.global_step = step
        validate(log, trainer, [batch_of(0.2, 0.2)] * 4)
    expected = [(f"inversion/{item}", step) for step in (10, 30) for item in range(3)]
    assert list(writer.audio) == expected


def test_only_process_zero_writes(trainer, writer):
    trainer.is_global_zero = False
    validate(LogInversion(TINY), trainer, [batch_of(0.2)])
    assert not writer.audio


def test_functions_find_mels_and_lengths(trainer, writer):
    log = LogInversion(
        FAST,
        lambda outputs, batch: batch + outputs,
        lengths=lambda outputs, batch: [20, 30],
    )
    validate(log, trainer, [batch_of(0.2, 0.2)], outputs=0.0)
    n_samples = [len(waveform) for waveform in writer.audio.values()]
    assert n_samples == [TINY.n_samples(20), TINY.n_samples(30)]


@pytest.mark.parametrize("outputs", [{"loss": 1.0}, None, torch.zeros(2)])
def test_a_key_without_a_mel(trainer, writer, outputs):
    log = LogInversion(TINY, "predicted")
    trainer.sanity_checking = True
    message = "'predicted' is looked for in what validation_step returns"
    with pytest.raises(InputError, match=message):
        validate(log, trainer, [batch_of(0.2)], outputs)
    trainer.sanity_checking = False
    message = "a batch of validation mels was not written as audio: 'predicted'"
    with pytest.warns(RuntimeWarning, match=message):
        validate(log, trainer, [batch_of(0.2)], outputs)


def test_mels_of_another_shape_are_refused_before_training(trainer):
    trainer.sanity_checking = True
    with pytest.raises(InputError, match="looks transposed"):
        validate(LogInversion(TINY), trainer, [batch_of(0.2).mT])


def test_a_trainer_without_an_audio_logger_is_warned_once(trainer):
    trainer.loggers = trainer.loggers[:1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validate(LogInversion(TINY), trainer, [batch_of(0.2)] * 3)
    assert len(caught) == 1
    assert ": no logger of this Trainer has add_audio" in str(caught[0].message)


def test_inference_mode_leaves_the_tables_usable_for_training(trainer):
    """Validation runs in inference mode, whose tensors autograd cannot save."""
    validate(LogInversion(FAST), trainer, [batch_of(0.2)])
    mel = tiny_mel().requires_grad_()
    MelInverter(TINY, n_iter=1)(mel).sum().backward()
    assert mel.grad.isfinite().all()


def test_other_hooks_and_the_state():
    log = LogInversion(TINY, tag="val")
    hooks = ("setup", "teardown", "on_fit_start", "on_exception", "on_save_checkpoint")
    for hook in (*hooks, "load_state_dict"):
        assert getattr(log, hook)(None, None, stage="fit") is None
    assert log.state_dict() == {}
    for copied in (copy.deepcopy(log), pickle.loads(pickle.dumps(log))):
        assert copied.state_key == log.state_key
    assert log.state_key != LogInversion(TINY).state_key
    with pytest.raises(AttributeError, match="no attribute 'onwards'"):
        log.onwards()


@pytest.mark.parametrize("option", [{"count": 0}, {"every": 0}])
def test_wrong_options_are_refused(option):
    with pytest.raises(InputError):
        LogInversion(TINY, **option)


def test_a_misspelled_option_names_the_nearest():
    with pytest.raises(InputError, match=r"LogInversion has no option 'cuont'.*'count'"):
        LogInversion(TINY, cuont=2)
