"""Policy files, from disk."""

import json
import sys
from pathlib import Path

from cli.trouble import Trouble
from ecr_governor.core.policy.load import PolicyInvalid, load_bytes
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.schema import policy_schema


def read(path: Path) -> Policy:
    """Read and check a policy file. Raises Trouble that lists every problem with its line."""
    try:
        return load_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise Trouble(f"{path} cannot be read", error.strerror or str(error), "give the path of a policy file") from error
    except PolicyInvalid as invalid:
        raise Trouble(
            f"{path} is no valid policy file", f"\n{invalid}", "mend these lines; docs/policy.md says what each section takes"
        ) from invalid


def print_schema() -> None:
    """Print the JSON Schema."""
    sys.stdout.write(json.dumps(policy_schema(), indent=2, sort_keys=True) + "\n")
