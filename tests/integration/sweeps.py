"""How the tests of the deployed sweep begin one and see what it found."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cli.demo.stage import Stage
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.state_machine import Execution, StateMachine
from ecr_governor.core.standing import Standing, from_line
from tests.integration.conftest import POLICY

HOUR = timedelta(hours=1)
QUICK = POLICY.read_bytes() + b"limits: {calls_per_second: 1000}\n"
"""The demo's policy; the embedded AWS refuses nobody for his rate."""
AUDITING = QUICK.replace(b"mode: enforce", b"mode: audit")
"""The same, and nothing is put right: so nothing changes between two sweeps."""


def machine(stage: Stage) -> StateMachine:
    return StateMachine(stage.client("stepfunctions"), stage.names["sweep"])


def swept(stage: Stage, *, everything: bool = False) -> Execution:
    states = machine(stage)
    arn = states.start({"everything": everything})
    stage.settle()
    return states.execution(arn)


def summary(stage: Stage, execution: Execution) -> Mapping[str, Any]:
    assert execution.status == "SUCCEEDED", (execution.error, execution.cause)
    found = S3RunStore(stage.client("s3"), stage.names["reports_bucket"]).document(f"sweeps/{execution.output['run']}/summary")
    assert found is not None
    return found


def lines(stage: Stage, execution: Execution) -> dict[str, Standing]:
    runs = S3RunStore(stage.client("s3"), stage.names["reports_bucket"])
    return {stood.name: stood for stood in map(from_line, runs.lines(f"sweeps/{execution.output['run']}/repositories"))}


def populate(stage: Stage, count: int) -> list[str]:
    """Make repositories of which no event is handled: they were there before."""
    stage.aws.trail.losses.begin(1.0, 0)
    names = [f"payments/service-{number}" if number % 3 else f"payments/service_{number}" for number in range(count)]
    for name in names:
        stage.client("ecr").create_repository(repositoryName=name)
    stage.settle()
    stage.aws.trail.losses.begin(0.0, 0)
    return names


def without_times(stood: Mapping[str, Standing]) -> dict[str, dict[str, Any]]:
    """What a later sweep must find the same."""
    return {name: {**standing.data, "checked_at": None} for name, standing in stood.items()}
