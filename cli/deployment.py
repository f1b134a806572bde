"""A deployed stack, and how the command line reaches it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from cli.access import LOOPBACK, check_endpoint, check_region, no_region, refusal
from cli.trouble import Exit, Trouble
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.state_machine import StateMachine
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.adapters.tombstones import S3Tombstones
from ecr_governor.adapters.usage.files import EvidenceFiles


@dataclass(frozen=True)
class Deployment:
    """One deployed stack, and how to reach it."""

    stack: str
    endpoint_url: str | None
    region: str | None
    profile: str | None

    def client(self, service: str, config: Config | None = None) -> Any:
        """Make a boto3 client. Against the embedded AWS any credentials do, so none are asked for."""
        check_endpoint(self.endpoint_url)
        local = self.endpoint_url is not None and urlsplit(self.endpoint_url).hostname in LOOPBACK
        try:
            session = boto3.Session(profile_name=self.profile, region_name=self.region or ("eu-west-1" if local else None))
        except ProfileNotFound as error:
            raise refusal(error, "") from error
        if session.region_name is not None:
            check_region(session.region_name)
        # Not looked for any farther: the next place would be the machine's metadata service, and nothing local leaves the machine.
        nobody = local and self.profile is None and not os.environ.get("AWS_ACCESS_KEY_ID")
        dummy = {"aws_access_key_id": "operator", "aws_secret_access_key": "any"} if nobody else {}
        if session.region_name is None:
            raise no_region()
        make: Any = session.client
        return make(service, endpoint_url=self.endpoint_url, config=config, **dummy)

    def account_and_time(self) -> tuple[str, datetime]:
        """Tell whose credentials these are, and what time it is by AWS's clock: the embedded AWS has one of its own."""
        answer = self.client("sts").get_caller_identity()
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return str(answer["Account"]), now.astimezone(UTC)

    def names(self) -> dict[str, str]:
        """Where the stack keeps things: `ledger`, `policy_bucket`, `policy_key`, `reports_bucket`, `sweep`, `releases`, `retire`, `reap`."""
        parameter = f"/{self.stack}/names"
        try:
            return dict(json.loads(self.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]))
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                do = "deploy the stack, or name it with --stack; for the embedded AWS give --endpoint-url"
                raise Trouble(f"there is no deployment {self.stack}", f"SSM has no parameter {parameter} here", do) from error
            raise refused(error) from error
        except BotoCoreError as error:
            raise refused(error) from error

    def policy_file(self) -> tuple[bytes, str] | None:
        """Read the policy file in the stack's bucket, and its address; None if there is none, so that the bundled policy is in force."""
        names = self.names()
        bucket, key = names["policy_bucket"], names["policy_key"]
        try:
            return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(), f"s3://{bucket}/{key}"
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def ledger(self) -> DynamoDbLedger:
        """Find the stack's ledger."""
        return DynamoDbLedger(self.client("dynamodb"), self.names()["ledger"])

    def sweep_book(self) -> DynamoDbSweepBook:
        """Find where the stack notes its sweeps."""
        return DynamoDbSweepBook(self.client("dynamodb"), self.names()["ledger"])

    def tombstones(self) -> S3Tombstones:
        """Find where the stack remembers what it deleted."""
        return S3Tombstones(self.client("s3"), self._name("reports_bucket"))

    def evidence(self) -> EvidenceFiles:
        """Find where the stack reads files of evidence."""
        return EvidenceFiles(self.client("s3"), self._name("reports_bucket"))

    def releases(self) -> str:
        """Find the address of the queue where releases are asked for."""
        return self._name("releases")

    def retiring(self) -> str:
        """Find the function that marks, quarantines and archives."""
        return self._name("retire")

    def deleting(self) -> str:
        """Find the function that deletes; raises Trouble where the stack has none."""
        if not (name := self._name("reap")):
            do = "deploy the stack with EnableDelete=true and Mode=enforce"
            raise Trouble(f"the deployment {self.stack} deletes nothing", "no function in it can", do)
        return name

    def invoke(self, function: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Have a function do something and wait for it; raises Trouble if it fails."""
        # Sent once: a second attempt while the first one is at work would only meet its lease.
        patience = Config(read_timeout=910, retries={"total_max_attempts": 1}, tcp_keepalive=True)
        answer = self.client("lambda", patience).invoke(FunctionName=function, Payload=json.dumps(payload))
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            why = f"{said.get('errorType', 'error')}: {said.get('errorMessage', '')}"
            raise Trouble(f"{function} failed", why, "see docs/operations.md; what it had begun, the next run ends", Exit.INCOMPLETE)
        return dict(said)

    def runs(self) -> S3RunStore:
        """Find where the stack keeps its sweeps."""
        return S3RunStore(self.client("s3"), self._name("reports_bucket"))

    def sweep(self) -> StateMachine:
        """Find the stack's state machine."""
        return StateMachine(self.client("stepfunctions"), self._name("sweep"))

    def _name(self, key: str) -> str:
        names = self.names()
        if key not in names:
            raise Trouble(f"the deployment {self.stack} has no {key}", "it is of an earlier release", "deploy this release of the stack")
        return names[key]


def refused(error: Exception) -> Trouble:
    """Tell a refusal of AWS: three lines instead of a traceback."""
    if isinstance(error, ClientError | BotoCoreError):
        return refusal(error, "")
    return Trouble("AWS refused", str(error), "check the credentials' permissions and --region", Exit.INCOMPLETE)
