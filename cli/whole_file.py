"""Files that are written whole or not at all: half of what was meant is worse than what was there before."""

import shutil
from contextlib import suppress
from pathlib import Path

from cli.trouble import Trouble


def write_whole(path: Path, text: str, do: str = "name another file with --out") -> None:
    """Put a text in a file's place in one step. Raises Trouble, which says what to `do`, and leaves what was there."""
    # Where a link leads to is replaced, not the link.
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise Trouble(f"{path} cannot be written", "it is no file", do)
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="")
        if target.exists():
            # Whoever may read it and who may not stays as it was.
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Trouble(f"{path} cannot be written", error.strerror or str(error), do) from error
