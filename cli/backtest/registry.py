"""What the records and an inventory tell of the registry itself: creation templates, pull through cache rules, scanning."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from cli.backtest.history import Told, What
from cli.policy.inventory import Line
from ecr_governor.core.origin import AutomaticCreation, Origin, longest_prefix, under
from ecr_governor.core.repository import CreationTemplate, ScanFrequency, Unreadable

_OTHERS: Final = Unreadable("the records do not tell which creation templates were there before")
_CHANGED: Final = Unreadable("the registry's scanning rules were changed, and the records do not tell how it was scanned before")
_NOT_TOLD: Final = Unreadable("the records do not tell")
Templates = Mapping[str, Mapping[str, Any]]


class Registry:
    """The registry's own settings at any time, as far as they are known."""

    def __init__(self, told: Iterable[Told]) -> None:
        self._times: list[int] = []
        self._templates: list[Templates] = [{}]
        self._caches: list[frozenset[str]] = [frozenset()]
        self._scanning_changed = False
        self._templates_changed = False
        for each in sorted(told, key=lambda one: one.at):
            templates, caches = dict(self._templates[-1]), self._caches[-1]
            match each.what:
                case What.TEMPLATE:
                    templates[each.value["prefix"]] = {**each.value}
                    self._templates_changed = True
                case What.NO_TEMPLATE:
                    templates.pop(each.value, None)
                    self._templates_changed = True
                case What.CACHE:
                    caches |= {each.value}
                case What.NO_CACHE:
                    caches -= {each.value}
                case _:
                    self._scanning_changed = True
            self._times.append(each.at)
            self._templates.append(templates)
            self._caches.append(caches)

    def _at(self, at: datetime) -> tuple[Templates, frozenset[str]]:
        index = bisect_right(self._times, int(at.timestamp()))
        return self._templates[index], self._caches[index]

    def automatic(self, at: datetime, name: str) -> AutomaticCreation:
        """Give what makes ECR create this repository by itself. What is not known to cover the name may still do so."""
        templates, caches = self._at(at)
        pushes = tuple(prefix for prefix, each in templates.items() if "CREATE_ON_PUSH" in each["applied_for"])
        covering = tuple(prefix for prefix in caches if under(prefix, name))
        return AutomaticCreation(pushes or None, covering or None)

    def template_of(self, name: str, origin: Origin, at: datetime) -> Mapping[str, Any] | None:
        """Give the template that ECR applied; None where the records do not hold it."""
        templates, _ = self._at(at)
        wanted = origin.value.upper()
        prefix = longest_prefix([prefix for prefix, each in templates.items() if wanted in each["applied_for"]], name)
        return templates[prefix] if prefix is not None else None

    def templates(self, name: str, origin: Origin, at: datetime, line: Line | None) -> tuple[CreationTemplate, ...] | Unreadable:
        """Give the creation templates, if enough of them is known to judge this repository by."""
        if line is not None and not self._templates_changed:
            return line.repository.creation_templates
        if self.template_of(name, origin, at) is None:
            return _OTHERS
        return tuple(CreationTemplate(prefix, frozenset(each["applied_for"])) for prefix, each in self._at(at)[0].items())

    def scanning(self, line: Line | None) -> ScanFrequency | Unreadable:
        """Give how often a repository is scanned: only an inventory tells that, and only if the rules have not been changed."""
        if self._scanning_changed:
            return _CHANGED
        return line.repository.scan_frequency if line is not None else _NOT_TOLD
