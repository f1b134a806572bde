"""`ecr-governor check-name`: whether a name may be pushed to, for pipelines."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cli.policy import files
from cli.policy.github import annotation
from cli.trouble import Exit, check_output
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.origin import Origin, Provenance
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.repository import NOT_FETCHED, Repository
from ecr_governor.core.rules import naming
from ecr_governor.core.verdict import Violation

_NAMELESS = "(no name)"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is said of one name. `suggestion` is the nearest allowed name, None where none is near or none is needed."""

    name: str
    allowed: bool
    reason: str
    suggestion: str | None
    namespace: str | None


def run(names: Sequence[str], policy_path: Path, output: str) -> Exit:
    """Check names and print what is said of each. Exit code 1 if one of them is not allowed."""
    check_output(output, *OUTPUTS)
    policy, now = files.read(policy_path, files.OPTION), datetime.now(UTC)
    checked = [check(name, policy, now) for name in names]
    sys.stdout.write(OUTPUTS[output](checked))
    return Exit.CLEAN if all(each.allowed for each in checked) else Exit.VIOLATIONS


def check(name: str, policy: Policy, now: datetime) -> Checked:
    """Say of a name what the rule on names will say of its repository, and before that what ECR says."""
    convention = policy.naming.compiled if policy.naming is not None else None
    nearest = convention.nearest(name) if convention is not None else None
    if not is_repository_name(name):
        reason = "is no repository name: ECR takes 2 to 256 of a-z, 0-9 and single . _ - / between them"
        return Checked(name, allowed=False, reason=reason, suggestion=nearest, namespace=None)
    namespace = policy.namespace_of(name)
    # Whoever asks is about to push, so that it is no cache. A policy that is switched off is asked all the same.
    judged = policy if policy.mode is not Mode.OFF else policy.in_mode(Mode.AUDIT)
    repository = Repository(name, "", "", "", now, NOT_FETCHED, NOT_FETCHED, provenance=Provenance(Origin.CREATE_ON_PUSH))
    found = next((each for each in evaluate(repository, judged, now).judgements if each.rule == naming.RULE.id), None)
    if found is None:
        said = "the policy does not judge its name"
    elif not isinstance(found.verdict, Violation):
        said = f"keeps {convention.text}" if convention is not None else "keeps the convention"
    elif found.exemption is not None:
        said = f"is exempt until {found.exemption.expires}: {found.exemption.reason}"
    else:
        return Checked(name, allowed=False, reason=found.verdict.reason, suggestion=nearest, namespace=namespace)
    return Checked(name, allowed=True, reason=said, suggestion=None, namespace=namespace)


def _text(checked: Sequence[Checked]) -> str:
    return "".join(f"{'ok  ' if each.allowed else 'no  '}{tidy(each.name) or _NAMELESS}: {tidy(_told(each))}\n" for each in checked)


def _told(checked: Checked) -> str:
    known = checked.suggestion is None or checked.suggestion in checked.reason
    return checked.reason if known else f"{checked.reason}; nearest allowed name: {checked.suggestion}"


def _json(checked: Sequence[Checked]) -> str:
    return json.dumps([asdict(each) for each in checked], indent=2) + "\n"


def _github(checked: Sequence[Checked]) -> str:
    return "".join(annotation("error", f"{each.name}: {_told(each)}", title="repository name") for each in checked if not each.allowed)


OUTPUTS: Mapping[str, Callable[[Sequence[Checked]], str]] = {"text": _text, "json": _json, "github": _github}
