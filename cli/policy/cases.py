"""Files of cases: what a policy is expected to say of repositories as a person describes them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, ValidationInfo, model_validator

from cli.policy.files import text_of
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.documents.problem import DocumentProblem, suggestion
from ecr_governor.core.documents.problem import Path as Place
from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.load import validated
from ecr_governor.core.policy.model import EncryptionModel, TagMutabilityModel
from ecr_governor.core.policy.strict import Strict, fault, problems_error
from ecr_governor.core.policy.yaml_text import FileKind, Node, compose, place
from ecr_governor.core.remedy import CHANGES
from ecr_governor.core.repository import ScanFrequency
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import RULES

CASES: Final = FileKind("file of cases", "policy: policy.yaml")
EXPECTED: Final = "expected"
"""In the place of a document: the one that the policy expects."""
OPERATIONS: Final = tuple(sorted(each.__name__ for each in CHANGES))
"""ECR's operations that a remedy may be."""


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise fault(f"{value!r} is no date", "write it as 2026-11-24, or with the time as 2026-11-24T12:00:00Z")
    return found.astimezone(UTC) if found.tzinfo else datetime.combine(date(found.year, found.month, found.day), time_of(found), UTC)


def time_of(moment: datetime) -> time:
    """Give the time of the day."""
    return moment.timetz().replace(tzinfo=None)


def _name(text: str) -> str:
    if not is_repository_name(text):
        raise fault(f"{text!r} is no repository name", "ECR takes a-z, 0-9 and single . _ - / between them")
    return text


def _rule(rule_id: str) -> str:
    if rule_id not in RULES:
        raise fault(f"there is no rule {rule_id!r}", suggestion(rule_id, sorted(RULES)))
    return rule_id


def _operation(name: str) -> str:
    if name not in OPERATIONS:
        raise fault(f"there is no remedy {name!r}", suggestion(name, OPERATIONS))
    return name


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _document(value: Any) -> Any:
    if value is None or isinstance(value, dict) or value == EXPECTED:
        return value
    raise fault("is no document", f"write the document in YAML, {EXPECTED} for the one that the policy expects, or null for none")


Moment = Annotated[datetime, BeforeValidator(_moment)]
Name = Annotated[StrictStr, AfterValidator(_name)]
RuleId = Annotated[StrictStr, AfterValidator(_rule)]
Rules = Annotated[tuple[RuleId, ...], BeforeValidator(_listed)]
Operation = Annotated[StrictStr, AfterValidator(_operation)]
Document = Annotated[Any, BeforeValidator(_document)]


class Template(Strict):
    """A creation template of the registry."""

    prefix: Annotated[StrictStr, Field(description="Its prefix, or ROOT.")]
    applied_for: Annotated[tuple[StrictStr, ...], Field(description="For example CREATE_ON_PUSH.")]


class Given(Strict):
    """What is known of a repository. What is left out is not known; `null` is none."""

    created_at: Moment | None = None
    watched_since: Moment | None = None
    origin: Origin | None = None
    pusher: StrictStr | None = None
    tags: dict[StrictStr, StrictStr] | None = None
    tag_mutability: TagMutabilityModel | None = None
    encryption: EncryptionModel | None = None
    lifecycle_policy: Document = None
    repository_policy: Document = None
    scan_frequency: ScanFrequency | None = None
    image_tags: tuple[StrictStr, ...] | None = None
    last_push: Moment | None = None
    last_pull: Moment | None = None
    creation_templates: tuple[Template, ...] | None = None


class Kind(StrEnum):
    """What may happen to a repository."""

    CREATED = "created"
    PUSHED = "pushed"
    PULLED = "pulled"
    TAGGED = "tagged"
    RUNNING = "running"
    VETOED = "vetoed"


