"""Pushing to and pulling from the registry with a plain HTTP client."""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode

import boto3
import pytest
import time_machine
from moto import mock_aws

from local import ecr
from local.ecr import manifests
from local.registry import Registry
from local.registry.client import Client, RegistryRefused, pull_image, push_image
from local.trail import Trail

CUSTOM_ROLE = "arn:aws:iam::123456789012:role/ecr-templates"
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
                "action": {"type": "expire"},
            }
        ]
    }
)


@cache
def client(key: str = "alice") -> Any:
    return boto3.client("ecr", region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key="x")


@pytest.fixture(autouse=True)
def trail() -> Iterator[Trail]:
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    with mock_aws():
        yield trail
    ecr.faults.clear()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    registry = Registry()
    registry.start()
    yield registry.address
    registry.stop()


@pytest.fixture
def token(address: str) -> str:
    return token_of("alice")


def token_of(key: str) -> str:
    return str(client(key).get_authorization_token()["authorizationData"][0]["authorizationToken"])


def template(prefix: str = "team", **settings: Any) -> None:
    client().create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"], **settings)


def called(trail: Trail, *names: str) -> list[dict[str, Any]]:
    return [event["detail"] for event in trail.history if event["detail"].get("eventName") in names]


def refusal(act: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(RegistryRefused) as caught:
        act()
    return caught.value.status, caught.value.code, caught.value.message


def test_the_token_leads_to_this_registry(address: str) -> None:
    assert client().get_authorization_token()["authorizationData"][0]["proxyEndpoint"] == f"http://{address}"


@pytest.mark.parametrize("wrong", [None, base64.b64encode(b"AWS:guess").decode(), "%%%"])
def test_without_a_good_token_nobody_comes_in(address: str, wrong: str | None) -> None:
    with Client(address, wrong) as visitor:
        status, headers, _ = visitor.send("GET", "/v2/")
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Basic ")


def test_a_token_ends_after_twelve_hours(address: str, token: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=12, minutes=1)), Client(address, token) as visitor:
        assert visitor.send("GET", "/v2/")[0] == 401
    with Client(address, token) as visitor:
        assert visitor.send("GET", "/v2/")[0] == 200


def test_a_push_to_no_repository_fails_as_before_create_on_push(address: str, token: str, trail: Trail) -> None:
    assert refusal(lambda: push_image(address, token, "team/app", "v1")) == (
        404,
        "NAME_UNKNOWN",
        "The repository with name 'team/app' does not exist in the registry with id '123456789012'",
    )
    (failed,) = called(trail, "InitiateLayerUpload")
    assert (failed["errorCode"], failed["requestParameters"]["repositoryName"]) == ("RepositoryNotFoundException", "team/app")
    assert called(trail, "CreateRepository") == []


def test_a_template_for_another_purpose_does_not_open_the_door(address: str, token: str) -> None:
    client().create_repository_creation_template(prefix="ROOT", appliedFor=["REPLICATION", "PULL_THROUGH_CACHE"])
    assert refusal(lambda: push_image(address, token, "team/app", "v1"))[1] == "NAME_UNKNOWN"


def test_create_on_push_applies_the_template(address: str, token: str, trail: Trail) -> None:
    template(
        imageTagMutability="IMMUTABLE",
        lifecyclePolicy=LIFECYCLE,
        repositoryPolicy=json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}),
        resourceTags=[{"Key": "owner", "Value": "team"}],
        customRoleArn=CUSTOM_ROLE,
    )
    digest = push_image(address, token, "team/app", "v1")
    repository = client().describe_repositories(repositoryNames=["team/app"])["repositories"][0]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert client().get_lifecycle_policy(repositoryName="team/app")["lifecyclePolicyText"] == LIFECYCLE
    assert "ecr:BatchGetImage" in client().get_repository_policy(repositoryName="team/app")["policyText"]
    tags = client().list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
    assert tags == [{"Key": "owner", "Value": "team"}]
    (image,) = client().describe_images(repositoryName="team/app")["imageDetails"]
    assert (image["imageDigest"], image["imageTags"]) == (digest, ["v1"])
    created, put = called(trail, "CreateRepository", "PutImage")
    assert (created["eventName"], put["eventName"]) == ("CreateRepository", "PutImage")
    assert put["userIdentity"]["userName"] == "alice"
    assert put["sourceIPAddress"] == put["userAgent"] == "ecr.amazonaws.com"
    assert put["requestParameters"]["imageTag"] == "v1"


