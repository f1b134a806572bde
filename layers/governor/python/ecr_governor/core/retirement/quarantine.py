"""The quarantine: a statement in the repository policy that stops push and pull, and its removal without a trace."""

import json
from collections.abc import Sequence
from typing import Any, Final

SID: Final = "EcrGovernorQuarantine"
DENIED: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""What a push or a pull takes. Settings and reports stay open to their owners."""
_OURS: Final = {"Sid", "Effect", "Principal", "Action"}
TOO_LONG: Final = 10_240
"""Characters that a repository policy may have (ECR's service quotas)."""


def quarantined(original: str | None) -> str:
    """Give the policy with our statement. Nobody is let through: not even we pull from what is in quarantine.

    Raises ValueError if the original is no JSON object, or the result would be longer than ECR takes.
    """
    document: dict[str, Any] = json.loads(original) if original else {"Version": "2012-10-17"}
    if not isinstance(document, dict):
        raise ValueError("the repository policy is no JSON object")  # noqa: TRY004 - the text is wrong, not our types
    statements = [each for each in _listed(document.get("Statement")) if each.get("Sid") != SID]
    ours = {"Sid": SID, "Effect": "Deny", "Principal": "*", "Action": DENIED}
    text = json.dumps({**document, "Statement": [*statements, ours]}, separators=(",", ":"))
    if len(text) > TOO_LONG:
        raise ValueError(f"with the quarantine's statement the repository policy would have {len(text)} characters, ECR takes {TOO_LONG}")
    return text


def is_in_force(policy: str | None) -> bool:
    """Tell whether our statement stands in the policy, as we wrote it: with a condition it might deny nobody."""
    return any(
        each.keys() == _OURS
        and each["Sid"] == SID
        and each["Effect"] == "Deny"
        and each["Principal"] == "*"
        and set(DENIED) <= _actions(each)
        for each in _statements(policy)
    )


def is_ours(policy: str | None) -> bool:
    """Tell whether anything of ours stands in the policy."""
    return any(each.get("Sid") == SID for each in _statements(policy))


def released(policy: str | None, original: str | None, *, ours: bool = True) -> str | None:
    """Give the policy without our statement: the original byte for byte, unless others have changed the rest meanwhile.

    Not `ours`: the original is that of another repository of the same name, and none of it belongs here.
    """
    if policy is None or not is_ours(policy):
        return policy
    if same_text(policy, quarantined(original)):
        return original if ours else None
    document = json.loads(policy)
    rest = [each for each in _listed(document.get("Statement")) if each.get("Sid") != SID]
    return json.dumps({**document, "Statement": rest}, separators=(",", ":")) if rest else None


def same_text(one: str, other: str) -> bool:
    """Tell whether two policies say the same."""
    # ECR gives a policy back in a layout of its own.
    return bool(json.loads(one) == json.loads(other))


def _statements(policy: str | None) -> Sequence[dict[str, Any]]:
    # Most policies are none of ours, which needs no reading; only behind an escape could our name be written in another way.
    if not policy or (SID not in policy and "\\" not in policy):
        return ()
    try:
        document = json.loads(policy)
    except ValueError:
        return ()
    found = _listed(document.get("Statement")) if isinstance(document, dict) else []
    return [each for each in found if isinstance(each, dict)]


def _actions(statement: dict[str, Any]) -> set[str]:
    return {str(action) for action in _listed(statement.get("Action"))}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
