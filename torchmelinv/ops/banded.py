"""Product with a matrix whose rows each cover a short run of columns, as a mel filterbank's do.

The rows are cut into a few chunks and each chunk is multiplied as a dense block of the columns it covers: nearly all zeros
are skipped while every product stays a plain matrix product, differentiable and fast on any device. A dense matrix is one
block of everything, so the same code serves both.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS_IN_A_CHUNK = 16


class Banded:
    """A fixed matrix (rows, columns), ready to multiply (…, columns, n) -> (…, rows, n)."""

    def __init__(self, matrix: Tensor, rows_in_a_chunk: int = ROWS_IN_A_CHUNK) -> None:
        """`matrix` may hold several rows for each band one after the other; `rows_in_a_chunk` counts rows."""
        self.shape = tuple(matrix.shape)
        self.blocks: list[tuple[slice, Tensor]] = []
        for rows in matrix.split(rows_in_a_chunk):
            used = rows.any(0).nonzero().flatten().tolist() or [0]
            columns = slice(used[0], used[-1] + 1)
            self.blocks.append((columns, rows[:, columns].contiguous()))

    def __matmul__(self, right: Tensor) -> Tensor:
        return torch.cat([block @ right[..., columns, :] for columns, block in self.blocks], -2)

    def of_rows(self, rows: Tensor) -> Tensor:
        """The product with each row of a matrix: (…, n, columns) -> (…, n, rows), frames before bins."""
        return torch.cat([rows[..., columns] @ block.mT for columns, block in self.blocks], -1)
