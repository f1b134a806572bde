"""Event patterns: which events a rule, a filter or `TestEventPattern` lets through.

The grammar and the verdicts are those of AWS's own matcher (github.com/aws/event-ruler, `JsonRuleCompiler`); what it
answered for CloudTrail-shaped events is recorded in `tests/golden/event_patterns.json`. The facts that surprise:

* a pattern looks at leaves only: `exists` is false for an object, and an empty array is the same as no field at all;
* `null` is a value, so `{"exists": false}` does not match it;
* dots join the steps of a path, so the key `a.b` and `b` inside `a` are one field;
* fields taken from the elements of one array must come from the same element.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json import dumps, loads
from typing import Any

OR = "$or"
MAX_COMBINATIONS = 1000
"""Rule combinations that `$or` may multiply out to (EventBridge quota)."""
MIN_ALTERNATIVES = 2
NUMBER_LIMIT = 5_000_000_000
"""Numbers are compared between plus and minus five billion."""

Test = Callable[[Any], bool]
Lower = (">", ">=")
Upper = ("<", "<=")


class InvalidEventPattern(Exception):
    """The pattern is not one that EventBridge accepts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Clause:
    """What one field must be: absent, or present with a value that passes one of the tests."""

    absent: bool
    tests: tuple[Test, ...]


@dataclass
class Leaf:
    """A value of the event and the array elements that it was found in."""

    value: Any
    elements: dict[int, int] = field(default_factory=dict)


Combination = dict[str, Clause]


def validate(pattern: Mapping[str, Any]) -> None:
    """Raise `InvalidEventPattern` if EventBridge would refuse the pattern."""
    compile_pattern(pattern)


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event passes the pattern."""
    return CompiledPattern.of(pattern).matches(event)


class CompiledPattern:
    """A pattern that was checked once and is asked often."""

    def __init__(self, pattern: Mapping[str, Any]) -> None:
        self.combinations = compile_pattern(pattern)

    @staticmethod
    def of(pattern: Mapping[str, Any]) -> CompiledPattern:
        """Compile, or take the copy made earlier for an equal pattern."""
        return _compiled(dumps(pattern, sort_keys=True))

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether the event passes."""
        leaves = _flatten(event)
        return any(_holds(list(combination.items()), leaves, {}) for combination in self.combinations)


@lru_cache(maxsize=512)
def _compiled(text: str) -> CompiledPattern:
    return CompiledPattern(loads(text))


def _flatten(event: Mapping[str, Any]) -> dict[str, list[Leaf]]:
    leaves: dict[str, list[Leaf]] = {}
    arrays = iter(range(1_000_000_000))

    def walk(path: str, value: Any, elements: dict[int, int]) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{path}.{key}" if path else str(key), inner, elements)
        elif isinstance(value, list):
            array = next(arrays)
            for index, inner in enumerate(value):
                walk(path, inner, {**elements, array: index})
        else:
            leaves.setdefault(path, []).append(Leaf(value, elements))

    walk("", event, {})
    return leaves


def _holds(clauses: Sequence[tuple[str, Clause]], leaves: dict[str, list[Leaf]], chosen: dict[int, int]) -> bool:
    if not clauses:
        return True
    (path, clause), rest = clauses[0], clauses[1:]
    candidates = leaves.get(path, [])
    if clause.absent and not candidates and _holds(rest, leaves, chosen):
        return True
    for leaf in candidates:
        same_elements = all(chosen.get(array, index) == index for array, index in leaf.elements.items())
        if same_elements and any(test(leaf.value) for test in clause.tests) and _holds(rest, leaves, {**chosen, **leaf.elements}):
            return True
    return False


def compile_pattern(pattern: Mapping[str, Any]) -> list[Combination]:
    """Check the pattern and multiply its `$or` out into plain combinations of fields."""
    if not isinstance(pattern, Mapping):
        raise InvalidEventPattern("Filter is not an object")
    return _object(pattern, "")


