"""Magnitude to waveform: starts and iterations, which know frames and nothing of mels."""
