"""What ECR does when it is to create a repository of a name: by which template, or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass

from ecr_governor.core.templates.template import AppliedFor, Template, covers, nearness


@dataclass(frozen=True, slots=True)
class Applying:
    """What one way of creation comes to. `template` is the nearest one that is for it; None where none is.

    `hidden_by` is a nearer template that is not for it. ECR's documentation says that the most specific template is applied; it does
    not say what comes of a name whose most specific template is for other ways (UNCONFIRMED), so neither do we.
    """

    way: AppliedFor
    template: Template | None
    hidden_by: Template | None = None

    @property
    def fails(self) -> bool:
        """Whether the creation fails: the template sets tags or a KMS key and names no role."""
        return self.template is not None and self.template.lacks_role

    @property
    def creates(self) -> bool:
        """Whether a repository comes of it for certain. Only create on push needs a template."""
        if self.hidden_by is not None or self.fails:
            return False
        return self.template is not None or self.way is not AppliedFor.CREATE_ON_PUSH


def applying(templates: Iterable[Template], name: str, way: AppliedFor) -> Applying:
    """Tell by which of the templates ECR creates a repository of the name."""
    covering = sorted((each for each in templates if covers(each, name)), key=nearness, reverse=True)
    meant = next((each for each in covering if way in each.applied_for), None)
    return Applying(way, meant, covering[0] if meant is not None and covering[0] is not meant else None)
