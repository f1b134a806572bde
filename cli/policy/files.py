"""Policy files, from disk."""

import os
import stat
import sys
from pathlib import Path, PurePosixPath

from cli.options import POLICY_HERE
from cli.trouble import Trouble
from ecr_governor.core.policy.document_files import FileRefused
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.load import read as read_policy
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.yaml_text import MAX_BYTES, POLICY, FileKind, PolicyInvalid, read_text, shown, too_large

OPTION = "--policy"


def chosen(named: Path | None) -> Path | None:
    """Give the policy file that counts where a command can do without: the named one, else `POLICY_HERE` if it is there.

    None is the bundled policy.
    """
    return named or (POLICY_HERE if POLICY_HERE.exists() else None)


def say_chosen(named: Path | None) -> None:
    """Say on stderr which policy counts where none was named."""
    if named is None:
        sys.stderr.write(f"policy: {chosen(None) or f'the bundled one, as there is no {POLICY_HERE} here'}\n")


def read(path: Path, option: str = "") -> Policy:
    """Read and check a policy file. Raises Trouble that lists every problem with its line, or says by which option one is named."""
    try:
        return reading(path, option).policy
    except PolicyInvalid as invalid:
        raise refused(path, invalid) from invalid


def refused(path: Path, invalid: PolicyInvalid) -> Trouble:
    """Tell by any command, in the same words, that a policy file is not valid: each problem on a line of its own."""
    return Trouble(f"{path} is no valid policy file", problems_in(invalid), f"ecr-governor policy validate {path} tells more")


def problems_in(invalid: PolicyInvalid) -> str:
    """Put each problem of a file on a line of its own, as a trouble's why."""
    return "".join(f"\n    {line}" for line in str(invalid).splitlines())


def reading(path: Path, option: str = "") -> Reading:
    """Read a policy file with the places of its parts. Raises PolicyInvalid, and Trouble if there is no such file."""
    return understood(text_of(path, option=option), path)


def understood(text: str, path: Path) -> Reading:
    """Read the text of a policy file that lies, or would lie, at the path. Raises PolicyInvalid."""
    return read_policy(text, str(path), Beside(path))


def alone(text: str, path: Path) -> Reading:
    """Read the text of a policy file as a deployment does, which has no files beside it. Raises PolicyInvalid."""
    return read_policy(text, str(path))


class Beside:
    """The files in and below a policy file's folder, and no others."""

    def __init__(self, policy: Path) -> None:
        self._policy = policy

    def read(self, path: str) -> tuple[str, bytes]:
        """Give the file's name as the policy file's is given, and at most a byte more than `MAX_BYTES` of it. Raises FileRefused."""
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts or not path.isprintable() or "\\" in path:
            raise FileRefused(f"{shown(path)} is no path of a file below this one's folder", "write it as seen from here, without .. or /")
        name = self._policy.parent.joinpath(*parts)
        try:
            found, folder = name.resolve(strict=True), self._policy.parent.resolve()
            # A link may lead to another place here, never out of here.
            if not found.is_relative_to(folder):
                raise FileRefused(f"{shown(path)} leads out of this file's folder", "put the file itself there, not a link")
            if found == self._policy.resolve():
                raise FileRefused(f"{shown(path)} is the policy file itself, in a circle", "name the file that holds the document")
            return str(name), _bytes_of(found, path)
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) else "links lead in a circle"
            raise FileRefused(
                f"{shown(path)} cannot be read: {why}", f"put the file beside {self._policy.name}, or correct its path"
            ) from error


def _bytes_of(path: Path, named: str) -> bytes:
    """Read a plain file, not more of it than could be used; whatever else lies there might never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileRefused(f"{shown(named)} is no file", "name the file that holds the document")
        return file.read(MAX_BYTES + 1)


def text_of(path: Path, kind: FileKind = POLICY, option: str = "") -> str:
    """Read a file's text, not more of it than could be used. Raises PolicyInvalid, and Trouble if there is no such file.

    `option` is how the file is named on the command line, "" where it is an argument.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
            found = path.stat()
    except OSError as error:
        what = kind.noun if "file" in kind.noun else f"{kind.noun} file"
        do = f"name the {what} by {option}, for example {option} policies/policy.yaml" if option else f"give the path of a {what}"
        raise Trouble(f"{path} cannot be read", error.strerror or str(error), do) from error
    if len(data) > MAX_BYTES and stat.S_ISREG(found.st_mode):
        raise too_large(str(path), found.st_size, kind)
    return read_text(data, str(path), kind)


def in_source_tree(path: Path) -> str:
    """Give a file's path as code scanning knows it: below where the command runs."""
    whole = path.resolve()
    return whole.relative_to(Path.cwd()).as_posix() if whole.is_relative_to(Path.cwd()) else whole.name
