"""Images: digests, tags, pull times, deletion, archive, referrers."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
import time_machine
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from local import ecr
from local.ecr import manifests
from local.trail import Trail

LAYER = (manifests.digest_of(b"layer"), 5)
SEEN = datetime(2026, 3, 1, tzinfo=UTC)


@cache
def client(key: str = "alice") -> Any:
    config = Config(parameter_validation=False, retries={"max_attempts": 1})
    return boto3.client("ecr", region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key="x", config=config)


@pytest.fixture(autouse=True)
def trail() -> Iterator[Trail]:
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    with mock_aws():
        ecr.seed(["team/app"])
        yield trail


def manifest(content: str, **extra: Any) -> str:
    return manifests.image_manifest((manifests.digest_of(content.encode()), len(content)), [LAYER], **extra)


def put(content: str, **parameters: Any) -> str:
    text = manifest(content)
    ecr.stock("team/app", text)
    return str(client().put_image(repositoryName="team/app", imageManifest=text, **parameters)["image"]["imageId"]["imageDigest"])


def images(**parameters: Any) -> dict[str, dict[str, Any]]:
    details = client().describe_images(repositoryName="team/app", **parameters)["imageDetails"]
    return {detail["imageDigest"]: detail for detail in details}


def seeded(*plans: ecr.SeedImage, **repository: Any) -> list[str]:
    return ecr.seed([ecr.SeedRepository(name="team/app", images=plans, **repository)])["team/app"]


def code(operation: str, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        getattr(client(), operation)(repositoryName="team/app", **parameters)
    return str(caught.value.response["Error"]["Code"])


def test_a_digest_is_that_of_the_manifest(trail: Trail) -> None:
    expected = f"sha256:{hashlib.sha256(manifest('one').encode()).hexdigest()}"
    assert put("one", imageTag="v1") == expected
    record, native = (event["detail"] for event in trail.history[-2:])
    assert record["requestParameters"]["imageManifest"] == manifest("one")
    assert record["responseElements"]["image"]["imageId"] == {"imageDigest": expected, "imageTag": "v1"}
    assert native == {
        "result": "SUCCESS",
        "repository-name": "team/app",
        "image-digest": expected,
        "action-type": "PUSH",
        "image-tag": "v1",
    }


def test_two_manifests_with_the_same_layers_are_two_images() -> None:
    assert len({put("one"), put("two")}) == 2


def test_what_put_image_refuses() -> None:
    text = manifest("one")
    assert code("put_image", imageManifest=text, imageTag="v1") == "LayersNotFoundException"
    ecr.stock("team/app", text)
    assert code("put_image", imageManifest=text, imageDigest=f"sha256:{'0' * 64}") == "ImageDigestDoesNotMatchException"
    put("one", imageTag="v1")
    assert code("put_image", imageManifest=text, imageTag="v1") == "ImageAlreadyExistsException"
    assert code("put_image", imageManifest="{", imageTag="v1") == "InvalidParameterException"
    index = manifests.index_manifest([(f"sha256:{'1' * 64}", 3, "linux/amd64")])
    assert code("put_image", imageManifest=index, imageTag="v1") == "ReferencedImagesNotFoundException"


def test_a_mutable_tag_moves_and_leaves_an_untagged_image() -> None:
    old, new = put("one", imageTag="latest"), put("two", imageTag="latest")
    found = images()
    assert "imageTags" not in found[old]
    assert found[new]["imageTags"] == ["latest"]


@pytest.mark.parametrize(
    ("mutability", "filters", "tag", "moves"),
    [
        ("IMMUTABLE", [], "v1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["*-snap"], "x-snap", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["*-snap"], "v1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], "dev", False),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "v1", False),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "latest", True),
    ],
)
def test_immutable_tags(mutability: str, filters: list[str], tag: str, moves: bool) -> None:
    seeded(ecr.SeedImage(tags=[tag]), mutability=mutability, exclusion_filters=filters)
    if moves:
        put("two", imageTag=tag)
    else:
        ecr.stock("team/app", manifest("two"))
        assert code("put_image", imageManifest=manifest("two"), imageTag=tag) == "ImageTagAlreadyExistsException"
        assert len(images()) == 1


def test_described_images_say_what_is_known_of_them() -> None:
    pushed, pulled = SEEN - timedelta(days=30), SEEN
    digest, signature = seeded(
        ecr.SeedImage(tags=["v1"], pushed_at=pushed, pulled_at=pulled, size=50_000_000),
        ecr.SeedImage(subject=f"sha256:{'a' * 64}", artifact_type="application/vnd.example.signature"),
    )
    found = images()
    assert (found[digest]["imagePushedAt"], found[digest]["lastRecordedPullTime"]) == (pushed, pulled)
    assert found[digest]["imageSizeInBytes"] > 50_000_000
    assert found[digest]["artifactMediaType"] == manifests.OCI_CONFIG
    assert found[digest]["imageStatus"] == "ACTIVE"
    assert found[signature]["subjectManifestDigest"] == f"sha256:{'a' * 64}"
    assert "lastRecordedPullTime" not in found[signature]


def test_filters_hide_archived_images_by_default() -> None:
    tagged, untagged, archived = seeded(ecr.SeedImage(tags=["v1"]), ecr.SeedImage(), ecr.SeedImage(archived_at=SEEN))
    assert set(images()) == {tagged, untagged}
    assert set(images(filter={"tagStatus": "UNTAGGED"})) == {untagged}
    assert set(images(filter={"tagStatus": "TAGGED", "imageStatus": "ANY"})) == {tagged}
    assert set(images(filter={"imageStatus": "ARCHIVED"})) == {archived}
    assert set(images(filter={"imageStatus": "ANY"})) == {tagged, untagged, archived}
    assert len(client().list_images(repositoryName="team/app")["imageIds"]) == 2
    assert len(client().list_images(repositoryName="team/app", filter={"imageStatus": "ANY"})["imageIds"]) == 3


def test_images_come_in_pages() -> None:
    seeded(*(ecr.SeedImage(tags=[f"v{number}", f"w{number}"]) for number in range(25)))
    pages = list(client().get_paginator("describe_images").paginate(repositoryName="team/app", PaginationConfig={"PageSize": 10}))
    assert [len(page["imageDetails"]) for page in pages] == [10, 10, 5]
    pairs = client().get_paginator("list_images").paginate(repositoryName="team/app", PaginationConfig={"PageSize": 20})
    assert len({item["imageTag"] for page in pairs for item in page["imageIds"]}) == 50
    assert code("describe_images", maxResults=1001) == "InvalidParameterException"
    assert code("describe_images", imageIds=[{"imageTag": "none"}]) == "ImageNotFoundException"


def test_a_pull_by_api_sets_the_pull_time() -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1"]))
    with time_machine.travel(SEEN, tick=False):
        answer = client().batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}, {"imageTag": "no"}])
    assert answer["images"][0]["imageId"] == {"imageDigest": digest, "imageTag": "v1"}
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"
    assert images()[digest]["lastRecordedPullTime"] == SEEN


def test_excluded_principals_leave_no_pull_time() -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1"]))
    arn = "arn:aws:iam::123456789012:user/alice"
    client().register_pull_time_update_exclusion(principalArn=arn)
    assert client().list_pull_time_update_exclusions()["pullTimeUpdateExclusions"] == [arn]
    client().batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
    assert "lastRecordedPullTime" not in images()[digest]
    client().deregister_pull_time_update_exclusion(principalArn=arn)
    client().batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
    assert "lastRecordedPullTime" in images()[digest]


def test_deleting_by_tag_takes_the_image_with_the_last_tag() -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1", "v2"]))
    client().batch_delete_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
    assert images()[digest]["imageTags"] == ["v2"]
    client().batch_delete_image(repositoryName="team/app", imageIds=[{"imageTag": "v2"}])
    assert images() == {}


def test_deleting_by_digest_takes_all_tags(trail: Trail) -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1", "v2"]))
    answer = client().batch_delete_image(repositoryName="team/app", imageIds=[{"imageDigest": digest}])
    assert sorted(item["imageTag"] for item in answer["imageIds"]) == ["v1", "v2"]
    assert [event["detail"]["action-type"] for event in trail.history[-2:]] == ["DELETE", "DELETE"]


def test_what_cannot_be_deleted_is_a_failure_and_no_error() -> None:
    first, second = seeded(ecr.SeedImage(tags=["v1"]), ecr.SeedImage(tags=["v2"]))
    wanted = [
        {"imageDigest": f"sha256:{'0' * 64}"},
        {"imageDigest": "sha256:short"},
        {},
        {"imageDigest": first, "imageTag": "v2"},
    ]
    answer = client().batch_delete_image(repositoryName="team/app", imageIds=wanted)
    codes = [failure["failureCode"] for failure in answer["failures"]]
    assert codes == ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest"]
    assert set(images()) == {first, second}
    assert code("batch_delete_image", imageIds=[{"imageTag": "x"}] * 101) == "InvalidParameterException"


def test_children_of_an_index_go_after_it() -> None:
    (index,) = seeded(ecr.SeedImage(tags=["v1"], platforms=["linux/amd64", "linux/arm64"]))
    children = set(images()) - {index}
    assert len(children) == 2
    wanted = [{"imageDigest": digest} for digest in children]
    answer = client().batch_delete_image(repositoryName="team/app", imageIds=wanted)
    assert {failure["failureCode"] for failure in answer["failures"]} == {"ImageReferencedByManifestList"}
    answer = client().batch_delete_image(repositoryName="team/app", imageIds=[{"imageDigest": index}, *wanted])
    assert answer["failures"] == []
    assert images() == {}


def test_archive_and_restore(trail: Trail) -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1"]))
    request = {"repositoryName": "team/app", "imageId": {"imageDigest": digest}}
    with time_machine.travel(SEEN, tick=False) as clock:
        assert client().update_image_storage_class(**request, targetStorageClass="ARCHIVE")["imageStatus"] == "ARCHIVED"
        pull = client().batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
        assert (pull["images"], len(pull["failures"])) == ([], 1)
        assert code("delete_repository") == "RepositoryNotEmptyException"
        assert client().update_image_storage_class(**request, targetStorageClass="STANDARD")["imageStatus"] == "ACTIVATING"
        assert images() == {}
        clock.shift(timedelta(minutes=21))
        detail = images()[digest]
    assert (detail["imageStatus"], detail["lastArchivedAt"]) == ("ACTIVE", SEEN)
    assert detail["lastActivatedAt"] == SEEN + timedelta(minutes=20)
    done = [event for event in trail.history if event["detail"].get("eventName") == "ImageActivationEvent"]
    assert len(done) == 1
    assert done[0]["detail"]["serviceEventDetails"]["imageStatus"] == "ACTIVE"


def test_a_storage_class_that_does_not_fit_is_refused() -> None:
    (digest,) = seeded(ecr.SeedImage(tags=["v1"]))
    error = code("update_image_storage_class", imageId={"imageDigest": digest}, targetStorageClass="STANDARD")
    assert error == "ImageStorageClassUpdateNotSupportedException"
    missing = {"imageDigest": f"sha256:{'0' * 64}"}
    assert code("update_image_storage_class", imageId=missing, targetStorageClass="ARCHIVE") == "ImageNotFoundException"


def test_referrers_of_an_image() -> None:
    (subject,) = seeded(ecr.SeedImage(tags=["v1"]))
    seeded(
        ecr.SeedImage(tags=["v1"]),
        ecr.SeedImage(subject=subject, artifact_type="application/sig"),
        ecr.SeedImage(subject=subject, artifact_type="application/sbom"),
    )
    ask = {"repositoryName": "team/app", "subjectId": {"imageDigest": subject}}
    assert len(client().list_image_referrers(**ask)["referrers"]) == 2
    found = client().list_image_referrers(**ask, filter={"artifactTypes": ["application/sig"]})["referrers"]
    assert [referrer["artifactType"] for referrer in found] == ["application/sig"]
    first = client().list_image_referrers(**ask, maxResults=1)
    assert len(client().list_image_referrers(**ask, nextToken=first["nextToken"])["referrers"]) == 1
    assert code("list_image_referrers", subjectId={"imageDigest": subject}, maxResults=51) == "InvalidParameterException"


def test_layers_go_up_by_the_api() -> None:
    text = manifests.image_manifest(LAYER, [LAYER])
    upload = client().initiate_layer_upload(repositoryName="team/app")["uploadId"]
    part = {"uploadId": upload, "layerPartBlob": b"layer"}
    assert code("upload_layer_part", **part, partFirstByte=3, partLastByte=7) == "InvalidLayerPartException"
    client().upload_layer_part(repositoryName="team/app", **part, partFirstByte=0, partLastByte=4)
    assert code("complete_layer_upload", uploadId=upload, layerDigests=[f"sha256:{'0' * 64}"]) == "InvalidLayerException"
    client().complete_layer_upload(repositoryName="team/app", uploadId=upload, layerDigests=[LAYER[0]])
    checked = client().batch_check_layer_availability(repositoryName="team/app", layerDigests=[LAYER[0]])
    assert checked["layers"][0]["layerAvailability"] == "AVAILABLE"
    client().put_image(repositoryName="team/app", imageManifest=text, imageTag="v1")
    assert json.loads(text)["layers"][0]["digest"] == LAYER[0]


def test_a_large_manifest_leaves_the_record_without_its_parameters(trail: Trail) -> None:
    text = manifest("one", annotations={"note": "x" * 110_000})
    ecr.stock("team/app", text)
    client().put_image(repositoryName="team/app", imageManifest=text, imageTag="v1")
    record = next(event["detail"] for event in trail.history if event["detail"].get("eventName") == "PutImage")
    assert "requestParameters" not in record
    assert record["resources"][0]["ARN"].endswith(":repository/team/app")
