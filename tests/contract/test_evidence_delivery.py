"""What `ecr-governor evidence collect --deliver` puts into a deployment's bucket is what the deployment reads there."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from cli.main import main
from ecr_governor.adapters.usage.files import FilesUsage
from ecr_governor.core.retirement.evidence import Evidence, Use
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, REGION
from tests.kubernetes_api import Fault, KubernetesApi, serving

_numbers = count()
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = "sha256:" + "0a" * 32
Deliver = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bucket(aws: EmbeddedAws) -> str:
    """The reports bucket of a stack that is called the same."""
    name = f"delivered-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("ssm").put_parameter(Name=f"/{name}/names", Type="String", Value=json.dumps({"reports_bucket": name}))
    return name


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with serving(KubernetesApi()) as serves:
        spec = {"containers": [{"image": f"{OURS}/payments/api:v1"}]}
        serves.add("pods", "one", {"spec": spec, "status": {"containerStatuses": [{"imageID": f"docker.io/library/nginx@{DIGEST}"}]}})
        yield serves


@pytest.fixture
def deliver(
    aws: EmbeddedAws, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Deliver:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")

    def deliver(stack: str, *arguments: str) -> tuple[int, str, str]:
        where = ("--kubeconfig", str(kubeconfig), "--deliver", "--endpoint-url", aws.endpoint, "--stack", stack)
        monkeypatch.setattr(sys, "argv", ["ecr-governor", "evidence", "collect", *where, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return deliver


def read(aws: EmbeddedAws, bucket: str) -> dict[str, Evidence]:
    found = FilesUsage(lambda: aws.client("s3"), bucket, ACCOUNT, REGION).evidence(datetime.now(UTC))
    return {each.source: each for each in found}


def test_what_is_delivered_is_evidence(aws: EmbeddedAws, bucket: str, deliver: Deliver) -> None:
    code, out, err = deliver(bucket, "--issuer", "eks-production", "--valid-hours", "6")
    assert (code, out) == (0, "")
    assert f"delivered: s3://{bucket}/evidence/eks-production.json\n" in err
    found = read(aws, bucket)
    assert found["files"].trouble == ""
    evidence = found["files:evidence/eks-production.json"]
    assert evidence.doubt(datetime.now(UTC)) == ""
    assert evidence.doubt(datetime.now(UTC) + timedelta(hours=6, seconds=1)) != ""
    assert set(evidence.uses) == {Use("eks-production", "payments/api", tag="v1"), Use("eks-production", digest=DIGEST)}


def test_the_next_file_takes_the_place_of_the_last_one_of_its_issuer(
    aws: EmbeddedAws, bucket: str, api: KubernetesApi, deliver: Deliver, tmp_path: Path
) -> None:
    deliver(bucket, "--issuer", "a")
    deliver(bucket, "--issuer", "b")
    api.add("pods", "two", {"spec": {"containers": [{"image": f"{OURS}/payments/web"}]}})
    copy = tmp_path / "copy.json"
    assert deliver(bucket, "--issuer", "a", "--out", str(copy))[0] == 0
    found = read(aws, bucket)
    assert {source: len(each.uses) for source, each in found.items()} == {
        "files": 0,
        "files:evidence/a.json": 3,
        "files:evidence/b.json": 2,
    }
    assert copy.read_bytes() == aws.client("s3").get_object(Bucket=bucket, Key="evidence/a.json")["Body"].read()


def test_half_a_list_is_not_delivered(aws: EmbeddedAws, bucket: str, api: KubernetesApi, deliver: Deliver) -> None:
    api.faults["jobs"] = Fault(403)
    assert deliver(bucket, "--issuer", "a")[0] == 3
    assert read(aws, bucket)["files"].trouble == "no file of evidence is there"


def test_a_deployment_that_is_not_there_is_told_before_the_cluster_is_asked(api: KubernetesApi, deliver: Deliver) -> None:
    code, _, err = deliver("nobody-deployed-it", "--issuer", "a")
    assert code == 2
    assert "error: there is no deployment nobody-deployed-it" in err
    assert api.asked == []


def test_a_bucket_that_refuses_is_told(aws: EmbeddedAws, bucket: str, deliver: Deliver) -> None:
    aws.client("s3").delete_bucket(Bucket=bucket)
    code, out, err = deliver(bucket, "--issuer", "a")
    assert (code, out) == (3, "")
    assert "error: AWS refused" in err
    assert "NoSuchBucket" in err
