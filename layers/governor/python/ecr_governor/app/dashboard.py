"""Answer what somebody sees on a dashboard: from one file that the last report left, asking nobody else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecr_governor.app.errors import Unintelligible
from ecr_governor.app.reporting import GLANCE
from ecr_governor.app.sweep.ports import RunStore
from ecr_governor.core.report.asking import Asked, Misasked, Part, asked, one_of, part_of
from ecr_governor.core.report.glance import Glance
from ecr_governor.core.report.model import ReportedRepository


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, and what a glance says of it: one repository, or a part."""

    glance: Glance
    asked: Asked
    found: Part | ReportedRepository


def answer(parameters: Mapping[str, Any], runs: RunStore, read: Callable[[Mapping[str, Any]], Glance]) -> Answer:
    """Answer by the glance that was kept last; `read` makes one of its document. Raises Misasked, Throttled, Denied."""
    wanted = asked(parameters)
    document = runs.document(GLANCE)
    if document is None:
        raise Misasked("nothing has been reported yet", "no sweep has ended since this release was deployed", "ecr-governor sweep")
    try:
        glance = read(document)
    except Unintelligible as error:
        raise Misasked("another release has written what is to be shown", str(error), "ecr-governor sweep") from error
    return Answer(glance, wanted, one_of(glance, wanted.repository) if wanted.repository else part_of(glance, wanted))
