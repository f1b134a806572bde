"""The deployed system: the built functions, the transformed template, the embedded AWS. One for each test process."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cli.demo.stage import Stage
from cli.embedded import running

POLICY = Path(__file__).parents[2] / "cli" / "demo" / "policy.yaml"
_numbers = count()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An account under the demo's policy, in enforce, with a template for `payments` and `search`."""
    with running(policy=POLICY.read_bytes()) as aws:
        stage = Stage(aws)
        for prefix in ("payments", "search"):
            stage.client("ecr").create_repository_creation_template(
                prefix=prefix, appliedFor=["CREATE_ON_PUSH"], imageTagMutability="MUTABLE"
            )
        yield stage


@pytest.fixture
def name() -> str:
    """A repository name that keeps the convention and that no other test has used."""
    return f"payments/service-{next(_numbers)}"


@pytest.fixture
def misnamed() -> str:
    """A repository name that breaks the convention and that no other test has used."""
    return f"payments/service_{next(_numbers)}"
