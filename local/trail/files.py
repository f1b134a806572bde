"""The trail's records as files, as a trail delivers them to S3: gzip, five minutes each, and a digest for each hour.

CloudTrail user guide, "Finding your CloudTrail log files" and "CloudTrail digest file structure". The digests are not signed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.trail.history import RECORDED
from local.trail.records import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DELIVERED_EVERY = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def write_files(events: Iterable[Mapping[str, Any]], folder: Path, *, account: str, region: str, until: datetime) -> int:
    """Write all records among the events below `folder`, and give how many there were. `until` is when the last digest ends."""
    slots: dict[datetime, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event["detail-type"] in RECORDED:
            record = event["detail"]
            slots[_slot(datetime.fromisoformat(record.get("eventTime") or event["time"]))].append(record)
    listed: dict[datetime, list[dict[str, str]]] = defaultdict(list)
    for slot, records in sorted(slots.items()):
        data = gzip.compress(json.dumps({"Records": records}, separators=(",", ":"), ensure_ascii=False).encode(), mtime=0)
        unique = hashlib.sha256(data).hexdigest()
        delivered = slot + DELIVERED_EVERY
        name = f"{account}_CloudTrail_{region}_{delivered:%Y%m%dT%H%MZ}_{unique[:16]}.json.gz"
        key = f"AWSLogs/{account}/CloudTrail/{region}/{delivered:%Y/%m/%d}/{name}"
        _put(folder / key, data)
        listed[slot.replace(minute=0)].append({"s3Bucket": "trail", "s3Object": key, "hashValue": unique, "hashAlgorithm": "SHA-256"})
    if listed:
        _write_digests(listed, folder, account, region, until)
    return sum(map(len, slots.values()))


def _write_digests(listed: Mapping[datetime, list[dict[str, str]]], folder: Path, account: str, region: str, until: datetime) -> None:
    """Write a digest for every hour, those included in which nothing happened: that is how one knows."""
    hour = min(listed)
    while hour < until:
        end = hour + HOUR
        digest = {
            "awsAccountId": account,
            "digestStartTime": iso(hour),
            "digestEndTime": iso(end),
            "digestS3Bucket": "trail",
            "digestSignatureAlgorithm": "SHA256withRSA",
            "logFiles": listed.get(hour, []),
        }
        name = f"{account}_CloudTrail-Digest_{region}_trail_{region}_{end:%Y%m%dT%H%M%SZ}.json.gz"
        key = f"AWSLogs/{account}/CloudTrail-Digest/{region}/{end:%Y/%m/%d}/{name}"
        _put(folder / key, gzip.compress(json.dumps(digest).encode(), mtime=0))
        hour = end


def _slot(at: datetime) -> datetime:
    utc = at.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % 5, second=0, microsecond=0)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
