"""ECR's repository policies: whom they admit, and how wanted statements are merged into them.

Sources: the IAM user guide on policy elements (Principal, Condition) for what a statement means; botocore's
`RepositoryPolicyText` for the length. A repository policy takes no `Resource`: ECR answers "Invalid repository policy provided"
(aws/aws-cdk#24314).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ecr_governor.core.documents import json_text
from ecr_governor.core.documents.problem import DocumentProblem, Path, suggestion, unknown_keys

MAX_LENGTH: Final = 10_240
VERSIONS: Final = ("2012-10-17", "2008-10-17")


class PolicyMalformed(ValueError):
    """The text is no policy, with the reason."""


class DocumentTooLong(ValueError):
    """The merged policy is longer than ECR takes."""


def parse(text: str) -> dict[str, Any]:
    """Read a policy as ECR returned it, or raise `PolicyMalformed`. Statements come back as a list even where there is one."""
    try:
        document = json_text.read(text)
    except json_text.JsonInvalid as error:
        raise PolicyMalformed(str(error)) from error
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(statement, Mapping) for statement in statements):
        raise PolicyMalformed("has no list of statements")
    return {**document, "Statement": statements}


# --- whom a policy admits -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whom the Allow statements admit beyond the trusted: for certain, and where it could not be told."""

    untrusted: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """Accounts (our own among them) and organizations that may be admitted."""

    accounts: frozenset[str]
    organizations: frozenset[str]


class _Restriction(IntEnum):
    """What a condition does to the set of callers."""

    NONE = 0
    UNKNOWN = 1
    TRUSTED = 2


def public_or_untrusted(
    document: Mapping[str, Any], own_account: str, trusted_accounts: Iterable[str], trusted_organizations: Iterable[str] = ()
) -> Admitted:
    """Describe each Allow statement of a parsed policy that admits everybody or accounts that are not trusted.

    Conditions are combined by "and", so one that leaves only trusted callers is enough. One that is not understood may do so too:
    a statement for everybody is then unclear. A statement that names an account admits that account, however it is narrowed.
    Deny statements are left aside: they could only make the answer milder.
    """
    trust = Trust(frozenset({own_account, *trusted_accounts}), frozenset(trusted_organizations))
    untrusted: list[str] = []
    unclear: list[str] = []
    for index, statement in enumerate(document["Statement"]):
        if str(statement.get("Effect", "")).lower() != "allow":
            continue
        callers = _callers(statement, trust)
        restriction = _restriction(statement.get("Condition"), trust)
        if restriction is _Restriction.TRUSTED:
            continue
        name = _name(statement, index)
        if callers.everybody:
            described = f"{name} admits {callers.everybody}"
            if restriction is _Restriction.UNKNOWN:
                unclear.append(f"{described}, under a condition that does not say who they are")
            else:
                untrusted.append(described)
        if callers.accounts:
            noun = "account" if len(callers.accounts) == 1 else "accounts"
            untrusted.append(f"{name} admits the {noun} {', '.join(callers.accounts)}")
        unclear += (f"{name} admits {one}" for one in callers.unclear)
    return Admitted(tuple(untrusted), tuple(unclear))


@dataclass(frozen=True, slots=True)
class _Callers:
    everybody: str = ""
    accounts: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


def _name(statement: Mapping[str, Any], index: int) -> str:
    sid = statement.get("Sid")
    return f"statement {sid!r}" if isinstance(sid, str) and sid else f"statement {index + 1}"


def _callers(statement: Mapping[str, Any], trust: Trust) -> _Callers:
    """Whom the statement names, without those that are trusted."""
    if "NotPrincipal" in statement:
        return _Callers(everybody="everybody but those in NotPrincipal")
    principal = statement.get("Principal")
    if principal == "*":
        return _Callers(everybody="everybody")
    if not isinstance(principal, Mapping):
        return _Callers(unclear=("nobody that could be read",))
    everybody = ""
    accounts: list[str] = []
    unclear: list[str] = []
    for kind, named in principal.items():
        for one in _texts(named):
            if one == "*":
                everybody = "everybody"
            elif kind == "Service":
                continue  # an AWS service; whom it acts for is its own to check
            elif kind in {"AWS", "Federated"} and (account := _account_of(one)) is not None:
                if "*" in account or "?" in account:
                    everybody = f"principals of every account ({one})"
                elif account not in trust.accounts:
                    accounts.append(account)
            else:
                unclear.append(_unknown_principal(kind, one))
    return _Callers(everybody, tuple(dict.fromkeys(accounts)), tuple(dict.fromkeys(unclear)))


