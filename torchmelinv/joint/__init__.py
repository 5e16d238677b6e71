"""Mel straight to waveform: phase methods that agree with the mel itself instead of one magnitude found for it."""
