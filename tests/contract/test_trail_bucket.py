"""The bucket of a trail, read from the embedded AWS's S3."""

import errno

import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.trail_bucket import TrailBucket
from local.server import EmbeddedAws


def test_what_lies_below_is_listed_page_by_page_and_read_whole(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="trail", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    content = bytes(range(256)) * 4_096
    for key in ("logs/1.json", "logs/2.json", "logs/3.json", "logs-of-others/1.json"):
        s3.put_object(Bucket="trail", Key=key, Body=content)
    s3.put_object(Bucket="trail", Key="logs/cold.json", Body=b"x", StorageClass="GLACIER")
    listing = s3.list_objects_v2
    monkeypatch.setattr(s3, "list_objects_v2", lambda **asked: listing(**asked, MaxKeys=2))
    bucket = TrailBucket(s3, "trail")

    pages = list(bucket.below("logs"))

    assert [each.key for page in pages for each in page] == ["logs/1.json", "logs/2.json", "logs/3.json", "logs/cold.json"]
    assert len(pages) == 3
    assert pages[0][0].size == len(content)
    with bucket.read("logs/2.json") as read:
        assert read.read() == content
    for key, code in (("logs/none.json", errno.ENOENT), ("logs/cold.json", errno.EACCES)):
        with pytest.raises(OSError, match="it ") as raised:
            bucket.read(key)
        assert raised.value.errno == code
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(TrailBucket(s3, "none").below(""))