def _object(pattern: Mapping[str, Any], path: str) -> list[Combination]:
    if not pattern:
        raise InvalidEventPattern("Empty objects are not allowed")
    combinations: list[Combination] = [{}]
    for key, value in pattern.items():
        name = f"{path}.{key}" if path else key
        if key == OR and isinstance(value, list):
            choices = _alternatives(value, path)
        elif isinstance(value, Mapping):
            choices = _object(value, name)
        elif isinstance(value, list):
            choices = [{name: _clause(value)}]
        else:
            raise InvalidEventPattern(f'"{key}" must be an object or an array')
        combinations = list(_product(combinations, choices))
        if len(combinations) > MAX_COMBINATIONS:
            raise InvalidEventPattern(f"More than {MAX_COMBINATIONS} rule combinations")
    return combinations


def _alternatives(values: list[Any], path: str) -> list[Combination]:
    if any(not isinstance(value, Mapping) for value in values):
        raise InvalidEventPattern("Only JSON object is allowed in array of $or relationship.")
    if len(values) < MIN_ALTERNATIVES:
        raise InvalidEventPattern("There must have at least 2 Objects in $or relationship.")
    return [combination for value in values for combination in _object(value, path)]


def _product(left: list[Combination], right: list[Combination]) -> Iterator[Combination]:
    for one in left:
        for other in right:
            if both := one.keys() & other.keys():
                raise InvalidEventPattern(f"Path `{min(both)}` cannot be allowed multiple times")
            yield {**one, **other}


def _clause(values: list[Any]) -> Clause:
    if not values:
        raise InvalidEventPattern("Empty arrays are not allowed")
    tests: list[Test] = []
    absent = False
    for value in values:
        if isinstance(value, Mapping):
            test = _expression(value)
            if test is None:
                absent = True
            else:
                tests.append(test)
        elif isinstance(value, list):
            raise InvalidEventPattern("Match value must be String, number, true, false, or null")
        else:
            tests.append(_equals(value))
    return Clause(absent, tuple(tests))


