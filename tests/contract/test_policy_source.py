"""The policy file on S3: what is in force while there is none, a good one, a broken one, one that may not be read, a mended one."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.policy_store import BUNDLED, FRESH_FOR, S3PolicySource, bundled_policy
from ecr_governor.app.errors import Denied, PolicyChanged, Throttled
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.core.policy.model import Mode, Policy
from local.server import EmbeddedAws
from tests.fakes import ENFORCING, REGION, T0, a_policy

KEY = "policy.yaml"
GOOD = f"version: 1\n{ENFORCING}"
OTHER = GOOD.replace("IMMUTABLE", "MUTABLE")
BROKEN = GOOD.replace("mode:", "mod:")
_numbers = count()


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


class World:
    """A policy bucket, the ledger beside it, and one source as one warm function has it."""

    def __init__(self, aws: EmbeddedAws, table: str, ceiling: Mode = Mode.ENFORCE) -> None:
        self.admin = aws.client("s3")
        self.bucket = f"policy-{next(_numbers)}"
        self.admin.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.admin.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.table = table
        self.dynamodb = aws.client("dynamodb")
        self.ledger = DynamoDbLedger(self.dynamodb, table)
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=aws.endpoint,
            region_name=REGION,
            aws_access_key_id="AKIALOCALVISITOR0000",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.calls: list[str] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.client.meta.events.register("before-send.s3", self._intercept)
        self.problems: list[str] = []
        self.ceiling = ceiling
        self.source = self.another()

    def another(self, *, notes: bool = True) -> S3PolicySource:
        """The source of another function, or of the same one after a cold start."""
        return S3PolicySource(
            self.client, self.bucket, KEY, ceiling=self.ceiling, ledger=self.ledger, on_problem=self.problems.append, notes=notes
        )

    def _intercept(self, request: Any, event_name: str, **_: object) -> Any:
        operation = event_name.rpartition(".")[2]
        self.calls.append(operation)
        if operation not in self.refusals:
            return None
        status, code = self.refusals[operation]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        return AWSResponse(request.url, status, HTTPHeaders(), Raw(body))

    def upload(self, text: str | bytes) -> str:
        return str(self.admin.put_object(Bucket=self.bucket, Key=KEY, Body=text)["VersionId"])

    def at(self, seconds: float = 0) -> PolicyInForce:
        return self.source.current(T0 + timedelta(seconds=seconds))

    def noted(self) -> list[str]:
        items = self.dynamodb.scan(TableName=self.table)["Items"]
        return [item["kind"]["S"] for item in sorted(items, key=lambda item: item["sk"]["S"]) if "kind" in item]


@pytest.fixture
def world(aws: EmbeddedAws, ledger_table: str) -> World:
    return World(aws, ledger_table)


def good() -> Policy:
    return a_policy(ENFORCING)


def test_until_one_is_uploaded_the_bundled_policy_audits(world: World) -> None:
    in_force = world.at()
    assert in_force == PolicyInForce(bundled_policy(), BUNDLED)
    assert in_force.policy.mode is Mode.AUDIT
    assert world.problems == []
    assert world.noted() == []


def test_a_valid_file_is_in_force_and_noted_once(world: World) -> None:
    version = world.upload(GOOD)
    for _ in range(3):
        in_force = world.another().current(T0)
        assert in_force == PolicyInForce(good(), version)
    assert in_force.policy.mode is Mode.ENFORCE
    assert world.noted() == ["policy-accepted"]
    assert world.ledger.last_good_policy() == version


def test_who_may_not_write_into_the_ledger_goes_by_the_file_and_leaves_the_note_to_others(world: World) -> None:
    first = world.upload(GOOD)
    assert world.another(notes=False).current(T0) == PolicyInForce(good(), first)
    assert world.noted() == []
    world.another().current(T0)
    world.upload(BROKEN)
    in_force = world.another(notes=False).current(T0)
    assert (in_force.version, in_force.policy.mode) == (first, Mode.AUDIT)
    assert in_force.problem
    assert world.noted() == ["policy-accepted"]


def test_a_file_with_a_name_that_only_begins_alike_is_none(world: World) -> None:
    world.admin.put_object(Bucket=world.bucket, Key=f"{KEY}.bak", Body=GOOD)
    assert world.at().version == BUNDLED


@pytest.mark.parametrize("ceiling", [Mode.AUDIT, Mode.OFF])
def test_the_deployment_is_the_ceiling(aws: EmbeddedAws, ledger_table: str, ceiling: Mode) -> None:
    world = World(aws, ledger_table, ceiling)
    world.upload(GOOD)
    in_force = world.at()
    assert in_force.policy.mode is ceiling
    assert in_force.policy.hash == good().hash
    assert in_force.problem is None


@pytest.mark.parametrize("broken", [BROKEN, "", "version: 1\n\tmode: audit", b"\xff\xfe\x00", "- no\n- mapping\n"])
def test_a_broken_file_leaves_the_last_good_one_in_audit_and_is_noted_once(world: World, broken: str | bytes) -> None:
    version = world.upload(GOOD)
    world.at()
    world.upload(broken)
    for _ in range(3):
        in_force = world.another().current(T0)
        assert (in_force.version, in_force.policy.hash, in_force.policy.mode) == (version, good().hash, Mode.AUDIT)
        assert in_force.problem is not None
        assert in_force.problem.startswith(KEY)
    assert world.noted() == ["policy-accepted", "policy"]
    assert world.ledger.last_good_policy() == version


def test_a_first_file_that_is_broken_leaves_the_bundled_policy(world: World) -> None:
    world.upload(BROKEN)
    in_force = world.at()
    assert in_force.problem is not None
    assert "unknown key 'mod'" in in_force.problem
    assert in_force == PolicyInForce(bundled_policy(), BUNDLED, in_force.problem)


def test_each_answer_under_a_broken_file_reports_the_problem_also_from_memory(world: World) -> None:
    world.upload(BROKEN)
    for second in range(3):
        world.at(second)
    assert len(world.problems) == 3
    assert len(set(world.problems)) == 1
    assert world.calls.count("GetObject") == 1


def test_a_mended_file_is_in_force_again(world: World) -> None:
    world.upload(GOOD)
    world.at()
    world.upload(BROKEN)
    assert world.at(20).problem
    version = world.upload(OTHER)
    in_force = world.at(40)
    assert in_force == PolicyInForce(a_policy(ENFORCING.replace("IMMUTABLE", "MUTABLE")), version)
    assert world.noted() == ["policy-accepted", "policy", "policy-accepted"]


def test_the_old_file_uploaded_again_mends_a_broken_one(world: World) -> None:
    world.upload(GOOD)
    world.at()
    world.upload(BROKEN)
    assert world.at(20).problem
    world.upload(GOOD)
    assert world.at(40).policy.mode is Mode.ENFORCE
    assert world.at(40).problem is None


def test_a_file_that_may_not_be_read_is_a_problem_and_stops_every_remedy(world: World) -> None:
    version = world.upload(GOOD)
    world.at()
    world.upload(OTHER)
    # The version that is known is asked for by another operation's right; only the newest is refused here.
    read = world.client.get_object
    world.client.get_object = lambda **parameters: read(**parameters) if "VersionId" in parameters else refused()

    def refused() -> Any:
        world.refusals["GetObject"] = (403, "AccessDenied")
        try:
            return read(Bucket=world.bucket, Key=KEY)
        finally:
            world.refusals.clear()

    in_force = world.at(20)
    assert in_force.problem == "policy.yaml may not be read: AccessDenied"
    assert (in_force.version, in_force.policy.mode) == (version, Mode.AUDIT)
    assert world.noted() == ["policy-accepted", "policy"]


def test_a_bucket_that_may_not_be_listed_tells_nothing_and_nothing_is_judged(world: World) -> None:
    world.upload(GOOD)
    world.refusals["ListObjectsV2"] = (403, "AccessDenied")
    with pytest.raises(Denied):
        world.at()
    world.refusals.clear()
    assert world.at().problem is None


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_throttling_is_tried_again_later(world: World, operation: str) -> None:
    world.upload(GOOD)
    world.refusals[operation] = (400, "SlowDown")
    with pytest.raises(Throttled):
        world.at()
    world.refusals.clear()
    assert world.at().policy == good()
    assert world.noted() == ["policy-accepted"]


def test_a_deleted_file_stops_every_remedy_and_the_last_good_one_goes_on_judging(world: World) -> None:
    world.upload(GOOD)
    good = world.at()
    world.admin.delete_object(Bucket=world.bucket, Key=KEY)
    in_force = world.at(20)
    assert (in_force.policy.hash, in_force.policy.mode) == (good.policy.hash, Mode.AUDIT)
    assert in_force.problem == f"{KEY} is gone from the policy bucket"


def test_the_bucket_is_asked_again_only_when_the_answer_is_stale(world: World) -> None:
    first = world.upload(GOOD)
    assert world.at().version == first
    second = world.upload(OTHER)
    calls = len(world.calls)
    assert world.at(FRESH_FOR.total_seconds() - 0.001).version == first
    assert len(world.calls) == calls
    assert world.at(FRESH_FOR.total_seconds()).version == second


def test_a_file_that_did_not_change_is_not_read_again(world: World) -> None:
    world.upload(GOOD)
    for seconds in range(0, 100, 20):
        world.at(seconds)
    assert world.calls.count("GetObject") == 1
    assert world.calls.count("ListObjectsV2") == 5


def test_a_clock_that_was_set_back_does_not_keep_an_old_answer(world: World) -> None:
    world.upload(GOOD)
    world.at(1000)
    version = world.upload(OTHER)
    assert world.at(0).version == version


def test_a_last_good_version_that_is_not_there_any_more_leaves_the_bundled_policy(world: World) -> None:
    version = world.upload(GOOD)
    world.at()
    world.upload(BROKEN)
    world.admin.delete_object(Bucket=world.bucket, Key=KEY, VersionId=version)
    in_force = world.at(20)
    assert in_force.policy.hash == bundled_policy().hash
    assert in_force.problem


def test_a_last_good_version_that_is_good_no_longer_leaves_the_bundled_policy(world: World) -> None:
    once_good = world.upload(BROKEN)
    world.ledger.note_policy(once_good, None, T0)
    world.upload("not a policy")
    in_force = world.at()
    assert in_force.policy.hash == bundled_policy().hash
    assert in_force.problem


def test_a_version_that_was_pinned_is_read_as_it_was_whatever_came_after(world: World) -> None:
    first = world.upload(GOOD)
    world.upload(OTHER)
    assert world.source.pinned(first) == PolicyInForce(good(), first)
    world.admin.delete_object(Bucket=world.bucket, Key=KEY)
    assert world.another().pinned(first).policy == good()


def test_the_bundled_policy_can_be_pinned(world: World) -> None:
    world.upload(GOOD)
    assert world.source.pinned(BUNDLED) == PolicyInForce(bundled_policy(), BUNDLED)


def test_a_pinned_policy_goes_no_farther_than_the_deployment(aws: EmbeddedAws, ledger_table: str) -> None:
    world = World(aws, ledger_table, Mode.AUDIT)
    assert world.source.pinned(world.upload(GOOD)).policy.mode is Mode.AUDIT


def test_a_pinned_version_that_is_gone_or_was_never_valid_is_told(world: World) -> None:
    broken, version = world.upload(BROKEN), world.upload(GOOD)
    with pytest.raises(PolicyChanged, match="is not valid"):
        world.source.pinned(broken)
    world.admin.delete_object(Bucket=world.bucket, Key=KEY, VersionId=version)
    with pytest.raises(PolicyChanged, match="has no version"):
        world.source.pinned(version)