def _unknown_principal(kind: str, one: str) -> str:
    if kind == "AWS" and one.startswith(("AIDA", "AROA")):
        # IAM shows the unique id in place of an ARN once the user or role is gone (IAM user guide, Principal).
        return f"{one}, the id of a user or role that no longer exists"
    return f"{kind} {one}, which names no account"


def _account_of(principal: str) -> str | None:
    """Read the account of a principal: bare, or out of an ARN of any partition. None where there is none to read."""
    if _is_account(principal):
        return principal
    fields = principal.split(":", 5)
    if len(fields) < len(("arn", "partition", "service", "region", "account", "resource")) or fields[0] != "arn":
        return None
    account = fields[4]
    return account if _is_account(account) or "*" in account or "?" in account else None


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdecimal()  # noqa: PLR2004 - an AWS account id has twelve digits


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


# Operators that compare the caller's own value and fail where the request has none. IfExists, the negated ones and ForAllValues let
# such a request pass; ForAnyValue does not (IAM user guide, condition operators and set operators).
_EXACT: Final = frozenset({"stringequals", "stringequalsignorecase", "arnequals", "arnlike", "stringlike"})
# What anybody can meet, by the operator alone: to be nobody in particular, to send a key or not, to choose the time.
_NEGATED: Final = frozenset(
    {
        "stringnotequals",
        "stringnotequalsignorecase",
        "stringnotlike",
        "numericnotequals",
        "datenotequals",
        "arnnotequals",
        "arnnotlike",
        "notipaddress",
    }
)
_LIKE: Final = frozenset({"stringlike", "arnlike", "arnequals"})  # ArnEquals matches wildcards too (IAM user guide, ARN operators)
# Conditions on the circumstances of a call, true for anybody who arranges them.
_NOT_ON_CALLERS: Final = frozenset(
    {"aws:securetransport", "aws:currenttime", "aws:epochtime", "aws:multifactorauthpresent", "aws:useragent", "aws:referer"}
)
_ACCOUNT_KEYS: Final = frozenset({"aws:principalaccount", "aws:sourceaccount"})
_ORGANIZATION_KEYS: Final = frozenset({"aws:principalorgid", "aws:sourceorgid"})
_ORGANIZATION_PATH_KEYS: Final = frozenset({"aws:principalorgpaths", "aws:sourceorgpaths"})
_ARN_KEYS: Final = frozenset({"aws:principalarn", "aws:sourcearn"})
# The one Bool that tells who calls: AWS services, or everybody else (IAM user guide, global condition keys).
_IS_SERVICE: Final = "aws:principalisawsservice"
_CALLER_KEYS: Final = _ACCOUNT_KEYS | _ORGANIZATION_KEYS | _ORGANIZATION_PATH_KEYS | _ARN_KEYS


def _restriction(condition: object, trust: Trust) -> _Restriction:
    if condition is None:
        return _Restriction.NONE
    if not isinstance(condition, Mapping):
        return _Restriction.UNKNOWN
    return max((_one_restriction(*one, trust) for one in _conditions(condition)), default=_Restriction.NONE)


