"""What a policy file of version 1 may say, and what it expects of one repository.

The models are strict: an unknown key is a problem, nothing is coerced. Checks that need another section get it by pydantic's
validation context (`Known`), so that every problem of a file is found in one pass.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

import re2
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from ecr_governor.core.documents import lifecycle, repository_policy
from ecr_governor.core.documents.names import ROOT, is_template_prefix
from ecr_governor.core.documents.problem import KEY, DocumentProblem, suggestion
from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.naming import Convention, ConventionInvalid, Segment, parts_of
from ecr_governor.core.policy.notifications import Notifications, ReportBy
from ecr_governor.core.policy.patterns import Glob, Matcher, glob_matches
from ecr_governor.core.policy.presets import Preset
from ecr_governor.core.policy.retirement import Retirement, RetirementTerms
from ecr_governor.core.policy.short_forms import OneOrList, or_short
from ecr_governor.core.policy.strict import HASH_LENGTH, Strict, fault, problems_error
from ecr_governor.core.policy.templates import Templates
from ecr_governor.core.repository import Encryption, EncryptionType, ScanFrequency, TagMutability, TagMutabilitySetting
from ecr_governor.core.severity import Severity

SUPPORTED_VERSIONS: Final = (1,)
MIN_REASON: Final = 10
MAX_GRACE: Final = timedelta(days=365)
MAX_GRACE_TEXT: Final = 8
FACT_PLACEHOLDERS: Final = ("pusher", "origin")
MAX_CONVENTION: Final = 256
MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256

_TAG_TEXT: Final = re2.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")
_ACCOUNT: Final = re2.compile(r"[0-9]{12}")
_ORGANIZATION: Final = re2.compile(r"o-[a-z0-9]{10,32}")
_KMS_KEY: Final = re2.compile(r"arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+")
_EXCLUSION_FILTER: Final = re2.compile(r"[0-9a-zA-Z._*-]{1,128}")
_PLACEHOLDER: Final = re2.compile(r"\{([^{}]*)\}")

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Known:
    """What a section's checks need of the other sections. None: not known, so not checked."""

    rule_ids: frozenset[str] | None = None
    segments: frozenset[str] | None = None


class _WithShortForm(Strict):
    """A model whose first field may stand alone."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {next(iter(cls.model_fields)): value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return or_short(core_schema, handler, fields=(next(iter(cls.model_fields)),))


class Mode(StrEnum):
    """What a violation leads to: nothing, a finding, or a finding and its remedies."""

    OFF = "off"
    AUDIT = "audit"
    ENFORCE = "enforce"


_STRENGTH: Final = {Mode.OFF: 0, Mode.AUDIT: 1, Mode.ENFORCE: 2}


def weaker(left: Mode, right: Mode) -> Mode:
    """Return the one of two modes that does less."""
    return min(left, right, key=_STRENGTH.__getitem__)


def is_tag_value(text: str) -> bool:
    """Whether AWS accepts the text as a tag's value: up to 256 letters, digits, spaces and `_.:/=+-@` (Resource Groups Tagging API)."""
    try:
        return len(text) <= MAX_TAG_VALUE and _TAG_TEXT.fullmatch(text) is not None
    except UnicodeEncodeError:
        return False


# --- naming ---------------------------------------------------------------------------------------------------------------------------


def _convention(text: str) -> str:
    try:
        parts = parts_of(text)
    except ConventionInvalid as error:
        raise fault(f"the convention {error}", "write for example {team}/{service}") from error
    if reserved := [part.name for part in parts if isinstance(part, Segment) and part.name in FACT_PLACEHOLDERS]:
        raise fault(f"{{{reserved[0]}}} has a meaning of its own in required_tags", "give the segment another name")
    return text


def _segment(name: str, info: ValidationInfo) -> str:
    convention = info.data.get("convention")
    if convention is None:  # has a problem of its own
        return name
    names = [part.name for part in parts_of(convention) if isinstance(part, Segment)]
    if name not in names:
        raise fault(f"the convention {convention} has no segment {{{name}}}", f"{suggestion(name, names)}, or remove it")
    return name


