"""A registry with repositories of every kind, and policies to judge it by."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.fakes import LIFECYCLE
from tests.memory_ecr import Held, MemoryEcr, an_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, LATELY = NOW - 400 * DAY, NOW - 10 * DAY
PUBLIC = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Sid": "Pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
)
EVERYTHING = f"""
naming: {{convention: "{{team}}/{{service}}", segments: {{team: [payments, search]}}, ignore: ["docker-hub/*"]}}
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    tag_mutability: IMMUTABLE
    scan_frequency: SCAN_ON_PUSH
    required_tags: {{owner: "*"}}
    encryption: KMS
    unused: {{after: 90d}}
    auto_created: {{allowed: []}}
  search:
    image_tags: "v*"
  tmp:
    unused: null
"""
NOTHING = "rules: {repository-policy: off}"
POLICIES = {
    "everything": EVERYTHING,
    "everything, pulls counted": f"{EVERYTHING}\nlimits: {{pull_metrics: true}}",
    "nothing": NOTHING,
    "names only": f'naming: {{convention: "{{team}}/{{service}}"}}\n{NOTHING}',
    "use only": f"namespaces: {{ROOT: {{unused: {{after: 90d}}}}}}\n{NOTHING}",
    "use by pulls": f"namespaces: {{ROOT: {{unused: {{after: 90d}}}}}}\n{NOTHING}\nlimits: {{pull_metrics: true}}",
    "use in one namespace": f"namespaces: {{search: {{unused: {{after: 30d}}}}}}\n{NOTHING}",
    "image tags": 'namespaces: {ROOT: {image_tags: "v*", unused: {after: 90d}}}\nlimits: {pull_metrics: true}',
    "tags, exempt": """
namespaces: {ROOT: {required_tags: {owner: "*"}}}
exemptions: [{match: "payments/*", rules: "*", reason: because of a test, owner: us, expires: 2030-01-01}]""",
    "rules off, one of them not everywhere": EVERYTHING.replace("  search:\n", "  search:\n    rules: {scanning: audit}\n")
    + "\nrules: {unused: off, scanning: off, lifecycle-policy: off, image-tag: off}",
}


def a_registry(**options: Any) -> MemoryEcr:
    """Repositories of every kind: young and old, in order and not, used and not, in several namespaces."""
    idle = [an_image(1, OLD, OLD + DAY, ["v1"]), an_image(2, OLD, None, ["latest"])]
    used = [an_image(number, OLD, LATELY if number == 25 else None, [f"v{number}"]) for number in range(30)]
    fine = {
        "mutability": "IMMUTABLE",
        "encryption": "KMS",
        "scan_frequency": "CONTINUOUS_SCAN",
        "tags": {"owner": "alice"},
        "lifecycle_policy": json.dumps(LIFECYCLE),
    }
    kinds: Sequence[Mapping[str, Any]] = (
        {"created_at": OLD},
        {"created_at": LATELY, "images": idle[:1]},
        {"created_at": OLD, "images": idle, **fine},
        {"created_at": OLD, "images": used, **fine, "repository_policy": PUBLIC, "pulled_on": [LATELY]},
        {
            "created_at": OLD,
            "images": used,
            "tags": {"owner": ""},
            "mutability": "IMMUTABLE_WITH_EXCLUSION",
            "exclusion_filters": ["latest"],
        },
    )
    names = ("payments/api", "search/index", "tmp", "paymets/api", "docker-hub/library", "tmp/x")[: options.pop("kinds", 6)]
    ecr = MemoryEcr(*(Held(f"{name}-{number}", **kind) for name in names for number, kind in enumerate(kinds)), page=options.pop("page", 7))
    ecr.templates = [("payments", ["CREATE_ON_PUSH"]), ("ROOT", ["REPLICATION"])]
    ecr.caches = ["docker-hub", "ghcr"]
    return ecr
