"""Many files: inversion as a stream, jobs that resume and share their work, and evaluation.

`invert_many` inverts a stream of mels. A job over files is `plan`, `share_tasks`, `Manifest`,
`split_tasks` and `invert_files`: the parts of ``torchmelinv invert``. `pair_files`, `evaluate` and
`compare` are the parts of ``torchmelinv evaluate``, with `ScoreStore` and `invert_references`.
`InvertBatch` and `EvaluateBatch` do the same to the rows of a table, for Ray Data and for the
package ``datasets``.
"""

from torchmelinv.corpus.comparison import (
    ComparedItem,
    Comparison,
    PairedDifference,
    SystemSummary,
    compare,
)
from torchmelinv.corpus.comparison_files import comparison_to_dict, write_comparison_csv
from torchmelinv.corpus.evaluation import ScoredPair, evaluate
from torchmelinv.corpus.file_inversion import Outcome, invert_files, split_tasks
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.corpus.inverted_references import invert_references
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.metric_labels import MetricInfo, metric_info
from torchmelinv.corpus.output_level import OutputLevel, default_level
from torchmelinv.corpus.pairs import Pair, pair_files
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.corpus.roundtrip import Roundtrip, measure_roundtrip
from torchmelinv.corpus.score_store import ScoreStore
from torchmelinv.corpus.sharding import World, launched_world, shard
from torchmelinv.corpus.sharing import share_tasks
from torchmelinv.corpus.table_batches import EvaluateBatch, InvertBatch
from torchmelinv.io.mels import MelEntry, MelLayout, mel_entries

__all__ = [
    "ComparedItem",
    "Comparison",
    "EvaluateBatch",
    "InvertBatch",
    "Inverted",
    "Manifest",
    "MelEntry",
    "MelLayout",
    "MetricInfo",
    "Outcome",
    "OutputLevel",
    "Pair",
    "PairedDifference",
    "Roundtrip",
    "ScoreStore",
    "ScoredPair",
    "SystemSummary",
    "Task",
    "World",
    "compare",
    "comparison_to_dict",
    "default_level",
    "evaluate",
    "inversion_settings",
    "invert_files",
    "invert_many",
    "invert_references",
    "launched_world",
    "measure_roundtrip",
    "mel_entries",
    "metric_info",
    "pair_files",
    "plan",
    "shard",
    "share_tasks",
    "split_tasks",
    "write_comparison_csv",
]
