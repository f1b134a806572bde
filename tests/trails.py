"""CloudTrail records of a made-up registry, and the files that they are read from."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ACCOUNT, REGION = "123456789012", "eu-west-1"
BORN = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def digest(text: str) -> str:
    return "sha256:" + (text.encode().hex() * 64)[:64]


class Trail:
    """Records, in the order in which they are written down. Days count from `BORN`."""

    def __init__(self, account: str = ACCOUNT, region: str = REGION) -> None:
        self.records: list[dict[str, Any]] = []
        self.account, self.region = account, region

    def call(
        self,
        event: str,
        day: float,
        name: str = "",
        who: str = "alice",
        *,
        response: dict[str, Any] | None = None,
        error: str = "",
        role: str = "",
        source: str = "ecr.amazonaws.com",
        **request: Any,
    ) -> "Trail":
        at = BORN + day * DAY
        arn = f"arn:aws:sts::{self.account}:assumed-role/{role}/{who}" if role else f"arn:aws:iam::{self.account}:user/{who}"
        identity: dict[str, Any] = {"type": "AssumedRole" if role else "IAMUser", "arn": arn, "accountId": self.account}
        if role:
            identity["sessionContext"] = {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{self.account}:role/{role}"}}
        record: dict[str, Any] = {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": source,
            "eventName": event,
            "awsRegion": self.region,
            "sourceIPAddress": "203.0.113.12",
            "userAgent": "aws-cli/2.30",
            "requestParameters": {**({"repositoryName": name} if name else {}), **request},
            "responseElements": response,
            "eventID": f"{len(self.records):08d}-0000-4000-8000-000000000000",
            "readOnly": event.startswith(("BatchGet", "Get", "Describe", "List")),
            "eventType": "AwsApiCall",
            "recipientAccountId": self.account,
        }
        if error:
            record |= {"errorCode": error, "errorMessage": "no", "responseElements": None}
        self.records.append(record)
        return self

    def created(self, name: str, day: float = 0, who: str = "alice", **request: Any) -> "Trail":
        described = {"repositoryName": name, "imageTagMutability": "MUTABLE", "encryptionConfiguration": {"encryptionType": "AES256"}}
        return self.call("CreateRepository", day, name, who, response={"repository": described}, **request)

    def pushed(self, name: str, day: float, tag: str = "v1.0.0", who: str = "alice") -> "Trail":
        image = {"imageId": {"imageDigest": digest(f"{name}{tag}"), "imageTag": tag}}
        return self.call("PutImage", day, name, who, response={"image": image}, imageTag=tag)

    def pulled(self, name: str, day: float, who: str = "deploy") -> "Trail":
        return self.call("BatchGetImage", day, name, who, imageIds=[{"imageTag": "v1.0.0"}])

    def tagged(self, name: str, day: float, who: str = "alice", **tags: str) -> "Trail":
        arn = f"arn:aws:ecr:{self.region}:{self.account}:repository/{name}"
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        return self.call("TagResource", day, who=who, resourceArn=arn, tags=listed)

    def untagged(self, name: str, day: float, *keys: str, who: str = "alice") -> "Trail":
        arn = f"arn:aws:ecr:{self.region}:{self.account}:repository/{name}"
        return self.call("UntagResource", day, who=who, resourceArn=arn, tagKeys=list(keys))

    def lines(self, path: Path) -> Path:
        """Write JSON lines."""
        path.write_text("".join(f"{json.dumps(record)}\n" for record in self.records))
        return path

    def file(self, folder: Path, day: float | None = None, *, cut: int = 0) -> Path:
        """Write a file as a trail delivers it, named for a day; with so many bytes `cut` off its end."""
        at = BORN + (day or 0) * DAY
        name = f"{self.account}_CloudTrail_{self.region}_{at:%Y%m%dT%H%MZ}_0123456789abcdef.json.gz"
        path = folder / "AWSLogs" / self.account / "CloudTrail" / self.region / f"{at:%Y/%m/%d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = gzip.compress(json.dumps({"Records": self.records}).encode())
        path.write_bytes(data[: len(data) - cut])
        return path
