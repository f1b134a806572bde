"""What a policy file may say of retirement: for a namespace how it goes, for the whole registry how much may go at once."""

import functools
import hashlib
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from ecr_governor.core.documents.problem import DocumentProblem
from ecr_governor.core.policy.strict import HASH_LENGTH, Strict, problems_error

LEAST_QUARANTINE: Final = 2
"""Days after which ECR has recorded every pull from before the quarantine: it does within 24 hours (API reference, ImageDetail)."""


class Then(StrEnum):
    """The last stage that a retirement may reach."""

    MARK = "mark"
    QUARANTINE = "quarantine"
    ARCHIVE = "archive"
    DELETE = "delete"


Days = Annotated[StrictInt, Field(ge=1, le=3650)]


class RetirementTerms(Strict):
    """How repositories that nobody uses are retired. Each stage can be taken back but the last."""

    after_days: Annotated[Days, Field(description="Days without push, pull or any other sign of use, all of them watched by us.")] = 90
    empty_after_days: Annotated[
        Days | None, Field(description="The same for repositories without any image; without it they are let alone.")
    ] = None
    blank_after_days: Annotated[
        Days | None, Field(description="The same for repositories that never got an image; without it as for all without any.")
    ] = None
    misnamed_after_days: Annotated[
        Days | None,
        Field(description="The same, where it is shorter, for repositories whose name breaks the rule naming."),
    ] = None
    grace_days: Annotated[Days, Field(description="Days between the owner's being told and the next stage.")] = 14
    unowned_grace_days: Annotated[Days, Field(description="The same where no owner is known.")] = 7
    business_days: Annotated[StrictBool, Field(description="Whether days of grace count from Monday to Friday only.")] = False
    quarantine_days: Annotated[
        StrictInt,
        Field(ge=0, le=3650),
    ] = 7
    archive_days: Annotated[
        StrictInt, Field(ge=0, le=3650, description="Days in ECR's archive before the end; 0 leaves the stage out.")
    ] = 30
    then: Then = Then.MARK

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        problems = []
        if 0 < self.quarantine_days < LEAST_QUARANTINE:
            what = f"{self.quarantine_days} is shorter than ECR needs to show a pull: its time is up to 24 hours late"
            problems.append(DocumentProblem(("quarantine_days",), what, "write 2 or more, or 0 to leave the stage out"))
        if self.quarantine_days == 0 and self.then is not Then.MARK:
            what = f"nothing can be taken to {self.then.value} without a quarantine: only there does nobody begin to use an image unseen"
            problems.append(DocumentProblem(("quarantine_days",), what, "write 2 or more, or then: mark"))
        if self.archive_days == 0 and self.then is Then.ARCHIVE:
            what = "the archive is left out and the last stage"
            problems.append(DocumentProblem(("archive_days",), what, "write 1 or more, or another then"))
        if problems:
            raise problems_error(*problems)
        return self

    @functools.cached_property
    def hash(self) -> str:
        """What identifies the terms: other terms begin anew."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:HASH_LENGTH]


class Weekday(StrEnum):
    """Days of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


_WEEK: Final = tuple(Weekday)


class Window(Strict):
    """When steps are taken that somebody may have to answer for."""

    days: Annotated[tuple[Weekday, ...], Field(description="On these days.")] = (
        Weekday.MONDAY,
        Weekday.TUESDAY,
        Weekday.WEDNESDAY,
        Weekday.THURSDAY,
    )
    from_hour: Annotated[StrictInt, Field(ge=0, le=23, description="From this hour on, UTC.")] = 0
    until_hour: Annotated[StrictInt, Field(ge=1, le=24, description="Until this hour, UTC.")] = 24

    @model_validator(mode="after")
    def _opens(self) -> Self:
        problems = []
        if not self.days:
            problems.append(DocumentProblem(("days",), "a window without days never opens", "name a day, or leave it out"))
        if self.from_hour >= self.until_hour:
            what = f"a window from {self.from_hour} to {self.until_hour} never opens"
            problems.append(DocumentProblem(("until_hour",), what, "write a later hour; a window does not go over midnight"))
        if problems:
            raise problems_error(*problems)
        return self

    def contains(self, moment: datetime) -> bool:
        """Whether the moment is within it."""
        utc = moment.astimezone(UTC)
        return _WEEK[utc.weekday()] in self.days and self.from_hour <= utc.hour < self.until_hour

    def opens(self, moment: datetime) -> datetime:
        """Give the first moment within it from this one on: itself, or when the window opens, in UTC."""
        if self.contains(moment):
            return moment
        opening = moment.astimezone(UTC).replace(hour=self.from_hour, minute=0, second=0, microsecond=0)
        while opening < moment or not self.contains(opening):
            opening += timedelta(days=1)
        return opening


class Caps(Strict):
    """How much one run may take away. Over any of them the whole run takes nothing away; 0 means none."""

    per_run: Annotated[StrictInt, Field(ge=0, le=100_000)] = 10
    percent: Annotated[float, Field(strict=True, ge=0, le=100)] = 5.0
    per_owner: Annotated[StrictInt, Field(ge=0, le=100_000)] = 5
    per_namespace: Annotated[StrictInt, Field(ge=0, le=100_000)] = 5
    per_day: Annotated[StrictInt, Field(ge=0, le=100_000)] = 20
    marks: Annotated[StrictInt, Field(ge=0, le=100_000)] = 100


class Source(StrEnum):
    """What is asked who uses an image."""

    ECS = "ecs"
    LAMBDA = "lambda"
    APP_RUNNER = "apprunner"
    BATCH = "batch"
    CODEBUILD = "codebuild"
    INSPECTOR = "inspector"
    SAGEMAKER = "sagemaker"
    FILES = "files"


class Retirement(Strict):
    """What holds for all retirements."""

    stop: StrictBool = False
    sources: Annotated[
        tuple[Source, ...],
        Field(
            description="Who is asked for use, besides ECR itself; at least one. One that does not answer keeps everything that it could speak for."
        ),
    ] = (Source.ECS, Source.LAMBDA)
    caps: Caps = Field(default_factory=Caps.model_construct)
    window: Window = Field(default_factory=Window.model_construct)
    pull_time_exclusions: tuple[StrictStr, ...] = ()

    @model_validator(mode="after")
    def _asks_somebody(self) -> Self:
        if not self.sources:
            what = "nobody is asked who uses an image: ECR's times alone say nothing of what runs without pulling"
            raise problems_error(DocumentProblem(("sources",), what, "name a source, or leave it out for ecs and lambda"))
        return self
