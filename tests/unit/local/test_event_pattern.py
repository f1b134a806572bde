"""The matcher gives the verdicts recorded from AWS's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.events.pattern import InvalidEventPattern, matches, validate

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "event_patterns.json").read_text())


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_gives_the_recorded_verdict(case: dict[str, Any]) -> None:
    if "invalid" in case:
        with pytest.raises(InvalidEventPattern) as refused:
            validate(case["pattern"])
        assert refused.value.reason == case["invalid"]
    else:
        validate(case["pattern"])
        assert matches(case["pattern"], case["event"]) is case["match"]


OWN_ROLE = "arn:aws:iam::123456789012:role/governor"
NOT_US = {"detail": {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"exists": False}, {"anything-but": [OWN_ROLE]}]}}}}}


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"sessionContext": {"sessionIssuer": {"arn": OWN_ROLE}}}, False),
        ({"sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::123456789012:role/ci"}}}, True),
        ({"sessionContext": {"sessionIssuer": {}}}, True),
        ({"type": "IAMUser"}, True),
    ],
)
def test_one_list_leaves_out_one_role_and_keeps_events_without_a_session(identity: dict[str, Any], expected: bool) -> None:
    assert matches(NOT_US, {"detail": {"userIdentity": identity}}) is expected


def test_anything_but_alone_loses_events_without_the_field() -> None:
    assert not matches({"detail": {"role": [{"anything-but": ["x"]}]}}, {"detail": {}})


def test_fields_of_an_array_must_come_from_one_element() -> None:
    pattern = {"tags": {"key": ["owner"], "value": ["a"]}}
    assert matches(pattern, {"tags": [{"key": "env", "value": "b"}, {"key": "owner", "value": "a"}]})
    assert not matches(pattern, {"tags": [{"key": "owner", "value": "b"}, {"key": "env", "value": "a"}]})


@pytest.mark.parametrize(
    ("wildcard", "text", "expected"),
    [
        ("a*", "a\nb", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("*", "", True),
        ("a*c*e", "abcde", True),
        ("a*c", "ab", False),
    ],
)
def test_wildcards(wildcard: str, text: str, expected: bool) -> None:
    assert matches({"x": [{"wildcard": wildcard}]}, {"x": text}) is expected


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ({"suffix": ".png"}, "a.png", True),
        ({"suffix": {"equals-ignore-case": ".PNG"}}, "a.png", True),
        ({"numeric": ["<", 5]}, True, False),
        ({"numeric": [">", 0, "<=", 5]}, 5, True),
        ({"numeric": [">", 0, "<=", 5]}, "5", False),
        ({"anything-but": {"prefix": ["a", "b"]}}, "bx", False),
        ({"anything-but": {"suffix": "x"}}, "xa", True),
        ({"anything-but": {"equals-ignore-case": ["ABC"]}}, "abc", False),
        ({"anything-but": "x"}, None, True),
        ({"cidr": "2001:db8::/32"}, "2001:db8::1", True),
        ({"cidr": "2001:db8::/32"}, "10.0.0.1", False),
    ],
)
def test_operators(expression: dict[str, Any], value: Any, expected: bool) -> None:
    assert matches({"x": [expression]}, {"x": value}) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"a": {}},
        {"a": [{}]},
        {"a": [["b"]]},
        {"a": [{"exists": "true"}]},
        {"a": [{"numeric": []}]},
        {"a": [{"numeric": ["<", 1, ">", 0]}]},
        {"a": [{"numeric": [">", 5, "<", 1]}]},
        {"a": [{"numeric": ["!", 5]}]},
        {"a": [{"cidr": "10.0.0"}]},
        {"a": [{"wildcard": "x\\y"}]},
        {"a": [{"anything-but": []}]},
        {"a": [{"anything-but": [True]}]},
        {"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]},
        {"$or": ["a", "b"]},
        {"a": {"b": ["x"]}, "a.b": ["y"]},
    ],
)
def test_refuses_what_the_service_refuses(pattern: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventPattern):
        validate(pattern)


def test_too_many_combinations_are_refused() -> None:
    eleven = [{"x": [str(n)]} for n in range(11)]
    with pytest.raises(InvalidEventPattern):
        validate({name: {"$or": eleven} for name in "abc"})
