"""The trail's records as files: what is written is what was recorded, and a digest tells of each hour."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.principals import Principal
from local.trail.calls import ApiCall
from local.trail.files import write_files
from local.trail.trail import Trail

ACCOUNT, REGION = "123456789012", "eu-west-1"
BEGIN = datetime(2026, 11, 2, 9, 14, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def call(at: datetime) -> ApiCall:
    alice = Principal("IAMUser", ACCOUNT, "AK", user_name="alice")
    request = {"repositoryName": "payments/api"}
    return ApiCall("ecr", "DeleteRepository", request, {}, None, None, alice, REGION, ACCOUNT, at, "203.0.113.1", "aws")


def test_records_and_digests_are_written_as_a_trail_delivers_them(tmp_path: Path) -> None:
    trail = Trail(lambda _event: None)
    for hours in (0, 0.01, 3):
        trail.record(call(BEGIN + hours * HOUR))
    trail.record_native("ECR Image Action", {"result": "SUCCESS"}, [], time=BEGIN)
    assert write_files(trail.history, tmp_path, account=ACCOUNT, region=REGION, until=BEGIN + 4 * HOUR) == 3
    root = tmp_path / "AWSLogs" / ACCOUNT
    files = sorted((root / "CloudTrail" / REGION / "2026/11/02").iterdir())
    assert [path.name.rpartition("_")[0] for path in files] == [f"{ACCOUNT}_CloudTrail_{REGION}_20261102T{at}Z" for at in ("0915", "1215")]
    records = [record for path in files for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]]
    assert records == [event["detail"] for event in trail.history if "eventName" in event["detail"]]
    digests = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted((root / "CloudTrail-Digest").rglob("*.json.gz"))]
    assert [[each["s3Object"].rpartition("/")[2] for each in digest["logFiles"]] for digest in digests] == [
        [files[0].name],
        [],
        [],
        [files[1].name],
        [],
    ]
    assert [digest["digestStartTime"] for digest in digests[1:]] == [digest["digestEndTime"] for digest in digests[:-1]]
