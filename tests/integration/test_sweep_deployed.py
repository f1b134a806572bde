"""The deployed sweep: the built functions, the transformed state machine, the embedded AWS."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from cli.demo.stage import Stage
from cli.embedded import running
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.state_machine import Execution, StateMachine
from ecr_governor.core.standing import Standing, from_line
from tests.integration.conftest import POLICY

HOUR = timedelta(hours=1)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An account of its own for each test: a sweep sees everything that is in it."""
    with running(policy=POLICY.read_bytes()) as aws:
        yield Stage(aws)


@pytest.fixture
def auditing() -> Iterator[Stage]:
    """The same under a policy that puts nothing right, so that nothing changes between two sweeps."""
    with running(policy=POLICY.read_bytes().replace(b"mode: enforce", b"mode: audit")) as aws:
        yield Stage(aws)


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


def test_a_first_sweep_finds_everything_and_changes_nothing(stage: Stage) -> None:
    names = populate(stage, 8)
    execution = swept(stage)
    told = summary(stage, execution)
    assert told["complete"], told["incomplete_because"]
    assert told["first"]
    assert told["repositories"] == 8
    assert told["by_rule"]["naming"] == 3
    assert set(lines(stage, execution)) == set(names)
    assert stage.our_writes() == []
    assert set(stage.open_findings("payments/service_0")) >= {"naming", "lifecycle-policy"}
    # Who created them is known from CloudTrail's history, though no event arrived.
    assert lines(stage, execution)["payments/service_0"].origin == "api"
    assert json.dumps(stage.messages()).count("First sweep") == 2
    assert len(stage.messages()) == 1


def test_with_a_third_of_all_events_lost_a_sweep_finds_every_violation_and_says_how_many_were_lost(stage: Stage) -> None:
    """Each repository is changed once, and each change breaks a convention that nobody puts right by himself."""
    ecr, account = stage.client("ecr"), "arn:aws:ecr:eu-west-1:123456789012:repository"
    kept = [f"payments/service-{number}" for number in range(40)]
    for name in kept:
        ecr.create_repository(repositoryName=name, tags=[{"Key": "owner", "Value": "alice"}])
    stage.settle()
    assert summary(stage, swept(stage))["complete"]

    stage.aws.trail.losses.begin(0.3, 7)
    stranger = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    for number, name in enumerate(kept):
        if number % 2:
            ecr.tag_resource(resourceArn=f"{account}/{name}", tags=[{"Key": "team", "Value": "nobody"}])
        else:
            present = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
            ecr.set_repository_policy(
                repositoryName=name, policyText=json.dumps({**present, "Statement": [*present["Statement"], stranger]})
            )
    for number in range(20):
        ecr.create_repository(repositoryName=f"payments/service_{number}", tags=[{"Key": "owner", "Value": "bob"}])
    stage.settle()
    lost = stage.aws.trail.losses.told()["lost"]
    stage.aws.trail.losses.begin(0.0)
    assert 10 <= lost <= 26
    stage.aws.advance(HOUR)

    told = summary(stage, swept(stage, everything=True))
    assert told["complete"]
    assert (told["event_loss"]["unannounced"], told["event_loss"]["announced"]) == (lost, 60 - lost)
    assert told["event_loss"]["rate"] == pytest.approx(lost / 60, abs=1e-4)
    stage.settle()
    for number, name in enumerate(kept):
        assert set(stage.open_findings(name)) == ({"required-tags"} if number % 2 else {"repository-policy"})
    for number in range(20):
        assert set(stage.open_findings(f"payments/service_{number}")) == {"naming"}
    again = summary(stage, swept(stage, everything=True))
    assert (again["event_loss"]["unannounced"], again["opened"], again["to_be_put_right"]) == (0, {}, [])


def test_the_process_of_a_check_may_be_killed_at_any_call(auditing: Stage) -> None:
    """Before and after each call in turn: the sweep ends complete, with the same lines and the same ledger as an undisturbed one."""
    populate(auditing, 4)
    aws = auditing.aws
    name = aws.function_name("SweepCheckFunction")
    aws.killing.reset()
    undisturbed = swept(auditing, everything=True)
    expected, count = lines(auditing, undisturbed), aws.killing.calls()[name]["count"]
    entries = {name: list(auditing.ledger.entries(name)) for name in expected}
    assert summary(auditing, undisturbed)["complete"]
    assert count > 12
    for call in range(1, count + 1):
        aws.killing.arm(name, call, "before" if call % 2 else "after")
        execution = swept(auditing, everything=True)
        assert aws.killing.done[-1].call == call
        told = summary(auditing, execution)
        assert told["complete"], call
        assert told["checked"] == len(expected)
        assert without_times(lines(auditing, execution)) == without_times(expected), call
    assert {name: list(auditing.ledger.entries(name)) for name in expected} == entries


