"""Globs and expressions of the policy file, matched in time linear in the text.

Names and tags are chosen by whoever can push, so no pattern may backtrack: everything here runs on RE2, never on Python's own engine.
"""

import functools
from typing import Annotated, Any, Final, Self

import re2
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from ecr_governor.core.documents.problem import DocumentProblem
from ecr_governor.core.policy.short_forms import TEXT, TEXTS, or_short
from ecr_governor.core.policy.strict import fault, problems_error

MAX_PATTERN: Final = 1_000
_SHOWN: Final = 8

_OPTIONS: Final = re2.Options()
# The caller gets the reason as an exception; RE2 would write it to standard error as well.
_OPTIONS.log_errors = False

_LOOK_AROUND: Final = ("(?=", "(?!", "(?<", "(?<=", "(?<!")


class PatternInvalid(ValueError):
    """An expression that RE2 does not accept, with the reason and what to do."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(f"{why}: {do}")
        self.why = why
        self.do = do


@functools.lru_cache(maxsize=4096)
def _compiled(expression: str) -> Any:
    try:
        return re2.compile(expression, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise PatternInvalid(*_explained(reason)) from error


def _explained(reason: str) -> tuple[str, str]:
    """Say what RE2 has against an expression, and what to do."""
    operator = reason.rpartition(": ")[2]
    if reason.startswith("invalid perl operator") and operator.startswith(_LOOK_AROUND):
        return f"RE2 has no look-around ({operator})", "say what the value may be, not what must stand beside it"
    if reason.startswith("invalid escape sequence") and operator[1:2].isdigit():
        return f"RE2 has no back-references ({operator})", "write it without: every match must be decidable in one pass"
    return f"RE2 refuses it: {reason}", "correct it; what RE2 knows is at github.com/google/re2/wiki/Syntax"


def check_expression(expression: str) -> str:
    """Return the expression, or raise `PatternInvalid` with what RE2 has against it."""
    _compiled(expression)
    return expression


@functools.lru_cache(maxsize=4096)
def expression_matches(expression: str, text: str) -> bool:
    """Whether the whole text matches the RE2 expression."""
    try:
        # Bytes spare the wrapper from counting out where in the text each group lies, which takes longer than to match.
        return _compiled(expression).fullmatch(text.encode()) is not None
    except UnicodeEncodeError:  # half a surrogate pair is no character, so nothing describes it
        return False


@functools.lru_cache(maxsize=4096)
def _translated(glob: str) -> str:
    runs = {"*": ".*", "?": "."}
    return "(?s)" + "".join(runs.get(character) or re2.escape(character) for character in glob)


@functools.lru_cache(maxsize=4096)
def _beginning(glob: str) -> str:
    return glob.partition("*")[0].partition("?")[0]


def glob_matches(glob: str, text: str) -> bool:
    """Whether the whole text matches the glob: `*` is any run of characters, `/` included, as in IAM; `?` is any one character."""
    # Most names are not of the prefix that a glob speaks of, and need no expression to tell.
    return text.startswith(_beginning(glob)) and expression_matches(_translated(glob), text)


def _expression(text: str) -> str:
    try:
        return check_expression(text)
    except PatternInvalid as error:
        raise PydanticCustomError("expression", "{why}", {"why": error.why, "do": error.do}) from error


PatternText = Annotated[StrictStr, StringConstraints(min_length=1, max_length=MAX_PATTERN)]
Glob = Annotated[PatternText, Field(description="`*` stands for any run of characters, `/` included; `?` for any one character.")]
Expression = Annotated[
    PatternText,
    AfterValidator(_expression),
    Field(description="An RE2 expression for the whole value; no look-around, no back-references."),
]


class Matcher(BaseModel):
    """What a value must be: one of a list, like a glob, or like an RE2 expression. A plain list and a plain glob are short forms."""

    # Built as a part of what it stands in, as the sections are.
    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(functools.cached_property,), defer_build=True)

    one_of: Annotated[tuple[StrictStr, ...], Field(min_length=1)] | None = None
    glob: Glob | None = None
    regex: Expression | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _short_forms(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        if isinstance(value, str):
            value = {"glob": value}
        elif isinstance(value, list | tuple):
            value = {"one_of": value}
        return handler(value)  # type: ignore[no-any-return]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in ("one_of", "glob", "regex") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise fault(f"{' and '.join(kinds)} exclude each other", "keep one of them")
        if not kinds and self._needs_a_kind():
            raise problems_error(
                DocumentProblem((), "says nothing", "give one of one_of, glob or regex", lacks=("one_of", "glob", "regex"))
            )
        return self

    @classmethod
    def _needs_a_kind(cls) -> bool:
        return True

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return or_short(core_schema, handler, TEXT, TEXTS)

    def matches(self, text: str) -> bool:
        """Whether the whole text is what the matcher asks for."""
        if self.one_of is not None:
            return text in self._entries
        if self.glob is not None:
            return glob_matches(self.glob, text)
        return self.regex is None or expression_matches(self.regex, text)

    def describe(self) -> str:
        """Say what a value must be, in words that complete "must be"."""
        if self.one_of is not None:
            more = len(self.one_of) - _SHOWN
            shown = ", ".join(self.one_of[:_SHOWN])
            if more > 0:
                return f"one of {shown} and {more} more"
            return f"one of {shown}" if len(self.one_of) > 1 else shown
        if self.glob is not None:
            return f"like {self.glob}"
        return f"like the expression {self.regex}" if self.regex is not None else "anything"

    @functools.cached_property
    def _entries(self) -> frozenset[str]:
        return frozenset(self.one_of or ())
