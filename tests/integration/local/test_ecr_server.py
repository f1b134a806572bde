"""ECR over HTTP, as the functions and the command line reach it."""

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from local import ecr
from local.trail import Trail


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    ecr.install(Trail(lambda _event: None))
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def trail(endpoint: str) -> Trail:
    BackendDict.reset()
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    return trail


@pytest.fixture
def api(endpoint: str, trail: Trail) -> Any:
    config = Config(retries={"total_max_attempts": 1}, user_agent="tool/1")
    session = boto3.Session("alice", "x", region_name="eu-west-1")
    return session.client("ecr", endpoint_url=endpoint, config=config)


def test_a_call_over_http_is_recorded_with_its_caller(api: Any, trail: Trail) -> None:
    api.create_repository(repositoryName="team/app")
    record = trail.history[0]["detail"]
    assert record["userIdentity"]["userName"] == "alice"
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert record["userAgent"].startswith("tool/1")
    assert record["awsRegion"] == "eu-west-1"


def test_what_is_not_implemented_is_a_client_error_and_no_page(api: Any, trail: Trail) -> None:
    with pytest.raises(ClientError) as caught:
        api.get_signing_configuration()
    assert caught.value.response["Error"]["Code"] == "NotImplementedByEmulator"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert trail.history == []


def test_a_subscriber_may_call_ecr_while_it_is_told(api: Any) -> None:
    def publish(event: dict[str, Any]) -> None:
        if event["detail"].get("eventName") == "CreateRepository":
            done.append(api.describe_repositories()["repositories"][0]["repositoryName"])

    done: list[str] = []
    ecr.install(Trail(publish))
    worker = threading.Thread(target=api.create_repository, kwargs={"repositoryName": "team/app"})
    worker.start()
    worker.join(10)
    assert done == ["team/app"]
