"""Policies of IAM's language that keep `ecr:CreateRepository` to the prefixes of the policy file.

`CreateRepository` may be granted by name: AWS's own registry policies name `repository/prod-*` (user guide, registry-permissions-examples).
Both policies here refuse. Neither of them is known to reach create on push, of which AWS documents no permission (UNCONFIRMED): what
keeps that to the prefixes are the templates themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ecr_governor.core.documents import json_text
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.policy.model import Policy

MAX_REGISTRY_POLICY: Final = 10_240
MAX_SCP: Final = 10_240
"""Characters (AWS Organizations user guide, quotas)."""
CHANGES: Final = ("ecr:CreateRepositoryCreationTemplate", "ecr:DeleteRepositoryCreationTemplate", "ecr:UpdateRepositoryCreationTemplate")


def prefixes_of(policy: Policy) -> tuple[str, ...]:
    """Give the policy's prefixes without those that are under another one of them."""
    prefixes = sorted(prefix for prefix in policy.namespaces if prefix != ROOT)
    return tuple(each for each in prefixes if not any(each.startswith(f"{other}/") for other in prefixes))


def registry_policy(prefixes: Iterable[str], account: str, region: str, partition: str) -> dict[str, Any]:
    """Write a registry policy that refuses everybody the creation of repositories of other names."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "CreateOnlyUnderThePrefixes",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "ecr:CreateRepository",
                "NotResource": [f"arn:{partition}:ecr:{region}:{account}:repository/{prefix}/*" for prefix in prefixes],
            }
        ],
    }


def service_control_policy(prefixes: Iterable[str], admins: Sequence[str]) -> dict[str, Any]:
    """Write an SCP that refuses the same, and the change of templates to all but the named principals, if any are named."""
    statements: list[dict[str, Any]] = [
        {
            "Sid": "CreateOnlyUnderThePrefixes",
            "Effect": "Deny",
            "Action": "ecr:CreateRepository",
            "NotResource": [f"arn:aws:ecr:*:*:repository/{prefix}/*" for prefix in prefixes],
        }
    ]
    if admins:
        statements.append(
            {
                "Sid": "TemplatesAreOfThePlatform",
                "Effect": "Deny",
                "Action": list(CHANGES),
                "Resource": "*",
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": list(admins)}},
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def length(document: dict[str, Any]) -> int:
    """Count the characters of a document without white space."""
    return len(json_text.write(document))
