"""A plan's document as a person hands it back, and the approval that is made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from ecr_governor.adapters.invalid import first_problem
from ecr_governor.app.errors import Unintelligible
from ecr_governor.core.retirement.approval import Approval, ApprovedStep
from ecr_governor.core.retirement.state import Stage

_Word = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class PlannedItem(BaseModel):
    """One repository of a plan, as far as approving it takes."""

    model_config = ConfigDict(frozen=True)

    repository: _Word
    stage: Stage
    next: Stage | None
    fingerprint: str
    owner: str | None


class PlanFile(BaseModel):
    """A plan, as `ecr-governor plan --out` writes it."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1]
    at: AwareDatetime
    account: _Word
    region: _Word
    policy_hash: _Word
    items: tuple[PlannedItem, ...]

    def forward(self, stages: Sequence[Stage]) -> tuple[PlannedItem, ...]:
        """The items whose next step leads to one of these stages."""
        return tuple(item for item in self.items if item.next in stages)

    def approval(self, items: Sequence[PlannedItem], by: str) -> Approval:
        """Approve the next step of these items."""
        steps = tuple(ApprovedStep(item.repository, item.next, item.fingerprint) for item in items if item.next)
        return Approval(by, self.account, self.region, self.policy_hash, self.at, steps)


class _HandedStep(BaseModel):
    repository: _Word
    to: Stage
    fingerprint: str


class _Handed(BaseModel):
    by: _Word
    account: _Word
    region: _Word
    policy_hash: _Word
    plan_at: AwareDatetime
    steps: tuple[_HandedStep, ...]


def plan_of(text: bytes) -> PlanFile:
    """Read a plan's document. Raises Unintelligible with the place and what is wrong there."""
    try:
        return PlanFile.model_validate_json(text)
    except ValidationError as error:
        raise Unintelligible(first_problem(error)) from error


def plan_from(document: Mapping[str, Any]) -> PlanFile:
    """Read a plan from the form in which the last run left it. Raises Unintelligible."""
    try:
        return PlanFile.model_validate(document)
    except ValidationError as error:
        raise Unintelligible(f"plan: {first_problem(error)}") from error


def approval_of(document: Mapping[str, Any]) -> Approval:
    """Read an approval. Raises Unintelligible."""
    try:
        handed = _Handed.model_validate(document)
    except ValidationError as error:
        raise Unintelligible(f"approval: {first_problem(error)}") from error
    steps = tuple(ApprovedStep(step.repository, step.to, step.fingerprint) for step in handed.steps)
    return Approval(handed.by, handed.account, handed.region, handed.policy_hash, handed.plan_at, steps)


def approval_as_data(approval: Approval) -> dict[str, Any]:
    """Give an approval as a JSON object."""
    return {**asdict(approval), "plan_at": approval.plan_at.isoformat()}