class Naming(Strict):
    """What a repository may be called."""

    convention: Annotated[
        StrictStr,
        AfterValidator(_convention),
        StringConstraints(max_length=MAX_CONVENTION),
        Field(
            description="Literal text and {segments}, for example {team}/{service}. A segment stays inside one path part; {segment...}, at "
            "most one, may span several. Between two segments there must be text. No segment is called pusher or origin."
        ),
    ]
    segments: Annotated[
        dict[Annotated[StrictStr, AfterValidator(_segment)], Matcher],
        Field(default_factory=dict, description="What each segment may be. A segment without an entry may be anything."),
    ]
    ignore: tuple[Glob, ...] = ()

    @functools.cached_property
    def compiled(self) -> Convention:
        """The convention, ready to match."""
        return Convention.compile(self.convention, self.segments)

    def ignores(self, name: str) -> bool:
        """Whether the convention does not speak of the name."""
        return any(glob_matches(glob, name) for glob in self.ignore)


# --- rules ----------------------------------------------------------------------------------------------------------------------------


class RuleSetting(_WithShortForm):
    """How far one rule goes, and how much it matters. A plain mode is a short form."""

    mode: Mode | None = None
    severity: Severity | None = None

    def over(self, base: "RuleSetting | None") -> "RuleSetting":
        """Complete this setting by another one: mode and severity one by one."""
        if base is None:
            return self
        return RuleSetting.model_construct(mode=self.mode or base.mode, severity=self.severity or base.severity)


_SAYS_NOTHING: Final = RuleSetting.model_construct()


def _rule_id(rule_id: str, info: ValidationInfo) -> str:
    context = info.context
    if isinstance(context, Known) and context.rule_ids is not None and rule_id not in context.rule_ids:
        raise fault(f"there is no rule {rule_id!r}", suggestion(rule_id, sorted(context.rule_ids)))
    return rule_id


Rules = dict[Annotated[StrictStr, AfterValidator(_rule_id)], RuleSetting]


def _over(own: Mapping[str, RuleSetting], base: Mapping[str, RuleSetting]) -> dict[str, RuleSetting]:
    """Lay what is said of rules over what is said of them elsewhere."""
    return {**base, **{rule_id: setting.over(base.get(rule_id)) for rule_id, setting in own.items()}}


# --- namespaces -----------------------------------------------------------------------------------------------------------------------


def _account(text: str) -> str:
    if not (text.isascii() and _ACCOUNT.fullmatch(text)):
        raise fault(f"{text!r} is no AWS account id", "write its twelve digits, in quotes")
    return text


def _organization(text: str) -> str:
    if not (text.isascii() and _ORGANIZATION.fullmatch(text)):
        raise fault(f"{text!r} is no AWS organization id", "write it as o-exampleorgid: o- and 10 to 32 letters and digits")
    return text


def _no_exclusion_filter(text: str) -> DocumentProblem | None:
    if text.isascii() and _EXCLUSION_FILTER.fullmatch(text):
        return None
    return DocumentProblem((), f"{text!r} is no tag filter of ECR's", "use 1 to 128 of 0-9 a-z A-Z . _ - and *")


def _exclusion_filter(text: str) -> str:
    if problem := _no_exclusion_filter(text):
        raise problems_error(problem)
    return text


def _tag_key(text: str) -> str:
    if not 1 <= len(text) <= MAX_TAG_KEY or text.lower().startswith("aws:") or _TAG_TEXT.fullmatch(text) is None:
        raise fault(
            f"{text!r} is no tag key that AWS lets us set", "use 1 to 128 letters, digits, spaces and _.:/=+-@, not starting with aws:"
        )
    return text


