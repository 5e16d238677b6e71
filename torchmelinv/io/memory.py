"""Files too large for the memory: an error for that file, before or while it is read or written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torchmelinv._utils.available_memory import available_memory, is_out_of_memory
from torchmelinv.errors import FileError

_SMALL = 2**26  # bytes that need no check


def check_memory(path: object, n_bytes: int) -> None:
    """Refuse a file that takes more memory than there is.

    Without this, the system may allocate the memory and end the process while it is filled.

    Args:
        path: The file.
        n_bytes: Bytes that reading or writing it takes.

    Raises:
        FileError: If fewer bytes are available.
    """
    if n_bytes > _SMALL and n_bytes > (available := available_memory()):
        raise FileError(
            f"{path} is too large: it takes {n_bytes / 1e9:.3g} GB of memory and "
            f"{available / 1e9:.3g} GB are available; split it into smaller files"
        )


@contextlib.contextmanager
def memory_errors(path: object) -> Iterator[None]:
    """Turn errors that memory ran out into one that names the file.

    Args:
        path: The file that the block works on.

    Yields:
        Nothing.

    Raises:
        FileError: If memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        message = f"{path} is too large for the available memory; split it into smaller files"
        raise FileError(message) from None
