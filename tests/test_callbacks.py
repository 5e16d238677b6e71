"""The log of validation mels: what a writer gets, and that no mel stops a training."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.tiny import TINY, tiny_mel
from torchmelinv.callbacks import LogInversion
from torchmelinv.corpus.output_level import default_level
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio

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


def test_mels_without_a_level_can_be_heard(writer):
    convention = dataclasses.replace(
        TINY, level=dataclasses.replace(TINY.level, reference_max=True)
    )
    inverter, mel = MelInverter(convention, n_iter=1), tiny_mel(0.6)
    mel = mel - mel.max()
    LogInversion(inverter).write(mel, writer, 0)
    expected = inverter(mel)
    expected = expected * default_level(convention).gain(expected, TINY.sample_rate)
    torch.testing.assert_close(writer.audio["inversion/0", 0], expected)


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
    assert ": no logger of this Trainer takes audio" in str(caught[0].message)


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


def test_the_reference_is_inverted_and_drawn_too():
    images = {}

    class WithImages(Writer):
        def add_image(self, tag, img_tensor, global_step=None):
            images[tag] = img_tensor

    writer, mels = WithImages(), batch_of(0.2, 0.2)
    blurred = mels - 1
    log = LogInversion(FAST, count=1)
    log.write(blurred, writer, 3, reference=mels, lengths=[30, 40])
    assert list(writer.audio) == [("inversion/0", 3), ("inversion/0/reference", 3)]
    torch.testing.assert_close(
        writer.audio["inversion/0/reference", 3], FAST(mels[0, :, :30]), rtol=0, atol=1e-6
    )
    (image,) = images.values()
    assert (image.shape, image.dtype) == ((1, 2 * TINY.n_mels + 2, 30), torch.uint8)
    predicted, true = image[0, : TINY.n_mels], image[0, TINY.n_mels + 2 :]
    assert (true.min(), true.max()) == (0, 255)
    # The top row of each is the highest band, and the scale is that of the reference.
    scale = mels[0, :, :30].max() - mels[0, :, :30].min()
    drop = (true[0].int() - predicted[0].int()).max()
    assert abs(int(drop) - 255 / float(scale)) <= 1
    with pytest.warns(RuntimeWarning, match="they must be equal"):
        log.write(blurred, writer, 3, reference=mels[..., :10])


class WandbLike:
    """Stand for the package wandb: its runs have `log`, and it has `Audio` and `Image`."""

    def __init__(self):
        self.entries = []

    def log(self, values, step=None):
        self.entries.append((values, step))

    def log_artifact(self, artifact_or_path, name=None, type=None):
        raise AssertionError("artifacts of Weights & Biases are no sounds")

    @staticmethod
    def Audio(samples, sample_rate):
        assert (samples.ndim, sample_rate) == (1, TINY.sample_rate)
        return "audio"

    @staticmethod
    def Image(pixels):
        assert pixels.dtype == "uint8"
        return "image"


def test_weights_and_biases(trainer):
    package, mels = WandbLike(), batch_of(0.2)
    LogInversion(FAST).write(mels, package, 5, reference=mels)
    names = {"inversion/0": "audio", "inversion/0/reference": "audio", "inversion/0/mel": "image"}
    assert package.entries == [(names, 5)]
    package.entries.clear()
    trainer.global_step, trainer.loggers = 8, [SimpleNamespace(experiment=package)]
    validate(LogInversion(FAST, reference="mel"), trainer, [mels])
    assert package.entries == [({**names, "trainer/global_step": 8}, None)]


def test_a_run_finds_its_package(monkeypatch):
    package = WandbLike()

    class Run:
        def log(self, values, step):
            package.log(values, step)

        log_artifact = package.log_artifact

    Run.__module__ = "wandb_like.sdk.run"
    monkeypatch.setitem(sys.modules, "wandb_like", package)
    LogInversion(FAST).write(tiny_mel(), Run(), 1)
    assert package.entries == [({"inversion/0": "audio", "inversion/0/mel": "image"}, 1)]


@pytest.mark.parametrize("in_lightning", [True, False])
def test_mlflow(in_lightning):
    calls = []

    class Client:
        def log_artifact(self, *arguments, artifact_path):
            *run, path = arguments
            waveform, rate = read_audio(path)
            calls.append((run, artifact_path, Path(path).name, waveform.shape, rate))

        def log_image(self, *arguments, artifact_file):
            *run, image = arguments
            calls.append((run, artifact_file, image.shape))

    logger = SimpleNamespace(experiment=Client(), run_id="r1") if in_lightning else Client()
    mel, run = tiny_mel(), ["r1"] if in_lightning else []
    LogInversion(FAST).write(mel, logger, 12)
    n_samples = FAST(mel).shape[-1]
    assert calls == [
        (run, "inversion/0", "step-00000012.wav", (1, n_samples), TINY.sample_rate),
        (run, "inversion/0/mel/step-00000012.png", tuple(mel.shape)),
    ]


def test_a_writer_that_takes_no_audio():
    with pytest.warns(RuntimeWarning, match=r"the writer has type object; give a logger"):
        LogInversion(FAST).write(tiny_mel(), object(), 0)
