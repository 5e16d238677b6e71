"""The live demo of the site in Chromium: its waveforms against those of Python."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import torchmelinv as tmi
from tests.shared import ROOT
from tests.tiny import TINY, tiny_mel, tone
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.io.mels import read_mel

pytestmark = [
    # Some of the exporter's own packages warn of what they will change.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CLOSE = 1e-3  # of the peak
MILLISECONDS = 120_000  # on a busy machine


def builder() -> Any:
    """Return the module docs/demo/build.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("build_demo", ROOT / "docs/demo/build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Build the page with a tiny model and serve it; return its address and the inverter."""
    build = builder()
    if not build.RUNTIME.exists() and shutil.which("npm") is None:
        pytest.skip("no npm to install ONNX Runtime Web")
    folder = tmp_path_factory.mktemp("demo")
    options = {"init": "random", "restore": "none", "check": False}  # quick to export
    inverter = tmi.MelInverter(TINY, "transpose", "mel_consistent", 2, **options)
    build.build(folder / "live", {"tiny": inverter}, folder / "models", {"tiny": "Tiny, 8 kHz"})
    handler = functools.partial(Quiet, directory=folder / "live")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    yield SimpleNamespace(address=address, inverter=inverter, folder=folder / "live")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(demo, new_page):
    page = new_page()
    page.set_default_timeout(MILLISECONDS)
    page.goto(demo.address)
    page.wait_for_selector("#file:enabled", state="attached")
    return page


def inverted(demo, mel: torch.Tensor) -> torch.Tensor:
    """Return the waveform of a mel (n_mels, n_frames) in torch, in the form that is exported."""
    with torch.no_grad(), fixed_control_flow():
        return demo.inverter(mel[None])[0]


def download(page, link: str, path: Path) -> Path:
    """Save what a link of the page downloads."""
    with page.expect_download() as caught:
        page.click(link)
    caught.value.save_as(path)
    return path


def run(page, path: Path) -> None:
    """Give a file to the page and wait for its result."""
    page.set_input_files("#file", path)
    page.wait_for_selector("#result:visible, #error:visible")
    assert page.is_visible("#result"), page.inner_text("#error")


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Check the difference relative to the peak."""
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) < CLOSE * float(expected.abs().max())


def test_a_recording_becomes_the_waveform_of_python(demo, page, tmp_path):
    write_audio(tmp_path / "tone.wav", tone(0.5), TINY.sample_rate, "FLOAT")
    run(page, tmp_path / "tone.wav")
    mel = read_mel(download(page, "#download-mel", tmp_path / "mel.npy"))
    assert_close(mel, tmi.MelSpectrogram(TINY)(tone(0.5)))
    waveform, rate = read_audio(download(page, "#download-wav", tmp_path / "inverted.wav"))
    assert rate == TINY.sample_rate
    assert_close(waveform[0], inverted(demo, mel))
    assert page.get_attribute("#inverted-mel", "aria-label")
    assert "0.5 s of sound" in page.inner_text("#summary")
    for player in ("#original-player", "#inverted-player"):
        page.wait_for_function(f"document.querySelector('{player}').readyState >= 1")
        duration = page.evaluate(f"document.querySelector('{player}').duration")
        assert duration == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "save",
    [
        lambda mel: mel,
        lambda mel: mel.astype("f8").T,
        lambda mel: np.asfortranarray(mel)[None],
        lambda mel: mel.astype("f2"),
    ],
    ids=["float32", "frames first", "Fortran order", "float16"],
)
def test_a_mel_becomes_the_waveform_of_python(demo, page, tmp_path, save):
    array = save(tiny_mel().numpy())
    np.save(tmp_path / "mel.npy", array)
    run(page, tmp_path / "mel.npy")
    mel = torch.from_numpy(array.astype("f4").squeeze())
    mel = mel if len(mel) == TINY.n_mels else mel.mT
    waveform, _ = read_audio(download(page, "#download-wav", tmp_path / "inverted.wav"))
    assert_close(waveform[0], inverted(demo, mel))
    assert page.is_hidden("#original-player")


def test_the_sample_voice(page):
    page.click("#sample")
    page.wait_for_selector("#result:visible")
    assert "3.0 s of sound" in page.inner_text("#summary")
    assert page.inner_text("#status") == "Done."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.npy", b"no array at all", "not an .npy file"),
        ("text.wav", b"no sound at all", "cannot decode"),
        ("bands.npy", np.zeros((5, 20), "f4"), "this preset has 8 bands"),
        ("short.npy", np.zeros((8, 3), "f4"), "it needs 8"),
        ("nan.npy", np.full((8, 20), np.nan, "f4"), "NaN"),
        ("whole.npy", np.zeros((8, 20), "i4"), "<i4"),
        ("cube.npy", np.zeros((2, 8, 20), "f4"), "shape (2, 8, 20)"),
        ("long.npy", np.zeros((8, 20_000), "f4"), "this page takes 20 s"),
    ],
)
def test_mistakes_are_explained(page, tmp_path, name, content, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content)
    page.set_input_files("#file", tmp_path / name)
    page.wait_for_selector("#error:visible")
    assert message in page.inner_text("#error")
    assert page.is_enabled("#sample")


def test_stopping_keeps_the_page_usable(page):
    page.click("#sample")
    page.click("#stop")
    page.wait_for_selector("#error:visible")
    assert page.inner_text("#error") == "Stopped."
    page.click("#sample")
    page.wait_for_selector("#result:visible")


def test_the_page_fits_a_phone(demo, new_page):
    page = new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(MILLISECONDS)
    page.goto(demo.address)
    page.click("#sample:enabled")
    page.wait_for_selector("#result:visible")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_loads_only_its_own_folder(demo):
    policy = (demo.folder / "index.html").read_text(encoding="utf-8").split('content="default-')[1]
    assert "http" not in policy.split('"')[0]
    models = json.loads((demo.folder / "models/models.json").read_text(encoding="utf-8"))
    for path in (models["sample"], *(preset["inverter"] for preset in models["presets"])):
        assert (demo.folder / path).is_file()
