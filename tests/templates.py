"""Creation templates in memory, held to the same contract as the adapter."""

from collections.abc import Iterable
from dataclasses import replace

from ecr_governor.app.errors import Refused
from ecr_governor.core.templates.template import Template


class FakeCreationTemplates:
    """A registry's templates. `deaf` are prefixes that take an update and keep what they have."""

    def __init__(self, templates: Iterable[Template] = ()) -> None:
        self.templates = {each.key: each for each in templates}
        self.changes: list[str] = []
        self.deaf: set[str] = set()

    def read(self) -> tuple[Template, ...]:
        return tuple(self.templates.values())

    def create(self, template: Template) -> None:
        if template.key in self.templates:
            raise Refused(f"ecr:CreateRepositoryCreationTemplate: TemplateAlreadyExistsException: {template.key}")
        self._note(f"create {template.key}")
        self.templates[template.key] = template

    def update(self, found: Template, template: Template) -> None:
        if found.key not in self.templates:
            raise Refused(f"ecr:UpdateRepositoryCreationTemplate: TemplateNotFoundException: {found.key}")
        self._note(f"update {found.key}")
        if found.key not in self.deaf:
            self.templates[found.key] = replace(template, prefix=found.prefix)

    def delete(self, found: Template) -> None:
        if found.key not in self.templates:
            raise Refused(f"ecr:DeleteRepositoryCreationTemplate: TemplateNotFoundException: {found.key}")
        self._note(f"delete {found.key}")
        del self.templates[found.key]

    def _note(self, change: str) -> None:
        self.changes.append(change)
