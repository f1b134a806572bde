"""A policy on a made-up trail of any size: what it takes to read the records and to play them.

`python -m benchmarks.backtest` measures; `--records N` and `--repositories N` ask for another size.
"""

import argparse
import gzip
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cli.backtest.command import Asked, backtest
from cli.policy import files

ACCOUNT, REGION = "123456789012", "eu-west-1"
BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAYS: Final = 180
IN_A_FILE: Final = 2_000
ELSEWHERE: Final = ("sts", "kms", "s3", "ec2", "logs", "iam")
FORMS: Final = ("files", "lines")
ECR_ONLY, ONE_IN_TEN = 1.0, 0.1
POLICY: Final = """
version: 1
mode: enforce
naming:
  convention: "{team}/{service}"
  segments: {team: [payments, search, platform, identity], service: {regex: "[a-z][a-z0-9-]{1,38}"}}
namespaces:
  ROOT:
    lifecycle_policy:
      rules:
        - rulePriority: 1
          selection: {tagStatus: untagged, countType: sinceImagePushed, countUnit: days, countNumber: 14}
          action: {type: expire}
    tag_mutability: IMMUTABLE
    image_tags: [{regex: "v[0-9]+"}]
    required_tags: {owner: {set: "{pusher}"}}
    auto_created: {allowed: [create_on_push], grace: 24h}
    retirement: {after_days: 60, grace_days: 7, quarantine_days: 3, archive_days: 10, then: delete}
retirement:
  window: {days: [mon, tue, wed, thu, fri, sat, sun]}
"""
_MIX: Final[tuple[tuple[str, int], ...]] = (
    ("BatchGetImage", 45),
    ("GetDownloadUrlForLayer", 25),
    ("UploadLayerPart", 10),
    ("PutImage", 10),
    ("DescribeRepositories", 9),
)


