"""The names of all methods, as types.

They are apart from the methods so that the command line can list them without importing torch.
`tests/guarantees/test_names.py` compares them with the registries.
"""

from __future__ import annotations

from typing import Literal

# Inverses of the filterbank; the registry is in `magnitude/__init__.py`.
MagnitudeName = Literal["transpose", "pinv", "nnls", "least_distance", "entropic"]

# Phase methods; the registry is in `phase/__init__.py`.
PhaseName = Literal[
    "griffin_lim",
    "fast_griffin_lim",
    "accelerated_griffin_lim",
    "admm",
    "raar",
    "lws",
    "rtisi_la",
    "mel_consistent",
    "coarse_to_fine",
]

# Initial phases; the registry is in `phase/initial_phase.py`.
InitName = Literal["zero", "random", "spsi", "pghi"]

# Restorations without statistics; the registry is in `restoration/registry.py`.
RestorationName = Literal["auto", "contrast", "unsharp_mask", "none"]

# Restorations that match statistics; only the command line names them.
MatchingName = Literal["match_variance", "match_modulation_spectrum"]
