"""The nine rules that every program judges, and their parameters. No imports: the programs that are measured load it, too."""

ACCOUNT = "123456789012"
REGION = "eu-west-1"

NAME = "name"
LIFECYCLE_MISSING = "lifecycle-missing"
POLICY_MISSING = "policy-missing"
POLICY_PUBLIC = "policy-public"
POLICY_UNTRUSTED = "policy-untrusted"
SCAN_OFF = "scan-off"
MUTABLE = "mutable"
TAGS_MISSING = "tags-missing"
UNUSED = "unused"

RULES = (NAME, LIFECYCLE_MISSING, POLICY_MISSING, POLICY_PUBLIC, POLICY_UNTRUSTED, SCAN_OFF, MUTABLE, TAGS_MISSING, UNUSED)
"""In the order of the tables.

`policy-untrusted`: something is allowed to an account that is neither the registry's own nor trusted, or to everybody.
`policy-public`: something is allowed to everybody. `unused`: nothing was created, pushed or pulled for UNUSED_DAYS.
The others say it in their name.
"""

CACHE_PREFIXES = ("docker-hub", "ecr-public", "quay", "ghcr")
NAME_PATTERN = rf"^(?:(?:{'|'.join(CACHE_PREFIXES)})/.+|[a-z][a-z0-9]{{1,19}}/[a-z0-9]+(?:-[a-z0-9]+)*)$"
"""`team/service` in lower case with single hyphens, or anything under the prefix of a pull through cache."""
TRUSTED_ACCOUNTS = ("111111111111", "222222222222")
REQUIRED_TAGS = ("Owner", "CostCenter")
UNUSED_DAYS = 90

CHANGED_EVERY = 50
"""For an incremental check every repository whose place in the listing is a multiple of this was announced as changed: 2 %."""
