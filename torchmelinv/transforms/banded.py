"""Products with a matrix whose rows each cover a short range of columns, like a mel filterbank.

On the CPU the rows are split into chunks, and each chunk is multiplied as one dense block over the
columns that it covers. This skips nearly all zeros, and every product stays a plain matrix product.
On other devices a launch costs more than the zeros: there the whole matrix is one block, as in the
graphs of `torch.export`, where each product is several nodes.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.tracing import is_traced

# Rows per block. Larger blocks mean fewer products and more zeros. These sizes were the fastest on
# a CPU for matrices whose rows are mel bands, and for their transposes, whose rows are bins.
CHUNK_OF_BANDS = 16
CHUNK_OF_BINS = 96


class Banded:
    """A constant matrix (rows, columns) that multiplies (…, columns, n) -> (…, rows, n).

    Args:
        matrix: The matrix, on the CPU: finding its zeros reads its values. Then use `to`.
        rows_per_block: Rows per block.
    """

    def __init__(self, matrix: Tensor, rows_per_block: int = CHUNK_OF_BANDS) -> None:
        self.shape = tuple(matrix.shape)
        self.blocks: list[tuple[slice, Tensor]] = []
        for rows in matrix.split(rows_per_block):
            used = rows.any(0).nonzero().flatten().tolist() or [0]
            columns = slice(used[0], used[-1] + 1)
            self.blocks.append((columns, rows[:, columns].contiguous()))

    def to(self, dtype: torch.dtype, device: torch.device) -> Banded:
        """Return the same matrix with another dtype and on another device."""
        moved = object.__new__(Banded)
        moved.shape = self.shape
        blocks = self.blocks if device.type == "cpu" else [(slice(None), self._dense)]
        # In two steps: MPS has no float64.
        moved.blocks = [(columns, block.to(dtype).to(device)) for columns, block in blocks]
        return moved

    @functools.cached_property
    @outside_inference_mode
    def _dense(self) -> Tensor:
        """Return the whole matrix."""
        first = self.blocks[0][1]
        matrix, row = first.new_zeros(self.shape), 0
        for columns, block in self.blocks:
            matrix[row : row + len(block), columns] = block
            row += len(block)
        return matrix

    def __matmul__(self, right: Tensor) -> Tensor:
        """Return the product with columns: (…, columns, n) -> (…, rows, n)."""
        if is_traced(right):
            return self._dense @ right
        return _joined([block @ right[..., columns, :] for columns, block in self.blocks], -2)

    def of_rows(self, rows: Tensor) -> Tensor:
        """Return the product with each row of a matrix: (…, n, columns) -> (…, n, rows)."""
        if is_traced(rows):
            return rows @ self._dense.mT
        return _joined([rows[..., columns] @ block.mT for columns, block in self.blocks], -1)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)