def without_times(stood: Mapping[str, Standing]) -> dict[str, dict[str, Any]]:
    """What a later sweep must find the same."""
    return {name: {**standing.data, "checked_at": None} for name, standing in stood.items()}


def test_the_schedule_begins_it_every_night_and_a_quiet_night_is_no_news(stage: Stage) -> None:
    populate(stage, 3)
    stage.aws.advance(timedelta(days=2))
    ended = stage.ledger.last_sweep()
    assert ended is not None
    assert ended.complete
    entries = list(stage.ledger.entries("@sweep"))
    assert len(entries) == 2
    # The first one reports, the second one has put right what the first one may not.
    assert [entry.body["first"] for entry in entries] == [True, False]
    assert entries[1].body["to_be_put_right"]
    posted = len(stage.messages())
    stage.aws.advance(timedelta(days=2))
    assert len(list(stage.ledger.entries("@sweep"))) == 4
    assert [message for message in stage.messages()[posted:] if "weep" in json.dumps(message)] == []


def test_a_second_sweep_is_refused_in_words_and_the_first_goes_on(stage: Stage) -> None:
    populate(stage, 2)
    now = stage.aws.clock.now()
    lease = stage.ledger.take_lease("somebody-else", "their-run", now, now + HOUR)
    refused = swept(stage)
    assert (refused.status, refused.error) == ("FAILED", "SweepRunning")
    assert "their-run" in refused.cause
    assert "wait for it" in refused.cause
    stage.ledger.give_back(lease)
    assert summary(stage, swept(stage))["complete"]


@pytest.mark.parametrize("operation", ["GetLifecyclePolicy", "GetRepositoryPolicy", "DescribeImages", "GetResources", "LookupEvents"])
def test_a_denied_operation_makes_the_sweep_incomplete_and_opens_nothing(auditing: Stage, operation: str) -> None:
    from local.ecr import faults  # noqa: PLC0415 - the trouble of one test

    populate(auditing, 2)
    first = summary(auditing, swept(auditing))
    assert first["complete"]
    findings = {record.name: record.findings for record in auditing.ledger.all_records()}
    faults.add(operation, "AccessDeniedException", times=None)
    execution = swept(auditing, everything=True)
    faults.clear()
    told = summary(auditing, execution)
    assert not told["complete"]
    assert "AccessDenied" in json.dumps(told["incomplete_because"])
    assert told["repositories"] == 2
    assert told["opened"] == told["resolved"] == {}
    assert {record.name: record.findings for record in auditing.ledger.all_records()} == findings
    assert "incomplete" in json.dumps(auditing.messages()[-1])


def test_a_list_that_is_refused_fails_the_sweep_and_gives_the_lease_back(auditing: Stage) -> None:
    from local.ecr import faults  # noqa: PLC0415 - the trouble of one test

    populate(auditing, 2)
    before = summary(auditing, swept(auditing))
    faults.add("DescribeRepositories", "AccessDeniedException", times=None)
    failed = swept(auditing)
    faults.clear()
    assert (failed.status, failed.error) == ("FAILED", "Denied")
    assert "ecr:DescribeRepositories" in failed.cause
    after = summary(auditing, swept(auditing))
    assert after["complete"]
    assert after["repositories"] == before["repositories"]
    assert after["compared_with"] == before["run"]


def test_throttling_slows_a_sweep_down_and_changes_nothing_of_what_it_finds(auditing: Stage) -> None:
    from local.ecr import faults  # noqa: PLC0415 - the trouble of one test

    populate(auditing, 6)
    expected = lines(auditing, swept(auditing, everything=True))
    for operation in ("GetLifecyclePolicy", "DescribeImages", "GetResources", "DescribeRepositories"):
        faults.add(operation, "ThrottlingException", times=2)
    execution = swept(auditing, everything=True)
    faults.clear()
    assert summary(auditing, execution)["complete"]
    assert without_times(lines(auditing, execution)) == without_times(expected)
