"""Measurements beside librosa and torchaudio; a number is only written after its check is green. `make bench` runs them all."""