def _expression(expression: Mapping[str, Any]) -> Test | None:
    """The test of one match expression; None stands for `{"exists": false}`, which is no test of a value."""
    if not expression:
        raise InvalidEventPattern("Match expression name not found")
    if len(expression) > 1:
        raise InvalidEventPattern("Only one key allowed in match expression")
    ((operator, operand),) = expression.items()
    if operator == "exists":
        if not isinstance(operand, bool):
            raise InvalidEventPattern("exists match pattern must be either true or false.")
        return (lambda _: True) if operand else None
    build = OPERATORS.get(operator)
    if build is None:
        raise InvalidEventPattern(f"Unrecognized match type {operator}")
    return build(operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equals(expected: Any) -> Test:
    if _is_number(expected):
        return lambda value: _is_number(value) and bool(value == expected)
    if isinstance(expected, bool) or expected is None:
        return lambda value: value is expected
    return lambda value: isinstance(value, str) and value == expected


def _string(operator: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise InvalidEventPattern(f"{operator} match pattern must be a string")
    return operand


def _affix(operator: str, operand: Any) -> Test:
    fold = False
    if isinstance(operand, Mapping):
        if list(operand) != ["equals-ignore-case"]:
            raise InvalidEventPattern(f"Unsupported {operator} pattern: {next(iter(operand), '')}")
        operand, fold = operand["equals-ignore-case"], True
    text = _string(operator, operand)
    wanted = _fold(text) if fold else text

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        seen = _fold(value) if fold else value
        return seen.startswith(wanted) if operator == "prefix" else seen.endswith(wanted)

    return test


def _fold(text: str) -> str:
    # Character by character, as the original does: neither "ß" nor ligatures grow into two letters.
    return "".join(low if len(low := char.upper().lower()) == 1 else char for char in text)


def _ignore_case(operand: Any) -> Test:
    wanted = _fold(_string("equals-ignore-case", operand))
    return lambda value: isinstance(value, str) and _fold(value) == wanted


def _wildcard(operand: Any) -> Test:
    text = _string("wildcard", operand)
    parts: list[str] = []
    position = 0  # the service counts from the opening quote, so its positions are one more
    while position < len(text):
        char = text[position]
        if char == "*":
            if text[position + 1 : position + 2] == "*":
                raise InvalidEventPattern(f"Consecutive wildcard characters at pos {position + 1}")
            parts.append(".*")
        elif char == "\\":
            position += 1
            if text[position : position + 1] not in {"*", "\\"} or not text[position:]:
                raise InvalidEventPattern(f"Invalid escape character at pos {position}")
            parts.append(re.escape(text[position]))
        else:
            parts.append(re.escape(char))
        position += 1
    expression = re.compile("".join(parts), re.DOTALL)
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _numeric(operand: Any) -> Test:
    if not isinstance(operand, list):
        raise InvalidEventPattern("numeric match pattern must be an array")
    terms = list(operand)
    if not terms:
        raise InvalidEventPattern("Invalid member in numeric match: ]")
    low = _bound(terms)
    if not terms:
        return lambda value: _is_number(value) and _compare(value, *low)
    if low[0] not in Lower:
        raise InvalidEventPattern("Too many elements in numeric expression")
    high = _bound(terms)
    if high[0] not in Upper:
        raise InvalidEventPattern(f"Bad numeric range operator: {high[0]}")
    if terms:
        raise InvalidEventPattern("Too many terms in numeric range expression")
    if low[1] >= high[1]:
        raise InvalidEventPattern("Bottom must be less than top")
    return lambda value: _is_number(value) and _compare(value, *low) and _compare(value, *high)


def _bound(terms: list[Any]) -> tuple[str, float]:
    operator = terms.pop(0)
    if operator not in {"=", *Lower, *Upper}:
        raise InvalidEventPattern(f"Unrecognized numeric range operator: {operator}")
    if not terms or not _is_number(terms[0]):
        raise InvalidEventPattern(f'Value of "{operator}" must be numeric')
    number = terms.pop(0)
    if abs(number) > NUMBER_LIMIT:
        raise InvalidEventPattern(f"Value must be between {-NUMBER_LIMIT} and {NUMBER_LIMIT}, inclusive")
    return operator, number


def _compare(value: float, operator: str, bound: float) -> bool:
    return {
        "=": value == bound,
        ">": value > bound,
        ">=": value >= bound,
        "<": value < bound,
        "<=": value <= bound,
    }[operator]


def _cidr(operand: Any) -> Test:
    text = _string("cidr", operand)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidEventPattern(f"Malformed CIDR: {text}") from None

    def test(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, Mapping):
        tests = _anything_but_expression(operand)
    else:
        values = operand if isinstance(operand, list) else [operand]
        if not values:
            raise InvalidEventPattern("Empty arrays are not allowed")
        if any(isinstance(value, bool) or not isinstance(value, (str, int, float)) for value in values):
            if isinstance(operand, list):
                raise InvalidEventPattern("Inside anything but list, start|null|boolean is not supported.")
            raise InvalidEventPattern("Value of anything-but must be an array or single string/number value.")
        if len({isinstance(value, str) for value in values}) > 1:
            raise InvalidEventPattern("Inside anything but list, either all values are number or string, mixed type is not supported")
        tests = [_equals(value) for value in values]
    return lambda value: not any(test(value) for test in tests)


def _anything_but_expression(operand: Mapping[str, Any]) -> list[Test]:
    if len(operand) != 1:
        raise InvalidEventPattern("Only one key allowed in match expression")
    ((operator, inner),) = operand.items()
    if operator not in {"prefix", "suffix", "wildcard", "equals-ignore-case"}:
        raise InvalidEventPattern(f"Unsupported anything-but pattern: {operator}")
    values = inner if isinstance(inner, list) else [inner]
    if not values or any(not isinstance(value, str) for value in values):
        raise InvalidEventPattern(f"{operator} match pattern must be a string or a list of strings")
    if operator in {"prefix", "suffix"} and "" in values:
        raise InvalidEventPattern("Null prefix/suffix not allowed")
    return [OPERATORS[operator](value) for value in values]


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "prefix": lambda operand: _affix("prefix", operand),
    "suffix": lambda operand: _affix("suffix", operand),
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
