"""A great many small values by name, in a file without a name: what a sweep must look up costs memory of 25 bytes for each."""

import os
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct

_LENGTHS = Struct(">II")
"""Of name and value, before both."""
_WINDOW = 8192
"""Bytes that are read at once."""


class FileShelf:
    """Values are put first and taken afterwards; of several values of one name the last counts."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="ecr-governor-")  # noqa: SIM115 - it lives as long as the shelf
        self._end = 0
        self._hashes = array("q")
        self._starts = array("Q")
        self._taken = bytearray()
        self._sorted = True
        self._window = b""
        self._window_start = 0

    def put(self, name: str, value: bytes) -> None:
        """Keep a value; a later one of the same name replaces it."""
        key = name.encode()
        record = _LENGTHS.pack(len(key), len(value)) + key + value
        self._file.write(record)
        self._hashes.append(hash(name))
        self._starts.append(self._end)
        self._end += len(record)
        self._sorted = False

    def read(self, name: str) -> bytes | None:
        """Read a value."""
        found = self._find(name)
        return found[1] if found else None

    def take(self, name: str) -> bytes | None:
        """Read a value and note that it was taken."""
        found = self._find(name)
        if found is None:
            return None
        self._taken[found[0]] = 1
        return found[1]

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """The values that nobody has taken."""
        self._sort()
        for position, taken in enumerate(self._taken):
            if not taken:
                name, value = self._read(self._starts[position])
                yield name.decode(), value

    def _find(self, name: str) -> tuple[int, bytes] | None:
        if not self._hashes:
            return None
        self._sort()
        wanted, key = hash(name), name.encode()
        position = bisect_left(self._hashes, wanted)
        while position < len(self._hashes) and self._hashes[position] == wanted:
            found, value = self._read(self._starts[position])
            if found == key:
                return position, value
            position += 1
        return None

    def _sort(self) -> None:
        """Order by hash, and among equal names leave the last: the file itself stays as it is."""
        if self._sorted:
            return
        self._file.flush()
        self._window = b""
        # The later of two equal names first: the sort keeps their order.
        order = sorted(range(len(self._hashes) - 1, -1, -1), key=self._hashes.__getitem__)
        hashes, starts = array("q"), array("Q")
        names: set[bytes] = set()
        for position in order:
            if hashes and hashes[-1] == self._hashes[position]:
                # The same name again, or another one of the same hash.
                names = names or {self._read(starts[-1])[0]}
                name = self._read(self._starts[position])[0]
                if name in names:
                    continue
                names.add(name)
            else:
                names = set()
            hashes.append(self._hashes[position])
            starts.append(self._starts[position])
        self._hashes, self._starts = hashes, starts
        self._taken = bytearray(len(hashes))
        self._sorted = True

    def _read(self, start: int) -> tuple[bytes, bytes]:
        begin = start - self._window_start
        if not 0 <= begin <= len(self._window) - _LENGTHS.size:
            begin = self._look(start, _LENGTHS.size)
        of_name, of_value = _LENGTHS.unpack_from(self._window, begin)
        length = _LENGTHS.size + of_name + of_value
        if begin + length > len(self._window):
            begin = self._look(start, length)
        middle = begin + _LENGTHS.size + of_name
        return self._window[begin + _LENGTHS.size : middle], self._window[middle : begin + length]

    def _look(self, start: int, length: int) -> int:
        """Read ahead from there, and give where in the window it is: what is taken next was mostly put next."""
        self._window, self._window_start = os.pread(self._file.fileno(), max(_WINDOW, length), start), start
        return 0