def _conditions(condition: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for operator, tests in condition.items():
        for key, values in tests.items() if isinstance(tests, Mapping) else (("", []),):
            yield operator.lower().removeprefix("foranyvalue:"), key.lower(), _texts(values)


def _one_restriction(operator: str, key: str, values: list[str], trust: Trust) -> _Restriction:
    if not key:
        return _Restriction.UNKNOWN
    if key in _NOT_ON_CALLERS or _admits_anybody(operator, key, values):
        return _Restriction.NONE
    if key not in _CALLER_KEYS:
        return _Restriction.UNKNOWN
    if operator not in _EXACT or not values:
        return _Restriction.NONE
    trusted = all(_is_trusted(operator, key, value, trust) for value in values)
    return _Restriction.TRUSTED if trusted else _Restriction.NONE


def _admits_anybody(operator: str, key: str, values: list[str]) -> bool:
    """Whether the test says nothing of who calls. One value that matches everything is enough: values are combined by "or"."""
    plain = operator.removeprefix("forallvalues:").removesuffix("ifexists")
    if plain == "bool":
        return key != _IS_SERVICE
    if plain == "ipaddress":
        return any(_is_every_address(value) for value in values)
    if plain in _LIKE:
        return any(value and not value.strip("*") for value in values)
    return plain in _NEGATED or plain == "null" or plain.startswith("date")


def _is_every_address(value: str) -> bool:
    """Whether a range leaves no bit of an address fixed: `0.0.0.0/0`, `::/0`."""
    _, slash, prefix = value.rpartition("/")
    return bool(slash and prefix) and not prefix.strip("0")


def _is_trusted(operator: str, key: str, value: str, trust: Trust) -> bool:
    """Whether every caller that the value admits is trusted. A wildcard in the deciding part is none of ours, so it fails by itself."""
    if key in _ACCOUNT_KEYS:
        return value in trust.accounts
    if key in _ORGANIZATION_KEYS:
        return value in trust.organizations
    if key in _ORGANIZATION_PATH_KEYS:
        return value.partition("/")[0] in trust.organizations
    fields = value.split(":", 5)
    if len(fields) < len(("arn", "partition", "service", "region", "account", "resource")) or fields[4] not in trust.accounts:
        return False
    # ArnLike compares field by field; for StringLike a wildcard may swallow colons, so nothing behind one is where it seems to be.
    return operator.startswith("arn") or not any(wildcard in field for field in fields[:4] for wildcard in "*?")


# --- what is valid --------------------------------------------------------------------------------------------------------------------


def problems_of(document: object) -> tuple[DocumentProblem, ...]:
    """List everything that keeps a policy file's document from being merged into repository policies."""
    if not isinstance(document, Mapping):
        return (DocumentProblem((), "must be an object with the key Statement", "write the policy as the AWS CLI takes it"),)
    problems = unknown_keys(document, ("Version", "Id", "Statement"), ())
    version = document.get("Version")
    if version not in VERSIONS:
        what = f"{version!r} is no version of the policy language" if "Version" in document else "Version is missing"
        problems.append(DocumentProblem(("Version",), what, f'write Version: "{VERSIONS[0]}"'))
    statements = document.get("Statement")
    if not isinstance(statements, list) or not statements:
        do = "write - before each statement, each with Sid, Effect, Principal and Action"
        return (*problems, DocumentProblem(("Statement",), "must be a list of at least one statement", do))
    sids: list[object] = []
    for index, statement in enumerate(statements):
        at: Path = ("Statement", index)
        problems += _statement_problems(statement, at)
        sid = statement.get("Sid") if isinstance(statement, Mapping) else None
        if sid is not None and sid in sids:
            problems.append(
                DocumentProblem((*at, "Sid"), f"the Sid {sid!r} is taken by an earlier statement", "give each statement its own")
            )
        sids.append(sid)
    if not problems and (length := len(render(document))) > MAX_LENGTH:
        problems.append(DocumentProblem((), f"has {length} characters; ECR takes {MAX_LENGTH}", "say it with fewer statements"))
    return tuple(problems)


_STATEMENT_KEYS: Final = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition")


def _statement_problems(statement: object, at: Path) -> Iterator[DocumentProblem]:
    if not isinstance(statement, Mapping):
        yield DocumentProblem(at, "must be an object", "say Sid, Effect, Principal and Action")
        return
    if "Resource" in statement or "NotResource" in statement:
        key = "Resource" if "Resource" in statement else "NotResource"
        yield DocumentProblem((*at, key), f"ECR refuses {key} in a repository policy", "remove it; the policy is the repository's own")
    yield from unknown_keys((key for key in statement if key not in {"Resource", "NotResource"}), _STATEMENT_KEYS, at)
    sid = statement.get("Sid")
    if not isinstance(sid, str) or not sid.strip():
        yield DocumentProblem((*at, "Sid"), "every statement needs a Sid", "statements are merged by it, so that others stay as they are")
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield DocumentProblem(
            (*at, "Effect"), f"{statement.get('Effect')!r} is no Effect", suggestion(str(statement.get("Effect")), ("Allow", "Deny"))
        )
    for pair in (("Principal", "NotPrincipal"), ("Action", "NotAction")):
        if len([key for key in pair if key in statement]) != 1:
            do = f"keep one of {pair[0]} and {pair[1]}" if pair[0] in statement else f"add {pair[0]}"
            yield DocumentProblem(at, f"needs either {pair[0]} or {pair[1]}", do)
    yield from _principal_problems(statement, at)
    for key in ("Action", "NotAction"):
        for index, action in enumerate(_listed(statement.get(key, []))):
            if not isinstance(action, str) or not (action == "*" or action.lower().startswith("ecr:")):
                place = (*at, key, index) if isinstance(statement[key], list) else (*at, key)
                yield DocumentProblem(place, f"{action!r} is no action of ECR's", "for example ecr:BatchGetImage")
    condition = statement.get("Condition", {})
    if not isinstance(condition, Mapping) or not all(isinstance(tests, Mapping) for tests in condition.values()):
        yield DocumentProblem(
            (*at, "Condition"), "must map operators to keys and values", "for example {StringEquals: {aws:PrincipalOrgID: o-…}}"
        )


def _principal_problems(statement: Mapping[str, Any], at: Path) -> Iterator[DocumentProblem]:
    if "NotPrincipal" in statement and statement.get("Effect") == "Allow":
        yield DocumentProblem((*at, "NotPrincipal"), "an Allow for NotPrincipal admits everybody else", "name those to admit in Principal")
    for key in ("Principal", "NotPrincipal"):
        named = statement.get(key, "*")
        if named == "*":
            continue
        if not isinstance(named, Mapping) or not named:
            do = "name accounts or roles by {AWS: …}, services by {Service: …}"
            yield DocumentProblem((*at, key), f'must be "*" or a mapping, not {named!r}', do)
            continue
        yield from unknown_keys(named, ("AWS", "Service", "Federated"), (*at, key))
        for kind, values in named.items():
            if not all(isinstance(one, str) and one for one in _listed(values)) or values == []:
                yield DocumentProblem((*at, key, str(kind)), "must be text or a list of texts", "put account ids in quotes")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- merging --------------------------------------------------------------------------------------------------------------------------


def render(document: Mapping[str, Any]) -> str:
    """Write the text that ECR is given."""
    return json_text.write(document)


def missing_statements(document: Mapping[str, Any] | None, desired: Mapping[str, Any]) -> tuple[str, ...]:
    """List the Sids of wanted statements that a parsed policy has not, or has with other content."""
    present = [_canonical(statement) for statement in document["Statement"]] if document else []
    return tuple(statement["Sid"] for statement in desired["Statement"] if _canonical(statement) not in present)


def foreign_statements(document: Mapping[str, Any], desired: Mapping[str, Any] | None) -> dict[str, Any]:
    """Leave out of a parsed policy the statements that are wanted: whoever wrote the policy file answers for them."""
    wanted = {_canonical(statement) for statement in desired["Statement"]} if desired else set()
    return {**document, "Statement": [statement for statement in document["Statement"] if _canonical(statement) not in wanted]}


def merge(text: str | None, desired: Mapping[str, Any]) -> str:
    """Write the policy that has every wanted statement and keeps every other as it is, in its place.

    Raises `PolicyMalformed` where the present policy cannot be read: what cannot be read cannot be kept. The present `Version` stays,
    because a newer one gives `${…}` in foreign statements another meaning; for the same reason wanted statements that use `${…}` are
    not merged into an older version.
    """
    if text is None:
        return _checked(desired)
    present = parse(text)
    if present.get("Version") != desired["Version"] and "${" in json_text.write(desired):
        raise PolicyMalformed(
            f"has the version {present.get('Version', VERSIONS[1])}, in which the wanted policy variables are no variables"
        )
    wanted = {statement["Sid"]: statement for statement in desired["Statement"]}
    added = dict(wanted)
    statements: list[Any] = []
    for statement in present["Statement"]:
        sid = statement.get("Sid")
        if not isinstance(sid, str) or sid not in wanted:
            statements.append(statement)
        elif (replacement := added.pop(sid, None)) is not None:
            # As AWS wrote it where it says the same: then only what changes is changed.
            statements.append(statement if _canonical(statement) == _canonical(replacement) else replacement)
    return _checked({**present, "Statement": [*statements, *added.values()]})


def _checked(document: Mapping[str, Any]) -> str:
    text = render(document)
    if len(text) > MAX_LENGTH:
        raise DocumentTooLong(f"with the wanted statements the policy has {len(text)} characters; ECR takes {MAX_LENGTH}")
    return text


def _canonical(statement: Mapping[str, Any]) -> str:
    """One text for all the ways to write a statement: single values as lists, lists in order, an account as its bare id."""
    content = {key: value for key, value in statement.items() if value not in ({}, None)}
    for key in ("Principal", "NotPrincipal"):
        if key in content:
            content[key] = _canonical_principal(content[key])
    for key in ("Action", "NotAction"):
        if key in content:
            content[key] = sorted({one.lower() for one in _texts(content[key])})
    condition = content.get("Condition")
    if isinstance(condition, Mapping):
        content["Condition"] = {
            operator.lower(): {key.lower(): sorted(set(map(_plain, _listed(values)))) for key, values in tests.items()}
            if isinstance(tests, Mapping)
            else tests
            for operator, tests in condition.items()
        }
    return json_text.canonical(content)


def _canonical_principal(principal: object) -> object:
    if principal == "*":
        return {"AWS": ["*"]}  # the same in a resource's policy (IAM user guide, Principal)
    if not isinstance(principal, Mapping):
        return principal
    return {kind: sorted({_bare_account(one) if kind == "AWS" else one for one in _texts(named)}) for kind, named in principal.items()}


def _bare_account(principal: str) -> str:
    """AWS rewrites a bare account id to the ARN of the account's root."""
    head, _, resource = principal.rpartition(":")
    return _account_of(principal) or principal if resource == "root" and head.startswith("arn:") else principal


def _plain(value: object) -> str:
    """Write a condition's value as text: true and "true" say the same."""
    return str(value).lower() if isinstance(value, bool) else str(value)
