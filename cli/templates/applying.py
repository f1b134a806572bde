"""`ecr-governor templates which`: what ECR would do with a name that is not there yet."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.policy import files
from cli.templates import page, registry
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.templates.applying import Applying, applying
from ecr_governor.core.templates.compile import compiled
from ecr_governor.core.templates.template import AppliedFor, Template, as_data

_WAYS: Final[Mapping[AppliedFor, str]] = {
    AppliedFor.CREATE_ON_PUSH: "a push",
    AppliedFor.PULL_THROUGH_CACHE: "a first pull through a cache",
    AppliedFor.REPLICATION: "replication",
}


def run(name: str, policy_path: Path, place: registry.Place | None, output: str) -> Exit:
    """Print what comes of a name, by the registry's templates or, without a place, by the policy's."""
    check_output(output, "text", "json")
    if not is_repository_name(name):
        raise Trouble(f"{name!r} is no repository name", "ECR takes a-z, 0-9 and single . _ - / between them", "payments/api")
    templates = compiled(files.read(policy_path, files.OPTION)).templates if place is None else registry.read(registry.templates_at(place))
    found = [applying(templates, name, way) for way in AppliedFor]
    source = "policy" if place is None else "registry"
    if output == "json":
        sys.stdout.write(json.dumps(_as_data(name, source, found), indent=2) + "\n")
    else:
        _show(name, source, found)
    return Exit.CLEAN if found[0].creates else Exit.VIOLATIONS


def _show(name: str, source: str, found: Sequence[Applying]) -> None:
    page.line(f"{name}, by the templates of the {source}", "bold")
    page.rows([(_WAYS[each.way], _told(each)) for each in found])
    shown: list[Template] = []
    for each in found:
        if each.template is not None and each.creates and each.template not in shown:
            shown.append(each.template)
            page.line(f"By the template {each.template.key} it begins with")
            page.rows(page.settings(each.template))


def _told(found: Applying) -> str:
    if found.template is None:
        if found.way is AppliedFor.CREATE_ON_PUSH:
            return "nothing: a push would be refused"
        return "creates it with ECR's defaults: no template is for that"
    if found.hidden_by is not None:
        nearer = f"{found.hidden_by.key} is nearer and is not for it"
        return f"not certain: {nearer}; whether {found.template.key} counts then, AWS does not say"
    if found.fails:
        return f"fails: the template {found.template.key} sets tags or a KMS key, and names no role"
    return f"creates it by the template {found.template.key}"


def _as_data(name: str, source: str, found: Sequence[Applying]) -> dict[str, Any]:
    return {
        "name": name,
        "source": source,
        "ways": {
            each.way.value: {
                "creates": each.creates,
                "template": as_data(each.template) if each.template else None,
                "hidden_by": each.hidden_by.key if each.hidden_by else None,
                "says": _told(each),
            }
            for each in found
        },
    }
