"""As much of CBOR (RFC 8949) as AWS's protocol of that name sends and reads: boto3 speaks it to CloudWatch."""

import struct
from collections.abc import Iterator
from typing import Any

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
INDEFINITE, BREAK = 31, 0xFF
MOMENT = 1
"""The tag of a number of seconds since 1970."""
SIMPLE_VALUES = {20: False, 21: True, 22: None, 23: None}
FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}


class Moment(float):
    """Seconds since 1970, to be written as a moment and not as a number."""

    __slots__ = ()


def dump(value: Any) -> bytes:
    """Write a JSON-like value. Raises TypeError for what JSON does not know either."""
    return b"".join(_written(value))


def load(data: bytes) -> Any:
    """Read one value. Moments become plain numbers. Raises ValueError if it is cut short or not CBOR."""
    try:
        value, end = _read(data, 0)
    except (IndexError, struct.error) as error:
        raise ValueError("the CBOR document is cut short") from error
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes after the CBOR document")
    return value


def _written(value: Any) -> Iterator[bytes]:
    if value is None or isinstance(value, bool):
        yield {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    elif isinstance(value, int):
        yield _head(UNSIGNED, value) if value >= 0 else _head(NEGATIVE, -1 - value)
    elif isinstance(value, float):
        yield (_head(TAG, MOMENT) if isinstance(value, Moment) else b"") + struct.pack(">Bd", SIMPLE << 5 | 27, value)
    elif isinstance(value, str):
        text = value.encode()
        yield _head(TEXT, len(text)) + text
    elif isinstance(value, list | tuple):
        yield _head(ARRAY, len(value))
        for each in value:
            yield from _written(each)
    elif isinstance(value, dict):
        yield _head(MAP, len(value))
        for key, each in value.items():
            yield from _written(key)
            yield from _written(each)
    else:
        raise TypeError(f"CBOR has no {type(value).__name__} here")


def _head(kind: int, number: int) -> bytes:
    if number < 24:  # noqa: PLR2004 - up to here the number stands in the first byte
        return bytes([kind << 5 | number])
    for code, (form, size) in enumerate(((">B", 1), (">H", 2), (">I", 4), (">Q", 8)), 24):
        if number < 1 << 8 * size:
            return bytes([kind << 5 | code]) + struct.pack(form, number)
    raise TypeError(f"{number} is too large")


def _read(data: bytes, at: int) -> tuple[Any, int]:
    kind, code = data[at] >> 5, data[at] & 31
    if kind == SIMPLE:
        if code in SIMPLE_VALUES:
            return SIMPLE_VALUES[code], at + 1
        form, size = FLOATS.get(code, ("", 0))
        if not size:
            raise ValueError(f"no CBOR value begins with byte {data[at]}")
        return struct.unpack_from(form, data, at + 1)[0], at + 1 + size
    number, at = _number(data, at + 1, code)
    if kind in {UNSIGNED, NEGATIVE}:
        return (number if kind == UNSIGNED else -1 - number), at
    if kind == TAG:
        return _read(data, at)
    if kind in {BYTES, TEXT}:
        return _string(data, at, number, kind)
    items: list[Any] = []
    count = number if kind == ARRAY or number == -1 else 2 * number
    while (data[at] != BREAK) if count == -1 else (len(items) < count):
        item, at = _read(data, at)
        items.append(item)
    at += count == -1
    return (items if kind == ARRAY else dict(zip(items[::2], items[1::2], strict=True))), at


def _number(data: bytes, at: int, code: int) -> tuple[int, int]:
    """Read a length or an integer; -1 is a length that only the end will tell."""
    if code < 24:  # noqa: PLR2004 - as in _head
        return code, at
    if code == INDEFINITE:
        return -1, at
    if code > 27:  # noqa: PLR2004 - eight bytes are the most
        raise ValueError(f"no CBOR length has the code {code}")
    size = 1 << code - 24
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size]), at + size


def _string(data: bytes, at: int, length: int, kind: int) -> tuple[Any, int]:
    if length == -1:
        parts: list[Any] = []
        while data[at] != BREAK:
            part, at = _read(data, at)
            parts.append(part)
        return (b"" if kind == BYTES else "").join(parts), at + 1
    found = data[at : at + length]
    if len(found) < length:
        raise IndexError
    return (found if kind == BYTES else found.decode()), at + length
