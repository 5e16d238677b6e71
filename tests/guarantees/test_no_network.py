"""Nothing here ever speaks to a network, nor starts a program: not on import, not in an inversion, not at the command line."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.shared import ROOT

# The hook hears of every socket that is opened through the interpreter.
PROGRAM = """
import socket, sys
import torch, torchaudio, soundfile, soxr, safetensors.torch, matplotlib.pyplot, numpy.testing  # what they do is theirs

def forbidden(*arguments, **options):
    raise AssertionError(f"a socket: {arguments} {options}")

def watch(event, details):
    if event.startswith(("socket.", "urllib.", "http.", "subprocess.", "os.system", "os.exec", "os.posix_spawn")):
        raise AssertionError(f"{event} {details}")

socket.socket = socket.create_connection = socket.getaddrinfo = socket.gethostbyname = forbidden
sys.addaudithook(watch)
try:
    import _socket
    _socket.socket()
    sys.exit("the hook hears nothing")
except AssertionError:
    pass

import torchmelinv as tmi
from torchmelinv import callbacks, cli, compat, convert, demo, functional, plot
from pathlib import Path
import numpy as np

torch.set_num_threads(1)
convention = tmi.MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8, level=tmi.Level(log="ln", floor=1e-5))
Path("tiny.json").write_text(convention.to_json())
waveform = 0.3 * torch.sin(torch.arange(4000) * 0.3)
mel = tmi.MelAnalyzer(convention)(waveform)
tmi.MelInverter(convention, n_iter=2)(mel)
Path("in").mkdir()
np.save("in/a.npy", mel.numpy())
torch.save(mel, "in/b.pt")
soundfile.write("speech.wav", waveform.numpy(), 8000)
one = ["--convention", "tiny.json"]
for words in (
    ["invert", "in", "-o", "out", *one, "--n-iter", "2"], ["roundtrip", "speech.wav", *one, "--n-iter", "2", "--plot", "x.png"],
    ["convert", "in", "-o", "to", "--from", "tiny.json", "--to", "tiny.json"], ["presets"], ["presets", "hifigan_22k"],
    ["inspect", "in/a.npy"], ["evaluate", "--reference", "out", "--generated", "out", *one],
):
    assert cli.main(words) == 0, words
print("silence")
"""


def test_no_socket_is_ever_made(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("silence\n")
