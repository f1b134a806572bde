"""The registry's own settings, which concern every repository in it."""

import hashlib
import json
from dataclasses import dataclass

from ecr_governor.core.origin import AutomaticCreation
from ecr_governor.core.repository import CreationTemplate, Unreadable


@dataclass(frozen=True, slots=True)
class RegistryRules:
    """The registry's settings as they were read. `scanning` is ECR's answer, as text to compare with."""

    creation_templates: tuple[CreationTemplate, ...] | Unreadable
    cache_prefixes: tuple[str, ...] | Unreadable
    scanning: str | Unreadable

    @property
    def fingerprint(self) -> str:
        """Identifies the settings as they were read."""
        templates, caches, scanning = self.creation_templates, self.cache_prefixes, self.scanning
        known = [
            templates.why if isinstance(templates, Unreadable) else sorted([each.prefix, *sorted(each.applied_for)] for each in templates),
            caches.why if isinstance(caches, Unreadable) else sorted(caches),
            scanning.why if isinstance(scanning, Unreadable) else scanning,
        ]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]

    @property
    def automatic_creation(self) -> AutomaticCreation:
        """The rules that make ECR create repositories, None for what may not be read."""
        templates, caches = self.creation_templates, self.cache_prefixes
        return AutomaticCreation(
            create_on_push_prefixes=None
            if isinstance(templates, Unreadable)
            else tuple(template.prefix for template in templates if "CREATE_ON_PUSH" in template.applied_for),
            pull_through_cache_prefixes=None if isinstance(caches, Unreadable) else caches,
        )

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Why what could not be read could not."""
        return tuple(each.why for each in (self.creation_templates, self.cache_prefixes, self.scanning) if isinstance(each, Unreadable))