def _grace(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value[:-1].isascii() and value[:-1].isdecimal() and len(value) <= MAX_GRACE_TEXT and value[-1] in _UNITS:
        grace = timedelta(seconds=int(value[:-1]) * _UNITS[value[-1]])
        if timedelta(0) < grace <= MAX_GRACE:
            return grace
    raise fault(f"{value!r} is no time span", "write a number with m, h or d behind it, for example 24h; at most 365d")


Grace = Annotated[
    timedelta,
    BeforeValidator(_grace),
    PlainSerializer(lambda grace: int(grace.total_seconds()), return_type=int, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,6}[mhd]$", "examples": ["24h", "30m", "7d"]}),
]


_EXCLUDING: Final = frozenset({TagMutability.MUTABLE_WITH_EXCLUSION, TagMutability.IMMUTABLE_WITH_EXCLUSION})


class TagMutabilityModel(_WithShortForm):
    """Whether a tag may be moved to another image. A plain mode is a short form."""

    mode: TagMutability
    exceptions: Annotated[
        tuple[Annotated[StrictStr, AfterValidator(_exclusion_filter)], ...],
        Field(alias="except", max_length=5),
    ] = ()

    @field_validator("exceptions", mode="before")
    @classmethod
    def _has_exclusions(cls, exceptions: Any, info: ValidationInfo) -> Any:
        mode = info.data.get("mode", TagMutability.MUTABLE_WITH_EXCLUSION)
        if mode in _EXCLUDING or not (
            isinstance(exceptions, list | tuple) and exceptions and all(isinstance(each, str) for each in exceptions)
        ):
            return exceptions
        # Its entries are not looked at any more: what is wrong with them is told here.
        own = DocumentProblem((), f"{mode} has no exclusions", f"write mode: {mode}_WITH_EXCLUSION, or remove except")
        faulty = (replace(problem, at=(index,)) for index, text in enumerate(exceptions) if (problem := _no_exclusion_filter(text)))
        raise problems_error(own, *faulty)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.mode in _EXCLUDING and not self.exceptions:
            what = f"{self.mode} needs to know which tags are excluded"
            raise problems_error(DocumentProblem((), what, 'add for example except: ["latest"]', lacks=("except",)))
        return self

    @property
    def setting(self) -> TagMutabilitySetting:
        """The setting as ECR has it."""
        return TagMutabilitySetting(self.mode, frozenset(self.exceptions))


class EncryptionModel(_WithShortForm):
    """How images are encrypted at rest. A plain type is a short form."""

    type: EncryptionType
    kms_key: StrictStr | None = None

    @field_validator("kms_key", mode="after")
    @classmethod
    def _key_arn(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is None:
            return None
        if not (key.isascii() and _KMS_KEY.fullmatch(key)):
            raise fault(f"{key!r} is no KMS key ARN", "write arn:aws:kms:REGION:ACCOUNT:key/ID; ECR stores the key's ARN, not an alias")
        if info.data.get("type") is EncryptionType.AES256:
            raise fault("AES256 takes no key", "write type: KMS, or remove kms_key")
        return key

    @property
    def wanted(self) -> Encryption:
        """The encryption as ECR has it."""
        return Encryption(self.type, self.kms_key)


class RequiredTag(Matcher):
    """What the value of a tag must be, and what to set where the tag is missing."""

    set: (
        Annotated[
            StrictStr,
            Field(
                description="Text with the placeholders {pusher}, {origin} and the convention's segments; set only where the tag is missing."
            ),
        ]
        | None
    ) = None

    @classmethod
    def _needs_a_kind(cls) -> bool:
        return False

    @field_validator("set", mode="after")
    @classmethod
    def _renders(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None:
            return None
        context = info.context
        used = placeholders(text)
        if isinstance(context, Known) and context.segments is not None:
            known = sorted({*FACT_PLACEHOLDERS, *context.segments})
            for name in used:
                if name not in known:
                    raise fault(f"nothing is known by the name {{{name}}}", f"use one of {', '.join(f'{{{one}}}' for one in known)}")
        if not used and not is_tag_value(text):
            raise fault(f"{text!r} is no tag value", "use up to 256 letters, digits, spaces and _.:/=+-@")
        return text

    @model_validator(mode="after")
    def _keeps_its_own_word(self) -> Self:
        if self.set is not None and not placeholders(self.set) and not self.matches(self.set):
            raise fault(f"would set {self.set!r}, which is not {self.describe()}", "set a value that is allowed", ("set",))
        return self


def placeholders(text: str) -> tuple[str, ...]:
    """List the names in braces."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def render(text: str, values: Mapping[str, str]) -> str | None:
    """Fill in the text's placeholders; None if one of them is not known."""
    if any(name not in values for name in placeholders(text)):
        return None
    return str(_PLACEHOLDER.sub(lambda found: values[found.group(1)], text))


class AutoCreated(Strict):
    """What is expected of repositories that ECR made by itself."""

    allowed: Annotated[
        tuple[Literal[Origin.CREATE_ON_PUSH, Origin.PULL_THROUGH_CACHE, Origin.REPLICATION], ...],
        Field(description="The ways in which ECR may create repositories here."),
    ] = (Origin.CREATE_ON_PUSH, Origin.PULL_THROUGH_CACHE, Origin.REPLICATION)
    grace: Annotated[Grace, Field(json_schema_extra={"default": "24h"})] = timedelta(hours=24)


class Unused(Strict):
    """When a repository counts as unused."""

    after: Annotated[
        Grace, Field(description="How long ago creation, last push and last pull must be, for example 90d; a day is added for ECR's delay.")
    ]


_LONGEST_PATH: Final = 100
FILE: Final = "file"
"""The key of what stands in a document's place: the path of the file that holds it."""


def _lifecycle_document(document: dict[str, Any]) -> dict[str, Any]:
    return _sound(document, lifecycle.problems_of(document))


def _repository_policy_document(document: dict[str, Any]) -> dict[str, Any]:
    return _sound(document, repository_policy.problems_of(document))


def _sound(document: dict[str, Any], problems: tuple[DocumentProblem, ...]) -> dict[str, Any]:
    if not problems:
        return document
    # A lone text is no document, but a reference whose key is misspelt, or the document as a text: what it lacks is not to be told.
    match list(document.items()):
        case [(key, str(text))] if any(each.at == (key, KEY) for each in problems):
            path = 0 < len(text) <= _LONGEST_PATH and text.isprintable() and "{" not in text
            do = (
                f"did you mean {FILE}? write {{{FILE}: {text}}}, or the document itself"
                if path
                else "write the document itself, not as text"
            )
            raise fault(f"unknown key {key!r}", do, (key, KEY))
        case _:
            raise problems_error(*problems)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Document = Annotated[dict[str, Any], Field(description="The document as ECR takes it, written in YAML.")]


class NamespaceSettings(Strict):
    """What is expected of the repositories of one namespace. What it leaves out it has from ROOT; `null` asks for nothing."""

    lifecycle_policy: Annotated[Document, AfterValidator(_lifecycle_document)] | None = None
    replace_lifecycle_policy: Annotated[
        StrictBool, Field(description="Whether a weaker policy of a team's own is replaced. A missing one is put in any case.")
    ] = False
    repository_policy: Annotated[Document, AfterValidator(_repository_policy_document)] | None = None
    trusted_accounts: Annotated[
        tuple[Annotated[StrictStr, AfterValidator(_account)], ...],
        Field(description="Accounts, besides our own, whose principals a repository policy may admit."),
    ] = ()
    trusted_organizations: Annotated[
        tuple[Annotated[StrictStr, AfterValidator(_organization)], ...],
        Field(description="AWS organizations whose members a repository policy may admit by aws:PrincipalOrgID."),
    ] = ()
    tag_mutability: TagMutabilityModel | None = None
    scan_frequency: ScanFrequency | None = None
    required_tags: (
        Annotated[
            dict[Annotated[StrictStr, AfterValidator(_tag_key)], RequiredTag],
            Field(max_length=MAX_TAGS, description="Tag keys that every repository carries."),
        ]
        | None
    ) = None
    encryption: EncryptionModel | None = None
    image_tags: (
        Annotated[
            tuple[Matcher, ...],
            Field(min_length=1, description="What an image's tag must be: one of these."),
            BeforeValidator(_listed),
            OneOrList(),
        ]
        | None
    ) = None
    auto_created: AutoCreated | None = None
    unused: Unused | None = None
    retirement: RetirementTerms | None = None
    rules: Rules = Field(default_factory=dict)

    def over(self, base: "NamespaceSettings") -> "NamespaceSettings":
        """Complete these settings by those of the base, key by key, and what is said of rules rule by rule."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return base.model_copy(update={**own, "rules": _over(self.rules, base.rules)})

    def with_use_asked_for(self) -> "NamespaceSettings":
        """Have the rule `unused` look at what is to be retired, by the same number of days, where the file does not say it."""
        if self.retirement is None or self.unused is not None:
            return self
        return self.model_copy(update={"unused": Unused.model_construct(after=timedelta(days=self.retirement.after_days))})


def _prefix(text: str) -> str:
    if not is_template_prefix(text):
        raise fault(
            f"{text!r} is neither ROOT nor a prefix of ECR repository names",
            "write whole path parts in lower case, for example payments or payments/web",
        )
    return text


# --- exemptions, limits ---------------------------------------------------------------------------------------------------------------


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise fault(f"{value!r} is no date of the calendar", "write it as YEAR-MONTH-DAY, for example 2027-01-31")
    return day


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


def _reason(text: str) -> str:
    if len(text.strip()) < MIN_REASON:
        raise fault(f"a reason of less than {MIN_REASON} characters explains nothing", "say why, so that the next reader can judge it")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise fault("is empty", "name a person or a team")
    return text


EVERY_RULE: Final = "*"


def _rule_id_or_every(text: str, info: ValidationInfo) -> str:
    return text if text == EVERY_RULE else _rule_id(text, info)


class Exemption(Strict):
    """Rules that do not hold for some repositories until a day."""

    match: Annotated[Glob, Field(description="Glob of the repositories' names.")]
    rules: Annotated[
        tuple[Annotated[StrictStr, AfterValidator(_rule_id_or_every)], ...],
        Field(min_length=1, description='Rule ids, or "*" for every rule.'),
        BeforeValidator(_listed),
        OneOrList(),
    ]
    reason: Annotated[StrictStr, AfterValidator(_reason), Field(description="Why, in at least 10 characters.")]
    owner: Annotated[StrictStr, AfterValidator(_filled), Field(description="Who answers for it.")]
    expires: Annotated[Day, Field(description="The last day on which it holds, in UTC.")]

    @property
    def ends(self) -> datetime:
        """The first moment at which it no longer holds."""
        return datetime.combine(self.expires, time(), UTC) + timedelta(days=1)

    def covers(self, name: str, rule_id: str) -> bool:
        """Whether it speaks of the rule for the repository, expired or not."""
        return (EVERY_RULE in self.rules or rule_id in self.rules) and glob_matches(self.match, name)


class Limits(Strict):
    """How hard AWS may be asked."""

    calls_per_second: Annotated[StrictInt, Field(ge=1, le=10_000)] = 20
    pull_metrics: StrictBool = False
    remedies_per_sweep: Annotated[
        StrictInt,
        Field(ge=0, le=100_000),
    ] = 200


# --- the policy -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the policy expects of one repository. `naming` is None where the convention does not speak of its name."""

    repository: str
    namespace: str
    naming: Naming | None
    settings: NamespaceSettings
    owner_tag: str

    @property
    def segments(self) -> Mapping[str, str]:
        """What the naming convention reads out of the name; nothing where the name does not keep it."""
        return (self.naming.compiled.match(self.repository) if self.naming else None) or {}


def _version(value: Any) -> Any:
    if type(value) is int and value in SUPPORTED_VERSIONS:
        return value
    raise fault(*_unsupported(value))


def _unsupported(version: Any) -> tuple[str, str]:
    write = f"write version: {SUPPORTED_VERSIONS[-1]}, the only one so far"
    if type(version) is not int:
        return f"{version!r} is no version of this format", write
    if version > SUPPORTED_VERSIONS[-1]:
        what = f"version {version} is newer than this release, which reads version {SUPPORTED_VERSIONS[-1]}"
        return what, f"use a release that reads it, on the deployed stack too; or write the file as version {SUPPORTED_VERSIONS[-1]} has it"
    return f"there is no version {version} of this format", write


class Policy(Strict):
    """A validated policy file."""

    version: Annotated[Literal[1], BeforeValidator(_version), Field(description="The version of this format.")]
    preset: Preset | None = None
    mode: Mode = Mode.AUDIT
    naming: Naming | None = None
    namespaces: Annotated[
        dict[Annotated[StrictStr, AfterValidator(_prefix)], NamespaceSettings],
        Field(default_factory=dict),
    ]
    owner_tag: Annotated[StrictStr, AfterValidator(_tag_key), Field(description="The tag that names a repository's owner.")] = "owner"
    rules: Annotated[Rules, Field(default_factory=dict, description="How far each rule goes; what is not named goes as far as mode.")]
    exemptions: tuple[Exemption, ...] = ()
    retirement: Retirement = Field(default_factory=Retirement.model_construct)
    templates: Templates = Field(default_factory=Templates.model_construct)
    limits: Limits = Field(default_factory=Limits.model_construct)
    notifications: Notifications = Field(default_factory=Notifications.model_construct)

    @field_validator("namespaces", mode="after")
    @classmethod
    def _without_slash(cls, namespaces: dict[str, NamespaceSettings]) -> dict[str, NamespaceSettings]:
        table = {written.removesuffix("/"): settings for written, settings in namespaces.items()}
        if len(table) < len(namespaces):
            twice = [written for written in namespaces if written.endswith("/") and written.removesuffix("/") in namespaces]
            raise problems_error(
                *(DocumentProblem((one, KEY), f"{one} stands there without its slash as well", "keep one") for one in twice)
            )
        return table

    @functools.cached_property
    def hash(self) -> str:
        """What identifies the policy: equal for files that differ only in comments, order of keys, and what they leave to defaults."""
        # What a preset says is in the rest: a file that writes it out is the same policy.
        whole = self.model_copy(update={"namespaces": self._effective})
        content = whole.model_dump(mode="json", by_alias=True, exclude={"preset"})
        # No policy from before there were templates, rules of a namespace, or ways to the report, becomes another one.
        if not any(content["templates"].values()):
            del content["templates"]
        slack = content["notifications"]["slack"]
        if slack["buttons"]["open_report"] is None:
            del slack["buttons"]["open_report"]
        if slack["report"] == ReportBy.LINK:
            del slack["report"]
        for settings in content["namespaces"].values():
            if not settings["rules"]:
                del settings["rules"]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]

    @functools.cached_property
    def _effective(self) -> dict[str, NamespaceSettings]:
        root = self.namespaces.get(ROOT, NamespaceSettings.model_construct())
        whole = {ROOT: root, **{prefix: settings.over(root) for prefix, settings in self.namespaces.items() if prefix != ROOT}}
        return {prefix: settings.with_use_asked_for() for prefix, settings in whole.items()}

    def namespace_of(self, name: str) -> str:
        """Return the longest prefix, by whole path parts, that covers the name; ROOT where there is none."""
        head = name
        while "/" in head:
            head = head.rpartition("/")[0]
            if head in self.namespaces:
                return head
        return ROOT

    def expectation_for(self, name: str) -> Expectation:
        """Tell what is expected of the repository of this name."""
        namespace = self.namespace_of(name)
        naming = self.naming if self.naming is not None and not self.naming.ignores(name) else None
        return Expectation(name, namespace, naming, self._effective[namespace], self.owner_tag)

    @functools.cached_property
    def _rules_of(self) -> dict[str, dict[str, RuleSetting]]:
        return {prefix: _over(settings.rules, self.rules) for prefix, settings in self._effective.items()}

    def setting_of(self, rule_id: str, namespace: str) -> RuleSetting:
        """What is said of the rule in the namespace: by itself, else by ROOT, else for all; mode and severity one by one."""
        return self._rules_of[namespace].get(rule_id, _SAYS_NOTHING)

    def mode_of(self, rule_id: str, namespace: str) -> Mode:
        """How far the rule goes in the namespace: never farther than the policy as a whole."""
        mode = self.setting_of(rule_id, namespace).mode
        return self.mode if mode is None else weaker(self.mode, mode)

    def limited_to(self, ceiling: Mode) -> "Policy":
        """Return the same policy, going no farther than the ceiling. It keeps its hash: the file is the same."""
        return self.in_mode(weaker(self.mode, ceiling))

    def in_mode(self, mode: Mode) -> "Policy":
        """Return the same policy in another mode. It keeps its hash: the file is the same."""
        changed = self.model_copy(update={"mode": mode})
        changed.__dict__["hash"] = self.hash
        return changed

    def exempting(self, more: tuple[Exemption, ...]) -> "Policy":
        """Return the same policy with further exemptions. It keeps its hash: the file is the same."""
        if not more:
            return self
        changed = self.model_copy(update={"exemptions": (*self.exemptions, *more)})
        changed.__dict__["hash"] = self.hash
        return changed

    def severity_of(self, rule_id: str, namespace: str) -> Severity | None:
        """Return the severity that the policy gives the rule in the namespace, if it gives one."""
        return self.setting_of(rule_id, namespace).severity

    def exemption_for(self, name: str, rule_id: str, now: datetime) -> Exemption | None:
        """Return the exemption that holds for the rule and the repository now; of several the one that holds longest."""
        if not self.exemptions:
            return None
        holding = [exemption for exemption in self.exemptions if now < exemption.ends and exemption.covers(name, rule_id)]
        return max(holding, key=lambda exemption: exemption.expires, default=None)

    def next_expiry(self, name: str, now: datetime) -> datetime | None:
        """Return the next moment at which an exemption of the repository ends."""
        ends = [exemption.ends for exemption in self.exemptions if now < exemption.ends and glob_matches(exemption.match, name)]
        return min(ends, default=None)

    def expired_exemptions(self, now: datetime) -> tuple[Exemption, ...]:
        """List the exemptions that no longer hold."""
        return tuple(exemption for exemption in self.exemptions if exemption.ends <= now)
