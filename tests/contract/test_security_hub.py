"""Findings in Security Hub: the memory that tests believe, and the service that it stands for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ecr_governor.adapters.security_hub import AT_ONCE, AwsSecurityHub
from ecr_governor.app.errors import Undeliverable
from ecr_governor.app.ports import SecurityHub
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.security_finding import security_finding
from ecr_governor.core.severity import Severity
from local.server import EmbeddedAws
from tests.fakes import T0, FakeSecurityHub

PRODUCT = FakeSecurityHub.product


def a_finding(name: str, **changes: Any) -> Finding:
    made = Finding(name, "naming", Severity.CRITICAL, FindingState.OPEN, Mode.AUDIT, "it is called wrongly", (), T0)
    return replace(made, **changes)


class Bench:
    def __init__(self, hub: SecurityHub, aws: EmbeddedAws | None) -> None:
        self.hub, self.aws = hub, aws

    def held(self) -> Mapping[str, Mapping[str, Any]]:
        if self.aws is None:
            assert isinstance(self.hub, FakeSecurityHub)
            return self.hub.findings
        pages = self.aws.client("securityhub").get_paginator("get_findings").paginate()
        return {each["Id"]: each for page in pages for each in page["Findings"]}


@pytest.fixture(params=["memory", "aws"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return Bench(FakeSecurityHub(), None)
    aws: EmbeddedAws = request.getfixturevalue("aws")
    aws.client("securityhub").enable_security_hub()
    return Bench(AwsSecurityHub(aws.client("securityhub"), PRODUCT), aws)


def test_a_finding_is_held_once_and_an_older_update_changes_nothing(bench: Bench) -> None:
    opened = security_finding(a_finding("payments/a"), PRODUCT, T0)
    ended = security_finding(a_finding("payments/a", state=FindingState.RESOLVED), PRODUCT, T0 + timedelta(hours=1))
    assert bench.hub.put([opened]) == {}
    assert bench.hub.put([ended]) == {}
    assert bench.hub.put([opened]) == {}
    held = [each for key, each in bench.held().items() if key == opened["Id"]]
    assert [each["RecordState"] for each in held] == ["ARCHIVED"]


def test_more_than_one_call_takes_go_there_all_the_same(bench: Bench) -> None:
    findings = [security_finding(a_finding(f"search/service-{number}"), PRODUCT, T0) for number in range(AT_ONCE + 1)]
    assert bench.hub.put(findings) == {}
    assert {each["Id"] for each in findings} <= set(bench.held())
    assert bench.hub.put([]) == {}


def test_what_people_do_with_a_finding_stays(aws: EmbeddedAws) -> None:
    aws.client("securityhub").enable_security_hub()
    hub = AwsSecurityHub(aws.client("securityhub"), PRODUCT)
    first = security_finding(a_finding("payments/people"), PRODUCT, T0)
    assert "Workflow" not in first
    hub.put([first])
    hub.put([security_finding(a_finding("payments/people"), PRODUCT, T0 + timedelta(days=1))])
    held = Bench(hub, aws).held()[first["Id"]]
    assert held["Workflow"] == {"Status": "NEW"}


def test_where_it_is_not_enabled_nothing_counts_as_taken(aws: EmbeddedAws) -> None:
    client = aws.client("securityhub")
    client.enable_security_hub()
    client.disable_security_hub()
    finding = security_finding(a_finding("payments/off"), PRODUCT, T0)
    assert AwsSecurityHub(client, PRODUCT).put([finding]) == {finding["Id"]: "InvalidAccess: Security Hub is not enabled"}


class _Hub:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def batch_import_findings(self, **_: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        {"FailedCount": 1, "SuccessCount": 1},
        {"FailedCount": 2, "SuccessCount": 0, "FailedFindings": [{"Id": "x", "ErrorCode": "c", "ErrorMessage": "m"}]},
        {"FailedCount": 1, "SuccessCount": 0, "FailedFindings": [{"Id": "another", "ErrorCode": "c", "ErrorMessage": "m"}]},
    ],
)
def test_a_failure_that_names_nobody_is_everybodys(answer: Any) -> None:
    refused = AwsSecurityHub(_Hub(answer), PRODUCT).put([{"Id": "x"}, {"Id": "y"}])  # type: ignore[arg-type]  # a stand-in
    assert refused.keys() == {"x", "y"}


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError({"Error": {"Code": "InvalidAccessException"}}, "BatchImportFindings"),
        EndpointConnectionError(endpoint_url="https://hub"),
    ],
)
def test_a_call_that_fails_is_undeliverable(trouble: Exception) -> None:
    with pytest.raises(Undeliverable, match=r"^securityhub:BatchImportFindings: "):
        AwsSecurityHub(_Hub(trouble), PRODUCT).put([{"Id": "x"}])  # type: ignore[arg-type]
