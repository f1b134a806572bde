"""What is written to stdout arrives, or it is said why it does not."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from cli.trouble import Exit, Trouble

INTERRUPTED, BROKEN_PIPE = 130, 141
"""128 and the number of the signal, as shells have it."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextmanager
def whole_output() -> Iterator[None]:
    """Have all output written when the block ends. A reader that went away ends the process; Trouble tells of a full disk."""
    stdout = sys.stdout
    if stdout is None:
        raise Trouble("the output cannot be written", "stdout is closed", "write it to a file, or leave stdout open", Exit.INCOMPLETE)
    reader = _reader()
    try:
        try:
            yield
        finally:
            # Python itself would do it last of all, where nobody is told that it failed.
            sys.stdout.flush()
    except BrokenPipeError:
        leave(BROKEN_PIPE)
    except SystemExit:
        if sys.stdout is not stdout or _reader() != reader:
            # The reader went away, and Typer has put another in its place, or Rich nothing.
            leave(BROKEN_PIPE)
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # What is left in the buffer would be tried once more at the end, and fail there without a word of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise Trouble(
            "the output cannot be written", error.strerror or str(error), "make room, or write elsewhere", Exit.INCOMPLETE
        ) from error


def _reader() -> tuple[int, int] | None:
    """Identify what reads the output; None where that is no file, as in a test."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads that wait for AWS or for their turn."""
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)
