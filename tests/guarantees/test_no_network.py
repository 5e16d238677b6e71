"""Nothing opens a socket or starts a program: no import, no inversion, no command."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.shared import ROOT

# The audit hook sees every socket that is opened through the interpreter. Other packages are
# imported before, because they may start programs.
PROGRAM = """
import socket, sys
import torch, torchaudio, soundfile, soxr, safetensors.torch, matplotlib.pyplot, numpy.testing

FORBIDDEN = (
    "socket.", "urllib.", "http.", "subprocess.", "os.system", "os.exec", "os.posix_spawn"
)

def refuse(*arguments, **options):
    raise AssertionError(f"a socket: {arguments} {options}")

def audit(event, details):
    if event.startswith(FORBIDDEN):
        raise AssertionError(f"{event} {details}")

socket.socket = socket.create_connection = refuse
socket.getaddrinfo = socket.gethostbyname = refuse
sys.addaudithook(audit)
try:
    import _socket
    _socket.socket()
    sys.exit("the hook sees nothing")
except AssertionError:
    pass

import torchmelinv as tmi
from torchmelinv import callbacks, compat, conversion, corpus, demo, functional, plot
from torchmelinv.cli.main import main
from pathlib import Path
import numpy as np

torch.set_num_threads(1)
level = tmi.Compression(log="ln", floor=1e-5)
convention = tmi.MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8, level=level)
Path("tiny.json").write_text(convention.to_json())
waveform = 0.3 * torch.sin(torch.arange(4000) * 0.3)
mel = tmi.MelSpectrogram(convention)(waveform)
tmi.MelInverter(convention, n_iter=2)(mel)
Path("in").mkdir()
np.save("in/a.npy", mel.numpy())
torch.save(mel, "in/b.pt")
soundfile.write("speech.wav", waveform.numpy(), 8000)
tiny = ["--convention", "tiny.json"]
for arguments in (
    ["invert", "in", "-o", "out", *tiny, "--n-iter", "2"],
    ["roundtrip", "speech.wav", *tiny, "--n-iter", "2", "--plot", "x.png"],
    ["convert", "in", "-o", "to", "--from", "tiny.json", "--to", "tiny.json"],
    ["presets"],
    ["presets", "hifigan_22k"],
    ["identify", "in/a.npy"],
    ["evaluate", "--reference", "out", "--generated", "out", *tiny, "--html", "page.html"],
):
    assert main(arguments) == 0, arguments
print("done")
"""


def test_no_socket_is_opened(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("done\n")
