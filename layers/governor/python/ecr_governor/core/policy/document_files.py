"""Documents that a policy file leaves to files beside it: `lifecycle_policy: {file: lifecycle.json}`.

Files are read where a person works on the policy. A deployment reads one object, so that what is judged by is what its hash says and
nothing can come between; it refuses such a file, and says how it is made one.
"""

import posixpath
from typing import Any, Final, Protocol

from ecr_governor.core.documents.problem import KEY, Path, written
from ecr_governor.core.policy.model import FILE
from ecr_governor.core.policy.yaml_text import (
    MAX_BYTES,
    MAX_NODES,
    FileKind,
    Node,
    PolicyInvalid,
    Problem,
    compose,
    kind_of,
    place,
    read_text,
    shown,
)

DOCUMENT: Final = FileKind("document", "{")
_SETTINGS: Final = ("lifecycle_policy", "repository_policy")
_CODE: Final = "file"


class FileRefused(Exception):
    """A file is not read: why not, and what to do."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.do = do


class Files(Protocol):
    """The files beside a policy file."""

    def read(self, path: str) -> tuple[str, bytes]:
        """Give the name by which people find the file, and at most a byte more than `MAX_BYTES` of it. Raises FileRefused."""
        ...


def references(root: Node) -> list[tuple[Path, Node]]:
    """Give the settings that are left to a file, each with the path to it and the settings that it is one of."""
    namespaces = root.items.get("namespaces")
    return [
        (("namespaces", prefix, key), settings)
        for prefix, settings in (namespaces.items.items() if namespaces else ())
        for key in _SETTINGS
        if key in settings.items and FILE in settings.items[key].items and isinstance(settings.items[key].value, dict)
    ]


def put_in(root: Node, source: str, files: Files | None, size: int) -> list[Problem]:
    """Put the documents in the place of what refers to them, and tell why one cannot be. `size` is the policy file's own, in bytes."""
    reading = _Reading(root, source, files, size)
    done: set[tuple[int, str]] = set()
    for at, settings in references(root):
        # Settings that an alias repeats are the same.
        if (one := (id(settings), str(at[-1]))) not in done:
            reading.put(at, settings)
        done.add(one)
    return reading.problems


class _Reading:
    """One policy file, whose documents are put in."""

    def __init__(self, root: Node, source: str, files: Files | None, size: int) -> None:
        self._root = root
        self._source = source
        self._files = files
        self._size = size
        self._nodes = root.size
        self._seen: dict[str, tuple[Node, int]] = {}
        self.problems: list[Problem] = []

    def put(self, at: Path, settings: Node) -> None:
        """Put one document in."""
        key = str(at[-1])
        try:
            document = self._document(at, settings.items[key])
        except PolicyInvalid as invalid:
            self.problems += (each for each in invalid.problems if each not in self.problems)
            document = None
        if document is None:
            # It is told; what cannot be known is not checked.
            settings.value[key] = None
            return
        settings.value[key] = document.value
        settings.items[key] = document

    def _document(self, at: Path, reference: Node) -> Node | None:
        if beside := [one for one in reference.items if one != FILE]:
            self._tell((*at, beside[0], KEY), f"{beside[0]} stands beside file, which is the whole document", "remove one of the two")
            return None
        path = reference.value[FILE]
        if not isinstance(path, str):
            self._tell((*at, FILE), f"must be the path of a file, not {kind_of(path)}", "write file: lifecycle.json")
            return None
        if self._files is None:
            what = f"is left to the file {shown(path)}, and only this file is read here"
            self._tell((*at, FILE), what, "make one file of them by ecr-governor policy bundle, and upload that")
            return None
        node, size = self._seen.get(path) or self._read(at, path, self._files)
        self._seen[path] = node, size
        self._size += size
        self._nodes += node.size
        # Each use counts: the whole is to be one file.
        if self._size > MAX_BYTES:
            self._tell((*at, FILE), f"with {shown(path)} the policy has more than {MAX_BYTES} bytes", "leave less to files")
        elif self._nodes > MAX_NODES:
            self._tell((*at, FILE), f"with {shown(path)} the policy has more than {MAX_NODES} values", "leave less to files")
        else:
            return node
        return None

    def _read(self, at: Path, path: str, files: Files) -> tuple[Node, int]:
        try:
            name, data = files.read(path)
        except FileRefused as refused:
            raise PolicyInvalid((self._problem((*at, FILE), refused.what, refused.do),)) from refused
        node, problems = compose(read_text(data, name, DOCUMENT), name, DOCUMENT)
        if FILE in node.items:
            line, column = node.keys[FILE]
            problems.append(Problem(name, line, column, "", _refers(path, node.value[FILE]), "write the document itself there", _CODE))
        if problems:
            raise PolicyInvalid(tuple(problems))
        node.source = name
        return node, len(data)

    def _tell(self, at: Path, what: str, do: str) -> None:
        self.problems.append(self._problem(at, what, do))

    def _problem(self, at: Path, what: str, do: str) -> Problem:
        line, column = place(self._root, at)
        return Problem(self._source, line, column, written(at), what, do, _CODE)


def _refers(path: str, other: Any) -> str:
    if isinstance(other, str) and posixpath.normpath(other) in {posixpath.normpath(path), posixpath.basename(path)}:
        return "the file refers to itself, in a circle"
    return f"the file refers to another one, {shown(other)}, and a document is in one file"