@pytest.mark.parametrize(
    ("variant", "issuer"),
    [
        ("service_linked_role", "arn:aws:iam::123456789012:role/aws-service-role/ecr.amazonaws.com/AWSServiceRoleForECRTemplate"),
        ("custom_role", CUSTOM_ROLE),
        ("caller", None),
    ],
)
def test_each_plausible_record_of_a_creation(
    address: str, variant: Literal["service_linked_role", "caller", "custom_role"], issuer: str | None
) -> None:
    trail = Trail(lambda _event: None, create_on_push_record=variant)
    ecr.install(trail)
    template(customRoleArn=CUSTOM_ROLE)
    push_image(address, token_of("alice"), "team/app", "v1")
    (created,) = called(trail, "CreateRepository")
    identity = created["userIdentity"]
    assert identity["invokedBy"] == created["sourceIPAddress"] == created["userAgent"] == "ecr.amazonaws.com"
    assert identity.get("sessionContext", {}).get("sessionIssuer", {}).get("arn") == issuer
    assert identity.get("userName") == ("alice" if variant == "caller" else None)
    assert created["responseElements"]["repository"]["repositoryName"] == "team/app"


def test_tags_without_a_role_break_creation(address: str, token: str, trail: Trail) -> None:
    template(resourceTags=[{"Key": "owner", "Value": "team"}])
    assert refusal(lambda: push_image(address, token, "team/app", "v1"))[1] == "NAME_UNKNOWN"
    assert {record["errorCode"] for record in called(trail, "CreateRepository")} == {"AccessDeniedException"}
    assert client().describe_repositories()["repositories"] == []


def test_an_immutable_tag_is_refused_in_ecrs_words(address: str, token: str, trail: Trail) -> None:
    template(imageTagMutability="IMMUTABLE")
    first = push_image(address, token, "team/app", "v1")
    assert refusal(lambda: push_image(address, token, "team/app", "v1", layers=[b"other"])) == (
        400,
        "TAG_INVALID",
        "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable.",
    )
    assert called(trail, "PutImage")[-1]["errorCode"] == "ImageTagAlreadyExistsException"
    assert push_image(address, token, "team/app", "v1") == first


def test_a_pull_brings_the_bytes_and_sets_the_pull_time(address: str, token: str, trail: Trail) -> None:
    template()
    digest = push_image(address, token, "team/app", "v1", layers=[b"one", b"two"])
    assert "lastRecordedPullTime" not in client().describe_images(repositoryName="team/app")["imageDetails"][0]
    pulled = pull_image(address, token, "team/app", "v1")
    assert pulled.digest == digest
    assert {b"one", b"two"} < set(pulled.layers.values())
    assert "lastRecordedPullTime" in client().describe_images(repositoryName="team/app")["imageDetails"][0]
    (record,) = called(trail, "BatchGetImage")
    assert (record["readOnly"], record["userIdentity"]["userName"]) == (True, "alice")


def test_an_index_is_pushed_with_its_children(address: str, token: str) -> None:
    template()
    digest = push_image(address, token, "team/app", "v1", platforms=["linux/amd64", "linux/arm64"])
    found = {item["imageDigest"]: item for item in client().describe_images(repositoryName="team/app")["imageDetails"]}
    assert len(found) == 3
    assert found[digest]["imageManifestMediaType"] == manifests.OCI_INDEX
    assert [item for item in found if found[item].get("imageTags")] == [digest]
    assert pull_image(address, token, "team/app", "v1").digest == digest


