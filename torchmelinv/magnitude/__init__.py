"""Mel to magnitude: five ways to undo the filterbank, `(…, n_mels, n_frames) -> (…, n_freqs, n_frames)`.

With 80 equations and 513 unknowns a mel has many spectra, and the methods differ in which of them they choose. All work on
what the filterbank saw, the magnitude to the convention's power; all are batched, scale-equivariant and treat each frame alone.
"""
