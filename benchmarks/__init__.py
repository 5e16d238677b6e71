"""Benchmarks against librosa and torchaudio. A number is written only after its checks pass."""
