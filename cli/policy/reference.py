"""`ecr-governor policy schema`: the policy file's keys, for editors."""

import json
import sys

from ecr_governor.core.policy.schema import policy_schema


def print_schema() -> None:
    """Print the JSON Schema."""
    sys.stdout.write(json.dumps(policy_schema(), indent=2, sort_keys=True) + "\n")