def deny(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": action}]})


def test_a_denied_push_leaves_a_blank_repository(address: str, token: str, trail: Trail) -> None:
    template(repositoryPolicy=deny("ecr:InitiateLayerUpload"))
    assert refusal(lambda: push_image(address, token, "team/app", "v1"))[:2] == (403, "DENIED")
    assert called(trail, "InitiateLayerUpload")[0]["errorCode"] == "AccessDeniedException"
    assert client().describe_images(repositoryName="team/app")["imageDetails"] == []


def test_a_denied_pull_is_recorded(address: str, token: str, trail: Trail) -> None:
    ecr.seed([ecr.SeedRepository(name="team/app", images=[ecr.SeedImage(tags=["v1"])], repository_policy=deny("ecr:BatchGetImage"))])
    assert refusal(lambda: pull_image(address, token, "team/app", "v1"))[:2] == (403, "DENIED")
    (record,) = called(trail, "BatchGetImage")
    assert (record["errorCode"], record["userIdentity"]["userName"]) == ("AccessDeniedException", "alice")


def test_seeded_and_archived_images(address: str, token: str) -> None:
    ecr.seed(
        [
            ecr.SeedRepository(
                name="team/app", images=[ecr.SeedImage(tags=["v1"]), ecr.SeedImage(tags=["v0"], archived_at=datetime.now(UTC))]
            )
        ]
    )
    assert b"team/app 0" in pull_image(address, token, "team/app", "v1").layers.values()
    assert refusal(lambda: pull_image(address, token, "team/app", "v0"))[:2] == (404, "MANIFEST_UNKNOWN")
    assert refusal(lambda: pull_image(address, token, "team/gone", "v1"))[:2] == (404, "NAME_UNKNOWN")


def test_throttling_reaches_the_client(address: str, token: str, trail: Trail) -> None:
    template()
    ecr.faults.add("PutImage", "ThrottlingException")
    assert refusal(lambda: push_image(address, token, "team/app", "v1"))[:2] == (429, "TOOMANYREQUESTS")
    push_image(address, token, "team/app", "v1")
    assert [record.get("errorCode") for record in called(trail, "PutImage")] == ["ThrottlingException", None]


@pytest.mark.parametrize("name", ["Team/app", "a___b", "a"])
def test_bad_names_are_refused(address: str, token: str, name: str) -> None:
    template("ROOT")
    assert refusal(lambda: push_image(address, token, name, "v1"))[:2] == (400, "NAME_INVALID")
    assert client().describe_repositories()["repositories"] == []


def test_uploads_in_one_piece_in_chunks_and_with_a_wrong_digest(address: str, token: str) -> None:
    ecr.seed(["team/app"])
    one, two = b"in one piece", b"in two pieces"
    with Client(address, token) as pusher:
        query = urlencode({"digest": manifests.digest_of(one)})
        pusher.expect(201, "POST", f"/v2/team/app/blobs/uploads/?{query}", one)
        headers, _ = pusher.expect(202, "POST", "/v2/team/app/blobs/uploads/", b"")
        location = headers["Location"]
        pusher.expect(202, "PATCH", location, two[:6])
        headers, _ = pusher.expect(202, "PATCH", location, two[6:])
        assert headers["Range"] == f"0-{len(two) - 1}"
        pusher.expect(204, "GET", location)
        wrong = urlencode({"digest": manifests.digest_of(b"else")})
        assert refusal(lambda: pusher.expect(201, "PUT", f"{location}?{wrong}", b""))[:2] == (400, "DIGEST_INVALID")
        pusher.expect(201, "PUT", f"{location}?{urlencode({'digest': manifests.digest_of(two)})}", b"")
        assert pusher.send("HEAD", f"/v2/team/app/blobs/{manifests.digest_of(two)}")[1]["Content-Length"] == str(len(two))
        assert pusher.expect(200, "GET", f"/v2/team/app/blobs/{manifests.digest_of(one)}")[1] == one


def test_a_chunked_request_body_is_read(address: str, token: str) -> None:
    ecr.seed(["team/app"])
    connection = http.client.HTTPConnection(*address.split(":"))  # type: ignore[arg-type]
    query = urlencode({"digest": manifests.digest_of(b"abcdef")})
    connection.request(
        "POST",
        f"/v2/team/app/blobs/uploads/?{query}",
        body=iter([b"abc", b"def"]),
        headers={"Authorization": f"Basic {token}"},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 201
    connection.close()


def test_layers_are_mounted_where_the_account_allows_it(address: str, token: str, trail: Trail) -> None:
    ecr.seed([ecr.SeedRepository(name="team/base", images=[ecr.SeedImage(content="base")]), "team/app"])
    path = f"/v2/team/app/blobs/uploads/?{urlencode({'mount': manifests.digest_of(b'base'), 'from': 'team/base'})}"
    with Client(address, token) as pusher:
        assert pusher.send("POST", path)[0] == 202
        client().put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
        assert pusher.send("POST", path)[0] == 201
    assert len(called(trail, "MountLayer")) == 1


def test_a_manifest_needs_its_layers_and_its_digest(address: str, token: str) -> None:
    ecr.seed(["team/app"])
    text = manifests.image_manifest((manifests.digest_of(b"{}"), 2), [])
    with Client(address, token) as pusher:
        push = pusher.push_manifest
        assert refusal(lambda: push("team/app", "v1", text, manifests.OCI_MANIFEST))[1] == "MANIFEST_BLOB_UNKNOWN"
        pusher.push_blob("team/app", b"{}")
        assert refusal(lambda: push("team/app", f"sha256:{'0' * 64}", text, manifests.OCI_MANIFEST))[1] == "DIGEST_INVALID"
        assert refusal(lambda: push("team/app", "not%20a%20tag", text, manifests.OCI_MANIFEST))[1] == "TAG_INVALID"
        assert push("team/app", "v1", text, manifests.OCI_MANIFEST) == manifests.digest_of(text.encode())


def test_tags_and_referrers_are_listed(address: str, token: str) -> None:
    (subject,) = ecr.seed([ecr.SeedRepository(name="team/app", images=[ecr.SeedImage(tags=["a", "b", "c"])])])["team/app"]
    with Client(address, token) as visitor:
        headers, content = visitor.expect(200, "GET", "/v2/team/app/tags/list?n=2")
        assert json.loads(content)["tags"] == ["a", "b"]
        assert "last=b" in headers["Link"]
        assert json.loads(visitor.expect(200, "GET", "/v2/team/app/tags/list?n=2&last=b")[1])["tags"] == ["c"]
        about = {"subject": {"mediaType": manifests.OCI_MANIFEST, "digest": subject, "size": 1}, "artifactType": "application/sig"}
        text = manifests.image_manifest(visitor.push_blob("team/app", b"{}"), [], **about)
        visitor.push_manifest("team/app", manifests.digest_of(text.encode()), text, manifests.OCI_MANIFEST)
        _, content = visitor.expect(200, "GET", f"/v2/team/app/referrers/{subject}?artifactType=application/sig")
        assert [item["artifactType"] for item in json.loads(content)["manifests"]] == ["application/sig"]
        assert visitor.send("DELETE", "/v2/team/app/manifests/a")[0] == 405


def test_many_clients_push_at_once(address: str, token: str, trail: Trail) -> None:
    template()
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda number: push_image(address, token, "team/app", f"v{number}", layers=[b"%d" % number]), range(24)))
    assert len(set(digests)) == 24
    assert len(called(trail, "CreateRepository")) == 1
    assert trail.writes("team/app") == 1 + len(called(trail, "PutImage")) + sum(
        "errorCode" not in record for record in called(trail, "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload")
    )
