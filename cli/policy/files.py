"""Policy files, from disk."""

import stat
from pathlib import Path

from cli.trouble import Trouble
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.load import read as read_policy
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.yaml_text import MAX_BYTES, POLICY, FileKind, PolicyInvalid, read_text, too_large


def read(path: Path) -> Policy:
    """Read and check a policy file. Raises Trouble that lists every problem with its line."""
    try:
        return reading(path).policy
    except PolicyInvalid as invalid:
        raise Trouble(
            f"{path} is no valid policy file", f"\n{invalid}", "mend these lines; docs/policy.md says what each section takes"
        ) from invalid


def reading(path: Path) -> Reading:
    """Read a policy file with the places of its parts. Raises PolicyInvalid, and Trouble if there is no such file."""
    return read_policy(text_of(path), str(path))


def text_of(path: Path, kind: FileKind = POLICY) -> str:
    """Read a file's text, not more of it than could be used. Raises PolicyInvalid, and Trouble if there is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
            found = path.stat()
    except OSError as error:
        raise Trouble(
            f"{path} cannot be read",
            error.strerror or str(error),
            f"give the path of a {kind.noun if 'file' in kind.noun else f'{kind.noun} file'}",
        ) from error
    if len(data) > MAX_BYTES and stat.S_ISREG(found.st_mode):
        raise too_large(str(path), found.st_size, kind)
    return read_text(data, str(path), kind)


def in_source_tree(path: Path) -> str:
    """Give a file's path as code scanning knows it: below where the command runs."""
    whole = path.resolve()
    return whole.relative_to(Path.cwd()).as_posix() if whole.is_relative_to(Path.cwd()) else whole.name
