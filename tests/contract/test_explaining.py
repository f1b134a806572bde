"""`ecr-governor explain` as it asks ECR, a ledger and a policy bucket: what it reads, what it refuses, how it ends."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.access import session_of
from cli.explanation.gathering import READS, reading_client
from ecr_governor.adapters.ecr_names import EcrNames
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.app.errors import Denied
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push
from ecr_governor.core.record import RepositoryRecord
from local import ecr
from local.ecr import SeedImage, SeedRepository
from local.server import EmbeddedAws
from tests.commands import Ended, run
from tests.fakes import LIFECYCLE

NOW = datetime.now(UTC)
OLD, LATELY = NOW - timedelta(days=400), NOW - timedelta(days=5)
POLICY = f"""version: 1
naming: {{convention: "{{team}}/{{service}}", segments: {{team: [payments], service: {{regex: "[a-z-]+"}}}}}}
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    image_tags: "v*"
    scan_frequency: MANUAL
    retirement: {{then: archive}}
retirement: {{window: {{days: [mon, tue, wed, thu, fri, sat, sun]}}}}
"""
Explain = Callable[..., Ended]


@pytest.fixture
def registry(aws: EmbeddedAws, no_trouble_left: None) -> Iterator[EmbeddedAws]:
    ecr.backend_of().repositories.clear()
    ecr.seed(
        [
            SeedRepository(
                name="payments/api",
                created_at=OLD,
                lifecycle_policy=json.dumps(LIFECYCLE),
                tags={"owner": "alice"},
                images=[SeedImage(tags=["v1"], pushed_at=OLD, pulled_at=LATELY, size=1000)],
            ),
            SeedRepository(name="payments/check_out", created_at=OLD, images=[SeedImage(tags=["latest"], pushed_at=OLD)]),
        ]
    )
    yield aws
    ecr.backend_of().repositories.clear()
    ecr.backend_of().templates.clear()


@pytest.fixture
def explain(registry: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explain:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", registry.endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return lambda *arguments: run(capsys, monkeypatch, "explain", *arguments)


def rules(ended: Ended) -> dict[str, dict[str, Any]]:
    return {rule["rule"]: rule for rule in json.loads(ended.out)["rules"]}


def test_a_repository_in_order(explain: Explain) -> None:
    ended = explain("payments/api", "--policy", "policy.yaml", "--output", "json")

    data = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert (data["exists"], data["owner"], data["account"], data["region"]) == (True, "alice", "123456789012", "eu-west-1")
    assert {rule["verdict"] for rule in data["rules"]} == {"compliant", "not asked"}
    assert rules(ended)["unused"]["seen"][0]["value"].endswith("; 1 image")
    assert rules(ended)["image-tag"]["seen"][0]["value"] == "1 image, 1 tag: v1"
    assert [step["to"] for step in data["retirement"]["to_come"]] == ["marked", "quarantined", "archived"]
    assert data["retirement"]["to_come"][0]["not_before"][:10] == f"{LATELY + timedelta(days=91):%Y-%m-%d}"


def test_one_that_is_not(explain: Explain) -> None:
    # The policy file of the folder counts where none is named.
    ended = explain("payments/check_out")

    assert (ended.code, ended.err) == (1, "policy: policy.yaml\n")
    assert "violation · naming · medium · mode audit (default)\n" in ended.out
    assert "  if       compliant if renamed payments/check-out;" in ended.out
    assert "retirement · observed · as misnamed · at the earliest marked on" in ended.out


def test_a_name_that_there_is_none_of_yet(explain: Explain, registry: EmbeddedAws) -> None:
    assert explain("payments/new", "--policy", "policy.yaml").code == 1
    registry.client("ecr").create_repository_creation_template(
        prefix="payments", appliedFor=["CREATE_ON_PUSH"], lifecyclePolicy=json.dumps(LIFECYCLE)
    )

    ended = explain("payments/apis", "--policy", "policy.yaml", "--output", "json")

    data = json.loads(ended.out)
    assert ended.code == 0
    assert data["push"] == {"creates": True, "template": "payments", "refused": "", "unsure": ""}
    assert data["looks_like"] == [{"repository": "payments/api", "letters": 1}]
    assert (rules(ended)["lifecycle-policy"]["verdict"], rules(ended)["image-tag"]["verdict"]) == ("compliant", "undetermined")


def test_a_stack_tells_its_policy_and_what_its_ledger_knows(explain: Explain, registry: EmbeddedAws, ledger_table: str) -> None:
    names = {"ledger": ledger_table, "policy_bucket": f"policies-{ledger_table}", "policy_key": "policy.yaml"}
    registry.client("ssm").put_parameter(Name="/mine/names", Value=json.dumps(names), Type="String", Overwrite=True)
    registry.client("s3").create_bucket(Bucket=names["policy_bucket"], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ci = Actor("arn:aws:sts::123456789012:assumed-role/ci/build-1", "123456789012", "AssumedRole")
    provenance = Provenance(Origin.CREATE_ON_PUSH, (), Creation("c", OLD, ci), Push("p", OLD, ci, "v1"))
    ledger = DynamoDbLedger(registry.client("dynamodb"), ledger_table)
    created_at = registry.client("ecr").describe_repositories(repositoryNames=["payments/api"])["repositories"][0]["createdAt"]
    ledger.write(RepositoryRecord("payments/api", created_at=created_at, provenance=provenance, owner="bob", watched_since=LATELY))

    bundled = json.loads(explain("payments/api", "--stack", "mine", "--output", "json").out)
    registry.client("s3").put_object(Bucket=names["policy_bucket"], Key="policy.yaml", Body=POLICY.encode())
    uploaded = json.loads(explain("payments/api", "--stack", "mine", "--output", "json").out)

    assert bundled["policy"]["file"] == "default_policy.yaml"
    assert uploaded["policy"]["file"] == f"s3://{names['policy_bucket']}/policy.yaml"
    # The whole address is told once.
    assert "policy.yaml:2" in {each["source"] for each in uploaded["settings"]}
    assert uploaded["ledger"]["pusher"]["name"] == "ci/build-1"
    # Watched for five days alone: the tag's owner counts, and the days are those of the ledger.
    assert uploaded["owner"] == "alice"
    assert uploaded["retirement"]["to_come"][0]["not_before"][:10] >= f"{LATELY + timedelta(days=90):%Y-%m-%d}"
    assert len(uploaded["retirement"]["taken_for_granted"]) == 2


def test_what_may_not_be_read_makes_it_incomplete(explain: Explain) -> None:
    ecr.faults.add("GetLifecyclePolicy", "AccessDeniedException", times=None)

    ended = explain("payments/api", "--policy", "policy.yaml")

    assert ended.code == 3
    assert "could not be read: ecr:GetLifecyclePolicy: AccessDeniedException" in ended.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["Payments/API"], 2, "'Payments/API' is no repository name"),
        (["payments/api", "--policy", "none.yaml"], 2, "none.yaml cannot be read"),
        (["payments/api", "--region", "nowhere/"], 2, "nowhere/ is no AWS Region"),
        (["payments/api", "--output", "xml"], 2, "there is no output xml"),
        (["payments/api", "--profile", "nobody"], 4, "there is no such profile"),
        (["payments/api", "--stack", "none"], 2, "there is no deployment none"),
        (["payments/api", "--endpoint-url", "http://127.0.0.1:9"], 3, "AWS cannot be reached"),
    ],
)
def test_a_mistake_is_told_in_three_lines(explain: Explain, arguments: list[str], code: int, told: str) -> None:
    ended = explain(*arguments)

    assert (ended.code, ended.out) == (code, "")
    lines = ended.err.splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "why", "do"]
    assert lines[0] == f"error: {told}"


def test_nothing_but_reads_is_sent(registry: EmbeddedAws) -> None:
    session = session_of(None, registry.endpoint)
    client = reading_client(session, "eu-west-1", registry.endpoint)

    with pytest.raises(PermissionError, match="DeleteRepository is not among its reads"):
        client.delete_repository(repositoryName="payments/api")
    assert all(name.startswith(("Describe", "Get", "List", "BatchGetRepositoryScanning")) for name in READS)


def test_names_that_may_not_be_listed_are_denied(registry: EmbeddedAws) -> None:
    names = EcrNames(lambda: registry.client("ecr"))
    assert names.names() == ("payments/api", "payments/check_out")
    ecr.faults.add("DescribeRepositories", "AccessDeniedException", times=None)

    with pytest.raises(Denied, match="ecr:DescribeRepositories"):
        names.names()
