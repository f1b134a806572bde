"""What the story is told with: people with their own credentials, a registry client, and eyes on what came out."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from cli.embedded import ACCOUNT, REGION, STACK
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.state import Stage as Retired
from local.registry.client import Client, RegistryRefused, pull_image, push_image
from local.server import EmbeddedAws


class Refused(Exception):
    """The registry refused a push, in its own words."""


class Stage:
    """One embedded AWS and those who act on it."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.skopeo = shutil.which("skopeo")

    def client(self, service: str, who: str = "operator") -> Any:
        """Make a client with somebody's own credentials. `ci-…/session` is a role's session, anybody else an IAM user."""
        keys: dict[str, str] = {"aws_access_key_id": who, "aws_secret_access_key": "any"}
        if "/" in who:
            role, session = who.split("/")
            answer = self.client("sts").assume_role(RoleArn=self._role(role), RoleSessionName=session)["Credentials"]
            keys = {
                "aws_access_key_id": answer["AccessKeyId"],
                "aws_secret_access_key": answer["SecretAccessKey"],
                "aws_session_token": answer["SessionToken"],
            }
        once = Config(retries={"total_max_attempts": 1})
        make: Any = boto3.client
        return make(service, endpoint_url=self.aws.endpoint, region_name=REGION, config=once, **keys)

    def _role(self, name: str) -> str:
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
        try:
            return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
        except iam.exceptions.EntityAlreadyExistsException:
            return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def push(self, image: str, who: str, content: str = "") -> None:
        """Push a small image as somebody. Raises Refused with the registry's words."""
        repository, _, tag = image.partition(":")
        token = self.client("ecr", who).get_authorization_token()["authorizationData"][0]["authorizationToken"]
        layer = (content or image).encode()
        if self.skopeo:
            self._push_by_skopeo(repository, tag, token, layer)
            return
        try:
            push_image(self.aws.registry_address, token, repository, tag, layers=[layer])
        except RegistryRefused as refused:
            raise Refused(str(refused)) from refused

    def pull(self, image: str, who: str) -> None:
        """Pull an image as somebody. Raises Refused with the registry's words."""
        repository, _, tag = image.partition(":")
        token = self.client("ecr", who).get_authorization_token()["authorizationData"][0]["authorizationToken"]
        if self.skopeo:
            with tempfile.TemporaryDirectory() as folder:
                source = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--src-creds", base64.b64decode(token).decode()]
                self._skopeo([*source, f"docker://{self.aws.registry_address}/{repository}:{tag}", f"oci:{folder}:image"])
            return
        try:
            pull_image(self.aws.registry_address, token, repository, tag)
        except RegistryRefused as refused:
            raise Refused(str(refused)) from refused

    def begin_push(self, repository: str, who: str) -> None:
        """Open an upload as a registry client does and never finish it: with create on push the repository stays blank."""
        token = self.client("ecr", who).get_authorization_token()["authorizationData"][0]["authorizationToken"]
        with Client(self.aws.registry_address, token) as client:
            client.send("POST", f"/v2/{repository}/blobs/uploads/", b"")

    def _push_by_skopeo(self, repository: str, tag: str, token: str, layer: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _write_layout(Path(folder), layer)
            source = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--dest-creds", base64.b64decode(token).decode()]
            target = [f"oci:{folder}:image", f"docker://{self.aws.registry_address}/{repository}:{tag}"]
            self._skopeo([*source, *target])

    def _skopeo(self, arguments: list[str]) -> None:
        done = subprocess.run([str(self.skopeo), *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - skopeo
        if done.returncode:
            raise Refused(done.stderr.strip().rpartition('msg="')[2].rstrip('"'))

    def settle(self) -> Mapping[str, Any]:
        """Wait until everything is idle."""
        counts = self.aws.settle(60)
        if not counts["idle"]:
            raise TimeoutError("the system does not come to rest")
        return counts

    def night(self, days: int) -> None:
        """Let so many days pass in which nothing at all happens, up to the night after them, and then that night."""
        later = self.aws.clock.now() + timedelta(days=days)
        self.aws.clock.move_to(later.replace(hour=1, minute=55))
        self.aws.advance(timedelta(minutes=20))
        self.settle()

    def night_without_slack(self, days: int, done: Callable[[], bool]) -> None:
        """The same, and Slack cannot be reached from then on for 22 hours, an hour less than what waits for it is kept; the night's work must be done."""
        self.aws.slack.behave("down")
        later = self.aws.clock.now() + timedelta(days=days)
        self.aws.clock.move_to(later.replace(hour=1, minute=55))
        # Who has something to say tries again and again, so that nothing comes to rest.
        self.aws.advance(timedelta(minutes=20), timeout=3)
        end = time.monotonic() + 60
        while not done():
            if time.monotonic() > end:
                raise TimeoutError("the night's work is not done")
            time.sleep(0.2)
        self.aws.clock.move_to(self.aws.clock.now() + timedelta(hours=22))
        self.aws.slack.behave("ok")
        # A process that was refused often leaves Slack alone for a minute; after a day Lambda has others.
        self.aws.lambdas.recycle()
        self.settle()

    @cached_property
    def names(self) -> dict[str, str]:
        """Where the deployment keeps things."""
        return dict(json.loads(self.client("ssm").get_parameter(Name=f"/{STACK}/names")["Parameter"]["Value"]))

    @cached_property
    def ledger(self) -> DynamoDbLedger:
        """The deployment's ledger."""
        return DynamoDbLedger(self.client("dynamodb"), self.names["ledger"])

    @cached_property
    def sweep_book(self) -> DynamoDbSweepBook:
        """Where the deployment notes its sweeps."""
        return DynamoDbSweepBook(self.client("dynamodb"), self.names["ledger"])

    def record(self, repository: str) -> RepositoryRecord:
        """What the ledger knows of a repository."""
        record = self.ledger.read(repository)
        if record is None:
            raise LookupError(f"the ledger does not know {repository}")
        return record

    def retired(self, repository: str) -> Retired:
        """How far a repository's retirement is."""
        retirement = self.record(repository).retirement
        return retirement.stage if retirement else Retired.OBSERVED

    def report(self) -> bytes:
        """The latest report, as it lies in the bucket."""
        return bytes(self.client("s3").get_object(Bucket=self.names["reports_bucket"], Key="reports/latest.html")["Body"].read())

    @staticmethod
    def arn(repository: str) -> str:
        """A repository's ARN."""
        return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"

    def tags(self, repository: str) -> dict[str, str]:
        """A repository's tags."""
        found = self.client("ecr").list_tags_for_resource(resourceArn=self.arn(repository))["tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def policy(self, repository: str) -> str | None:
        """A repository's policy; None if it has none."""
        ecr = self.client("ecr")
        try:
            return str(ecr.get_repository_policy(repositoryName=repository)["policyText"])
        except ecr.exceptions.RepositoryPolicyNotFoundException:
            return None

    def images(self, repository: str) -> list[dict[str, Any]]:
        """A repository's images, of any status."""
        return list(self.client("ecr").describe_images(repositoryName=repository, filter={"imageStatus": "ANY"})["imageDetails"])

    def open_findings(self, repository: str) -> dict[str, Finding]:
        """A repository's open findings by rule."""
        return {finding.rule: finding for finding in self.record(repository).findings if finding.state is FindingState.OPEN}

    def our_writes(self) -> list[str]:
        """Every change that ECR Governor itself made in ECR, as CloudTrail recorded it."""
        role = self.aws.stack.resources["RepositoryEventsRole"].attributes["Arn"] if self.aws.stack else ""
        return [
            event["detail"]["eventName"]
            for event in self.aws.trail.history
            if _issuer(event["detail"]) == role and not event["detail"].get("readOnly") and "errorCode" not in event["detail"]
        ]

    def messages(self) -> list[Mapping[str, Any]]:
        """What stands in Slack's channels now, answers left out."""
        return [message["payload"] for message in self.aws.slack.posted]

    def message_of(self, repository: str) -> dict[str, Any]:
        """The newest message of a repository, as Slack has it. Raises LookupError."""
        for message in reversed(self.aws.slack.posted):
            header = (message["payload"].get("blocks") or [{}])[0].get("text", {}).get("text", "")
            if header.endswith(f": {repository}"):
                return dict(message)
        raise LookupError(f"Slack has no message of {repository}")

    def said_of(self, repository: str) -> list[str]:
        """All that Slack has of a repository in words: its message as it stands, then what was answered to it. Raises LookupError."""
        message = self.message_of(repository)
        return [message["payload"]["text"], *(reply["payload"]["text"] for reply in self.aws.slack.replies_to(message))]

    def dead_letters(self) -> Iterable[tuple[str, str]]:
        """Give queue and reason of each message that could not be decided."""
        sqs = self.client("sqs")
        for url in sqs.list_queues().get("QueueUrls", ()):
            if "DeadLetters" in url:
                for message in sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
                ).get("Messages", ()):
                    reason = message.get("MessageAttributes", {}).get("ERROR_MESSAGE", {}).get("StringValue", "no reason")
                    yield url.rsplit("/", 1)[-1], reason


def _issuer(detail: Mapping[str, Any]) -> str:
    return str(detail.get("userIdentity", {}).get("sessionContext", {}).get("sessionIssuer", {}).get("arn", ""))


def _write_layout(folder: Path, layer: bytes) -> None:
    """Write an OCI image layout of one layer, for skopeo to copy."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return f"sha256:{digest}", len(data)

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("app")
        entry.size = len(layer)
        tar.addfile(entry, io.BytesIO(layer))
    diff_id = "sha256:" + hashlib.sha256(archive.getvalue()).hexdigest()
    packed, packed_size = blob(gzip.compress(archive.getvalue(), mtime=0))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    config_digest, config_size = blob(json.dumps(config).encode())
    oci = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": {"mediaType": f"{oci}.config.v1+json", "digest": config_digest, "size": config_size},
        "layers": [{"mediaType": f"{oci}.layer.v1.tar+gzip", "digest": packed, "size": packed_size}],
    }
    digest, size = blob(json.dumps(manifest).encode())
    named = {"org.opencontainers.image.ref.name": "image"}
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": f"{oci}.manifest.v1+json", "digest": digest, "size": size, "annotations": named}],
    }
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
