"""A step of the deployed sweep whose process dies."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cli.demo.stage import Stage
from cli.embedded import running
from ecr_governor.core.standing import Standing
from tests.integration.sweeps import AUDITING, lines, populate, summary, swept, without_times

# A system deployed, and months of it: on a busy machine that takes longer than any other test may.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def auditing() -> Iterator[Stage]:
    """An account of its own, under a policy that puts nothing right."""
    with running(policy=AUDITING) as aws:
        yield Stage(aws)


def test_the_process_of_a_check_may_be_killed_at_any_call(auditing: Stage) -> None:
    """Before or after each call in turn: the sweep ends complete, with the same lines and the same ledger as an undisturbed one."""
    populate(auditing, 2)
    killing, name = auditing.aws.killing, auditing.aws.function_name("SweepCheckFunction")
    killing.reset()
    undisturbed = swept(auditing)
    assert summary(auditing, undisturbed)["complete"]
    count, expected = killing.calls()[name]["count"], lines(auditing, undisturbed)
    entries = recorded(auditing, expected)
    assert count > 15
    for call in range(1, count + 1):
        forget_everything(auditing)
        killing.arm(name, call, "before" if call % 2 else "after")
        execution = swept(auditing)
        assert killing.done[-1].call == call
        assert summary(auditing, execution)["complete"], killing.done[-1]
        assert without_times(lines(auditing, execution)) == without_times(expected), killing.done[-1]
        assert recorded(auditing, expected) == entries, killing.done[-1]


def forget_everything(stage: Stage) -> None:
    """Make the next sweep the first one: an empty ledger, no former sweeps."""
    dynamodb, s3 = stage.client("dynamodb"), stage.client("s3")
    for item in dynamodb.scan(TableName=stage.names["ledger"])["Items"]:
        dynamodb.delete_item(TableName=stage.names["ledger"], Key={"pk": item["pk"], "sk": item["sk"]})
    for found in s3.list_objects_v2(Bucket=stage.names["reports_bucket"]).get("Contents", ()):
        s3.delete_object(Bucket=stage.names["reports_bucket"], Key=found["Key"])


def recorded(stage: Stage, names: Mapping[str, Standing]) -> dict[str, Any]:
    """What the ledger says of each repository, but for times: its findings, and of which kinds its entries are."""
    return {
        name: (
            [(each.rule, each.state, each.reason) for each in stage.record(name).findings],
            [entry.kind for entry in stage.ledger.entries(name)],
        )
        for name in names
    }
