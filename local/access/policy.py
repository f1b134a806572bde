"""The policy language: whether statements allow or deny an action on a resource.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. A condition that is not understood
never lets anything through: an Allow with it does not allow, a Deny with it denies, and the verdict says so.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

Document = Mapping[str, Any]


class Effect(Enum):
    """What the statements come to."""

    ALLOWED = "allowed"
    DENIED = "explicitly denied"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True)
class Access:
    """One action on one resource, with what conditions may ask about it."""

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principals: frozenset[str] = frozenset()
    """For resource policies: the caller, as `Service:events.amazonaws.com`, `AWS:<arn>` or `AWS:<account>`."""


@dataclass(frozen=True)
class Verdict:
    """The effect, and what was not understood on the way to it."""

    effect: Effect
    unsupported: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the access goes through."""
        return self.effect is Effect.ALLOWED


class _UnsupportedConditionError(Exception):
    """A condition operator or key that this evaluation does not know."""


KNOWN_KEYS = (
    "aws:tagkeys",
    "aws:resourcetag/",
    "aws:requesttag/",
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:securetransport",
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principaltype",
    "aws:principalisawsservice",
    "aws:principaltag/",
    "aws:requestedregion",
    "aws:resourceaccount",
    "ecr:resourcetag/",
    "cloudwatch:namespace",
    "lambda:functionurlauthtype",
    "lambda:invokedviafunctionurl",
    "events:source",
    "events:detail-type",
    "dynamodb:leadingkeys",
    "s3:prefix",
    "s3:x-amz-server-side-encryption",
    "sts:externalid",
)
"""Keys whose value, or absence, in a request is known. Those ending in a slash are families."""


def evaluate(documents: Iterable[Document], access: Access) -> Verdict:
    """Weigh all statements of all documents: a Deny wins, otherwise one Allow is enough."""
    allowed = False
    unsupported: list[str] = []
    for document in documents:
        for statement in _listed(document.get("Statement", [])):
            denies = statement.get("Effect") == "Deny"
            if not _concerns(statement, access):
                continue
            try:
                applies = _conditions_hold(statement.get("Condition", {}), access.context)
            except _UnsupportedConditionError as error:
                unsupported.append(str(error))
                applies = denies
            if applies and denies:
                return Verdict(Effect.DENIED, tuple(unsupported))
            allowed = allowed or applies
    return Verdict(Effect.ALLOWED if allowed else Effect.NOT_ALLOWED, tuple(unsupported))


def parsed(document: str | Document) -> Document:
    """The document as JSON, whichever way it was stored."""
    return json.loads(document) if isinstance(document, str) else document


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=4096)
def _pattern(glob: str, *, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob.replace("[", "[[]")), re.IGNORECASE if ignore_case else 0)


def _like(globs: Any, value: str, *, ignore_case: bool = False) -> bool:
    return any(_pattern(str(glob), ignore_case=ignore_case).match(value) for glob in _listed(globs))


def _concerns(statement: Document, access: Access) -> bool:
    if "Action" in statement:
        action = _like(statement["Action"], access.action, ignore_case=True)
    else:
        action = not _like(statement.get("NotAction", []), access.action, ignore_case=True)
    if "Resource" in statement:
        resource = _like(statement["Resource"], access.resource)
    elif "NotResource" in statement:
        resource = not _like(statement["NotResource"], access.resource)
    else:
        resource = True
    return action and resource and _principal_matches(statement, access.principals)


def _principal_matches(statement: Document, principals: frozenset[str]) -> bool:
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return True
    key = "Principal" if "Principal" in statement else "NotPrincipal"
    stated = statement[key]
    pairs = {"AWS": "*"} if stated == "*" else stated
    named = any(
        value == "*" or f"{kind}:{value}" in principals or _is_root(value, principals)
        for kind, values in pairs.items()
        for value in _listed(values)
    )
    return named is (key == "Principal")


def _is_root(value: str, principals: frozenset[str]) -> bool:
    account = re.fullmatch(r"arn:aws:iam::(\d+):root", value)
    return bool(account) and f"AWS:{account[1] if account else ''}" in principals


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, tuple[str, ...]]) -> bool:
    lowered = {key.lower(): values for key, values in context.items()}
    return all(
        _condition_holds(
            operator, key, [str(value).lower() if isinstance(value, bool) else str(value) for value in _listed(expected)], lowered
        )
        for operator, tests in conditions.items()
        for key, expected in tests.items()
    )


Comparison = Callable[[list[str], str], bool]
COMPARISONS: dict[str, Comparison] = {
    "StringEquals": lambda expected, value: value in expected,
    "StringEqualsIgnoreCase": lambda expected, value: value.lower() in {text.lower() for text in expected},
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda expected, value: value.lower() in {text.lower() for text in expected},
}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _condition_holds(operator: str, key: str, expected: list[str], context: Mapping[str, tuple[str, ...]]) -> bool:
    name = key.lower()
    if not any(name == known or (known.endswith("/") and name.startswith(known)) for known in KNOWN_KEYS):
        raise _UnsupportedConditionError(f"condition key {key}")
    if any("${" in value for value in expected):
        raise _UnsupportedConditionError(f"policy variable in {key}")
    quantifier, _, plain = operator.rpartition(":")
    if quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise _UnsupportedConditionError(f"condition operator {operator}")
    values = context.get(name)
    if plain == "Null":
        return (values is None) is (expected[0] == "true")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    negated = plain in NEGATED
    compare = COMPARISONS.get(NEGATED.get(plain, plain))
    if compare is None:
        raise _UnsupportedConditionError(f"condition operator {operator}")
    if not values:
        # An absent key satisfies ForAllValues and negations, and fails everything else.
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue")
    results = [compare(expected, value) is not negated for value in values]
    return any(results) if quantifier == "ForAnyValue" else all(results)