class Happening(Strict):
    """One thing that happens at a time. Exactly one of created, pushed, pulled, tagged, running, vetoed."""

    at: Annotated[Moment, Field(description="When it happens.")]
    by: StrictStr | None = None
    created: Origin | None = None
    pushed: StrictStr | None = None
    pulled: StrictBool | None = None
    tagged: dict[StrictStr, StrictStr] | None = None
    running: StrictBool | None = None
    vetoed: StrictBool | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        kinds = [kind for kind in Kind if getattr(self, kind.value) is not None]
        if len(kinds) != 1:
            what = f"says {' and '.join(kinds)}" if kinds else "says nothing"
            raise problems_error(DocumentProblem((), what, f"write exactly one of {', '.join(Kind)}", lacks=() if kinds else tuple(Kind)))
        return self

    @property
    def kind(self) -> Kind:
        """What happens."""
        return next(kind for kind in Kind if getattr(self, kind.value) is not None)


class Expect(Strict):
    """What the policy is expected to say. What is left out is not looked at."""

    namespace: StrictStr | None = None
    findings: Rules | None = None
    exempt: Rules | None = None
    compliant: Rules | None = None
    undetermined: Rules | None = None
    remedies: Annotated[tuple[Operation, ...], BeforeValidator(_listed)] | None = None
    reasons: dict[RuleId, StrictStr] = Field(default_factory=dict)
    retirement: Stage | None = None
    because: Annotated[tuple[StrictStr, ...], BeforeValidator(_listed)] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            do = "write what the policy should say, for example findings: []"
            raise problems_error(DocumentProblem((), "expects nothing", do, lacks=tuple(type(self).model_fields)))
        return self

    @property
    def rules(self) -> frozenset[str]:
        """The rules that it speaks of."""
        named = (self.findings, self.exempt, self.compliant, self.undetermined)
        return frozenset(rule for rules in named for rule in rules or ()) | self.reasons.keys()


class Case(Strict):
    """One repository, and what the policy is expected to say of it."""

    case: Annotated[StrictStr, Field(min_length=1, description="What is tested, in a sentence.")]
    repository: Annotated[Name, Field(description="The repository's name.")]
    now: Moment | None = None
    given: Given = Field(default_factory=Given)
    history: tuple[Happening, ...] = ()
    expect: Annotated[Expect, Field(description="What the policy is expected to say.")]

    @model_validator(mode="after")
    def _in_order(self, _info: ValidationInfo) -> Self:
        if self.history and self.history[0].kind is not Kind.CREATED:
            raise fault("a history begins with a creation", "write {at: 2026-01-01, created: create_on_push} first", ("history", 0))
        for index, (before, after) in enumerate(zip(self.history, self.history[1:], strict=False)):
            if after.at < before.at:
                raise fault("happens before what stands above it", "put it in the order of time", ("history", index + 1, "at"))
        return self

    def times(self) -> Iterator[tuple[Place, datetime]]:
        """Give the time of all that is told, and where it stands."""
        for fact in ("created_at", "watched_since", "last_push", "last_pull"):
            if (at := getattr(self.given, fact)) is not None:
                yield ("given", fact), at
        yield from ((("history", index, "at"), happening.at) for index, happening in enumerate(self.history))


class CaseFile(Strict):
    """A file of cases. `policy` is the policy file, seen from this file."""

    policy: StrictStr | None = None
    now: Annotated[Moment, Field(description="The time of all cases, for example 2026-11-24.")]
    account: StrictStr = "123456789012"
    cases: Annotated[tuple[Case, ...], Field(min_length=1, description="The cases.")]

    @model_validator(mode="after")
    def _past(self) -> Self:
        problems = [
            DocumentProblem(("cases", index, *at), f"is after now, {now:%Y-%m-%d %H:%M}", "give an earlier time, or a later now")
            for index, case in enumerate(self.cases)
            for now in [case.now or self.now]
            for at, told in case.times()
            if told > now
        ]
        if problems:
            raise problems_error(*problems)
        return self


class ReadCases:
    """A file of cases with the lines of its cases."""

    def __init__(self, path: Path, content: CaseFile, root: Node) -> None:
        self.path = path
        self.content = content
        self._root = root

    def line_of(self, index: int) -> int:
        """Give the line on which a case begins."""
        return place(self._root, ("cases", index))[0]


def read(path: Path) -> ReadCases:
    """Read a file of cases. Raises PolicyInvalid with every problem, and Trouble if there is no such file."""
    root, problems = compose(text_of(path, CASES), str(path), CASES)
    return ReadCases(path, validated(CaseFile, root.value, root, str(path), problems), root)