def records(count: int, repositories: int, of_ecr: float, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Make up records in the order of time: repositories are created on the first days, a third of them is used less and less."""
    chance = random.Random(seed)  # noqa: S311 - the same trail each time
    calls, weights = zip(*_MIX, strict=True)
    teams = ("payments", "search", "platform", "identity")
    for number in range(count):
        at = BEGIN + timedelta(days=DAYS) * (number / count)
        if chance.random() >= of_ecr:
            yield _record(number, at, chance.choice(ELSEWHERE), "DescribeThings", None, chance)
            continue
        which = number if number < repositories else chance.randrange(repositories)
        if which % 3 == 0 and number > count / 3:
            which = which // 3 * 3 + 1
        name = f"{teams[which % 4]}/{'service' if which % 9 else 'service_x'}-{which}"
        call = "CreateRepository" if number < repositories else chance.choices(calls, weights)[0]
        yield _record(number, at, "ecr", call, name, chance)


def _record(number: int, at: datetime, service: str, call: str, name: str | None, chance: random.Random) -> dict[str, Any]:
    role = f"ci-{chance.randrange(200)}"
    identity = {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{role}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/build-{number % 50}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
                "accountId": ACCOUNT,
                "userName": role,
            },
            "attributes": {"creationDate": f"{at:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"},
        },
    }
    digest = f"sha256:{chance.getrandbits(256):064x}"
    tag = f"v{number}"
    request: dict[str, Any] = {"registryId": ACCOUNT, "repositoryName": name} if name else {"thing": f"thing-{number % 1000}"}
    answer: dict[str, Any] | None = None
    if call == "PutImage":
        manifest = json.dumps({"schemaVersion": 2, "layers": [{"digest": digest, "size": 1234567}] * 8})
        request |= {"imageTag": tag, "imageManifest": manifest}
        answer = {"image": {"repositoryName": name, "registryId": ACCOUNT, "imageId": {"imageDigest": digest, "imageTag": tag}}}
    elif call == "CreateRepository":
        answer = {
            "repository": {"repositoryName": name, "imageTagMutability": "MUTABLE", "encryptionConfiguration": {"encryptionType": "AES256"}}
        }
    elif call == "BatchGetImage":
        request |= {"imageIds": [{"imageTag": tag}], "acceptedMediaTypes": ["application/vnd.oci.image.index.v1+json"] * 4}
    found: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": call,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.12",
        "userAgent": "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux md/arch#x86_64 lang/python#3 cfg/retry-mode#standard",
        "requestParameters": request,
        "responseElements": answer,
        "requestID": f"{chance.getrandbits(128):032x}",
        "eventID": f"{chance.getrandbits(128):032x}",
        "readOnly": call not in {"PutImage", "CreateRepository", "UploadLayerPart"},
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    if name:
        found["resources"] = [{"accountId": ACCOUNT, "ARN": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"}]
    return found


def write(folder: Path, form: str, count: int, repositories: int, of_ecr: float) -> int:
    """Write a trail as a trail delivers it, or as JSON lines; give the bytes of its JSON."""
    length = 0
    if form == "lines":
        with (folder / "trail.jsonl").open("wb") as file:
            for record in records(count, repositories, of_ecr):
                length += file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        return length
    batch: list[dict[str, Any]] = []
    for record in records(count, repositories, of_ecr):
        batch.append(record)
        if len(batch) == IN_A_FILE:
            length += _write_file(folder, batch)
            batch = []
    return length + (_write_file(folder, batch) if batch else 0)


def _write_file(folder: Path, batch: list[dict[str, Any]]) -> int:
    at = datetime.fromisoformat(batch[-1]["eventTime"])
    path = (
        folder
        / f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{at:%Y/%m/%d}/{ACCOUNT}_CloudTrail_{REGION}_{at:%Y%m%dT%H%MZ}_{batch[0]['eventID'][:16]}.json.gz"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"Records": batch}, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, 1))
    return len(text)


def measure(folder: Path) -> dict[str, Any]:
    """Play a trail once, in a process that has not done so before; give seconds and the peak of memory in MB."""
    policy_path = folder / "policy.yaml"
    policy_path.write_text(POLICY)
    policy = files.read(policy_path)
    begun, busy = time.perf_counter(), time.process_time()
    result = backtest(Asked(policy_path, folder, quiet=True), policy)
    took, cpu = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    findings = sum(found.opened for found in result.rules.values())
    return {
        "records": result.records,
        "repositories": result.repositories,
        "findings": findings,
        "retired": len(result.retired),
        "seconds": took,
        "cpu": cpu,
        "peak_mb": peak,
    }


def main() -> None:
    """Measure each form in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--repositories", type=int, default=5_000)
    parser.add_argument("--play", type=Path, help="measure only this folder, in this very process, and print JSON")
    wish = parser.parse_args()
    if wish.play:
        sys.stdout.write(json.dumps(measure(wish.play)) + "\n")
        return
    sys.stdout.write("| records | of ECR | form | JSON, MB | repositories | findings | retired | time, s | CPU, s | peak, MB |\n")
    sys.stdout.write("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    for form in FORMS:
        for of_ecr in (ECR_ONLY, ONE_IN_TEN):
            with tempfile.TemporaryDirectory() as folder:
                length = write(
                    Path(folder), form, wish.records, wish.repositories if of_ecr == ECR_ONLY else wish.repositories // 10, of_ecr
                )
                found = _in_a_process(Path(folder))
            counts = f"{found['repositories']:,} | {found['findings']:,} | {found['retired']:,}"
            numbers = f"{found['seconds']:.0f} | {found['cpu']:.0f} | {found['peak_mb']:.0f}"
            sys.stdout.write(f"| {found['records']:,} | {of_ecr:.0%} | {form} | {length // 1_000_000:,} | {counts} | {numbers} |\n")
            sys.stdout.flush()


def _in_a_process(folder: Path) -> dict[str, Any]:
    import subprocess  # noqa: PLC0415 - only here

    command = [sys.executable, "-m", "benchmarks.backtest", "--play", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this very module
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
