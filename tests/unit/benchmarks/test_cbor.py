"""CBOR as in the examples of RFC 8949, appendix A."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cbor

EXAMPLES: list[tuple[Any, str]] = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (-1, "20"),
    (-100, "3863"),
    (1.1, "fb3ff199999999999a"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    ("IETF", "6449455446"),
    ("ü", "62c3bc"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]
READ_ONLY: list[tuple[Any, str]] = [
    (1.5, "f93e00"),
    (100000.0, "fa47c35000"),
    (1363896240, "c11a514b67b0"),
    (1363896240.5, "c1fb41d452d9ec200000"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("streaming", "7f657374726561646d696e67ff"),
    ([1, [2, 3], [4, 5]], "9f018202039f0405ffff"),
    ({"a": 1, "b": [2, 3]}, "bf61610161629f0203ffff"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=30),
    max_leaves=40,
)


@pytest.mark.parametrize(("value", "written"), EXAMPLES)
def test_it_writes_as_the_standard_says(value: Any, written: str) -> None:
    assert cbor.dump(value).hex() == written


@pytest.mark.parametrize(("value", "written"), EXAMPLES + READ_ONLY)
def test_it_reads_as_the_standard_says(value: Any, written: str) -> None:
    assert cbor.load(bytes.fromhex(written)) == value


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert cbor.load(cbor.dump(value)) == value


def test_a_moment_has_its_tag_and_a_number_has_none() -> None:
    assert cbor.dump(cbor.Moment(1363896240.5)).hex() == "c1fb41d452d9ec200000"
    assert cbor.dump(1363896240.5).hex() == "fb41d452d9ec200000"


@pytest.mark.parametrize("written", ["", "18", "1903", "62c3", "8301", "ff", "1c", "fc", "0000", "7f6573"])
def test_what_is_not_whole_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"CBOR|decode"):
        cbor.load(bytes.fromhex(written))


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        cbor.dump({"names": {"a"}})
    with pytest.raises(TypeError, match="too large"):
        cbor.dump(2**64)
