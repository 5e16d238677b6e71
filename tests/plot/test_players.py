"""Players in notebooks: one for each waveform, as MP3 that has the sound."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
import soundfile
import torch

from torchmelinv import plot
from torchmelinv.demo import signal
from torchmelinv.errors import InputError

pytest.importorskip("IPython")


def sounds(markup: str, folder: Path) -> list[tuple[torch.Tensor, int]]:
    decoded = []
    for data in re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', markup):
        path = folder / "sound.mp3"  # libsndfile takes no MP3 from memory
        path.write_bytes(base64.b64decode(data))
        samples, rate = soundfile.read(path, dtype="float32")
        decoded.append((torch.from_numpy(samples), rate))
    return decoded


def test_a_player_for_each_waveform_with_its_name_and_sound(tmp_path: Path):
    voice = signal(0.5)
    players = plot.listen(
        22050, original=voice, too_loud=3 * voice, a_b=voice.clone().requires_grad_()
    )
    assert re.findall(r"<td>(\w[^<]*)</td>", players.data) == ["original", "too loud", "a b"]
    for (sound, rate), peak in zip(
        sounds(players.data, tmp_path), (voice.abs().max(), 1.0, 0.7), strict=True
    ):
        assert rate == 22050
        assert len(sound) == pytest.approx(len(voice), abs=2500)  # MP3 pads to whole frames
        assert float(sound.abs().max()) == pytest.approx(float(peak), abs=0.12)


def test_silence_plays(tmp_path: Path):
    ((sound, _),) = sounds(plot.listen(16000, silence=torch.zeros(1600)).data, tmp_path)
    assert not sound.abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(), (0,), (2, 100)])
def test_other_shapes_are_refused(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="'voice' has the shape"):
        plot.listen(22050, voice=torch.zeros(shape))
