"""What the formats of audits and reports have in common: a repository with its findings, and whether all was read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from ecr_governor.core.severity import Severity


class JudgedFinding(Protocol):
    """One violation of one rule."""

    @property
    def rule(self) -> str:
        """The rule's id."""

    @property
    def severity(self) -> Severity:
        """How much it matters."""

    @property
    def reason(self) -> str:
        """What is wrong."""

    @property
    def state(self) -> Literal["open", "exempt"]:
        """Whether somebody answers for it."""


class JudgedRepository(Protocol):
    """One repository as it was judged; None is not known, or was not asked for."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def origin(self) -> str:
        """Where it came from."""

    @property
    def owner(self) -> str | None:
        """The value of the owner's tag."""

    @property
    def findings(self) -> Sequence[JudgedFinding]:
        """The violations."""

    @property
    def undetermined(self) -> Mapping[str, str]:
        """Why a rule could not judge, by rule."""

    @property
    def images(self) -> int | None:
        """How many images it holds."""

    @property
    def size_bytes(self) -> int | None:
        """The compressed size of all images."""

    @property
    def last_push(self) -> datetime | None:
        """The last push on record."""

    @property
    def last_pull(self) -> datetime | None:
        """The last pull on record."""

    @property
    def unused(self) -> bool | None:
        """Whether the rule of that name found that it is."""


class Completeness(Protocol):
    """Whether everything was read."""

    @property
    def complete(self) -> bool:
        """Whether it was."""

    @property
    def incomplete_because(self) -> Sequence[str]:
        """Why it was not."""
