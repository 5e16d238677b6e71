"""Fields of a convention on the command line, statistics of bands, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.tiny import TINY, console, workplace  # noqa: F401
from torchmelinv.cli.from_options import convention_from, mfcc_convention_from
from torchmelinv.cli.main import make_parser
from torchmelinv.conventions import Compression, MelConvention, MfccConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import ConventionError, InputError

pytestmark = pytest.mark.usefixtures("workplace")
LINE = ["invert", "mel.npy", "-o", "x.wav", "--convention"]


def convention(name, *options) -> MelConvention:
    return convention_from(make_parser().parse_args([*LINE, name, *options]))


def test_each_number_of_a_convention_has_an_option():
    """The values differ from those of the preset, so that each one must arrive."""
    values = {
        "n_fft": 512,
        "hop_length": 100,
        "win_length": 400,
        "pre_emphasis": 0.5,
        "sample_rate": 20000,
        "magnitude_offset": 1e-3,
        "magnitude_floor": 0,
        "power": 2,
        "n_mels": 40,
        "f_min": 30,
        "f_max": 7000,
        "filterbank_sample_rate": 19000,
    }
    numbers = {f.name for f in dataclasses.fields(MelConvention) if f.type in ("int", "float")}
    assert numbers == set(values)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    assert convention("hifigan_22k", *options) == preset("hifigan_22k", **values)


def test_defaults_follow_the_fields():
    assert convention("librosa_power_to_db", "--sample-rate", "44100").f_max == 22050
    assert convention("tiny.json", "--sample-rate=16000") == TINY.replace(sample_rate=16000)


@pytest.mark.parametrize(
    ("text", "level", "fields"),
    [
        ("padding=same_reflect", {}, {"padding": "same_reflect"}),
        ("filter_norm=none", {}, {"filter_norm": None}),
        ("drop_last_frame=true", {}, {"drop_last_frame": True}),
        ("n_mels=16", {}, {"n_mels": 16}),
        ("level.floor=1e-3", {"floor": 1e-3}, {}),
        ("level.affine=[-5,2]", {"affine": [-5, 2]}, {}),
        ("level.reference_max=True", {"reference_max": True}, {}),
        ("level.log=log10", {"log": "log10"}, {}),
    ],
)
def test_any_field_can_be_set(text, level, fields):
    expected = TINY.replace(level={**TINY.level.to_dict(), **level}, **fields)
    assert convention("tiny.json", "--set", text) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--set", "hop=3"], InputError, "'hop=3' sets no field; .*did you mean 'hop_length'"),
        (["--set", "n_fft"], InputError, "write FIELD=VALUE"),
        (["--set", "level.flor=3"], InputError, "did you mean 'floor'"),
        (["--set", "level=3"], InputError, "sets no field"),
        (["--n-fft", "many"], InputError, "--n-fft is 'many'; it must be a number"),
        (["--n-fft", "true"], InputError, "--n-fft is 'true'; it must be a number"),
        (["--n-fft", "NaN"], InputError, "it must be a number"),
        (["--n-fft", "1e999"], InputError, "it must be a number"),
        (["--n-fft", "1.5"], ConventionError, "n_fft is 1.5; it must be an integer"),
        (["--set", "padding=x"], ConventionError, "padding is 'x'"),
        (["--set", "level.affine=3"], ConventionError, "affine is 3"),
    ],
)
def test_mistakes_name_the_field(options, error, message):
    with pytest.raises(error, match=message):
        convention("tiny.json", *options)


def test_mfcc_takes_the_fields_of_its_mel():
    mfcc = MfccConvention(mel=TINY, n_mfcc=5)
    with open("mfcc.json", "w", encoding="utf-8") as stream:
        stream.write(mfcc.to_json())
    options = make_parser().parse_args([*LINE, "mfcc.json", "--mfcc", "--sample-rate", "16000"])
    assert mfcc_convention_from(options).mel == TINY.replace(sample_rate=16000)
    assert convention_from(options) == TINY.replace(sample_rate=16000)
    options.stats = "stats.npy"
    with pytest.raises(InputError, match="MFCCs take none"):
        convention_from(options)


def test_statistics_come_last_or_in_the_model_space():
    mean, scale = np.linspace(-4, -2, 8), np.linspace(1, 2, 8)
    np.save("stats.npy", np.stack([mean, scale]))
    level = convention("tiny.json", "--stats", "stats.npy").level
    assert level == TINY.level.replace(band_mean=mean, band_scale=scale)
    np.savez("many.npz", mean=np.zeros(80), scale=np.ones(80))
    found = convention("speecht5", "--stats", "many.npz", "--set", "level.band_scale=none").level
    assert found == preset("speecht5").level.replace(band_mean=np.zeros(80))
    with pytest.raises(ConventionError, match="band_mean holds 80 numbers"):
        convention("tiny.json", "--stats", "many.npz")
    assert isinstance(found, Compression)
