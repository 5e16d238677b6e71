"""Many files: inversion as a stream, jobs that resume and share their work, and evaluation.

`invert_many` inverts a stream of mels. A job over files is `plan`, `share_tasks`, `Manifest`,
`split_tasks` and `invert_files`: the parts of ``torchmelinv invert``. `pair_files`, `evaluate` and
`mean_scores` are the parts of ``torchmelinv evaluate``. `InvertBatch` and `EvaluateBatch` do the
same to the rows of a table, for Ray Data and for the package ``datasets``.
"""

from torchmelinv.corpus.evaluation import ScoredPair, evaluate, mean_scores
from torchmelinv.corpus.file_inversion import Outcome, invert_files, split_tasks
from torchmelinv.corpus.inversion import Inverted, invert_many
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.pairs import Pair, pair_files
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.corpus.roundtrip import Roundtrip, measure_roundtrip
from torchmelinv.corpus.sharding import World, launched_world, shard
from torchmelinv.corpus.sharing import share_tasks
from torchmelinv.corpus.table_batches import EvaluateBatch, InvertBatch

__all__ = [
    "EvaluateBatch",
    "InvertBatch",
    "Inverted",
    "Manifest",
    "Outcome",
    "Pair",
    "Roundtrip",
    "ScoredPair",
    "Task",
    "World",
    "evaluate",
    "inversion_settings",
    "invert_files",
    "invert_many",
    "launched_world",
    "mean_scores",
    "measure_roundtrip",
    "pair_files",
    "plan",
    "shard",
    "share_tasks",
    "split_tasks",
]
