"""The embedded AWS from outside: control API, time, and its end."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.server import EmbeddedAws

ROOT = Path(__file__).parents[3]


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(start_time=datetime(2026, 1, 5, 8, tzinfo=UTC)) as embedded:
        yield embedded


def ask(address: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.split("/")[2])
    connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def control(endpoint: str, name: str, **arguments: Any) -> Any:
    status, content = ask(endpoint, f"/_local/{name}", json.dumps(arguments).encode() if arguments else None)
    assert status == 200, content
    return json.loads(content)


def test_tells_its_status_and_moves_its_clock(aws: EmbeddedAws) -> None:
    status = control(aws.endpoint, "status")
    assert status["time"].startswith("2026-01-05T08:00")
    assert (status["idle"], status["registry"], status["slack"]) == (True, aws.registry_address, aws.slack.url)
    assert control(aws.endpoint, "advance", seconds=86400)["idle"] is True
    assert control(aws.endpoint, "status")["time"].startswith("2026-01-06T08:00")
    aws.client("ecr").create_repository(repositoryName="dated")
    created = aws.client("ecr").describe_repositories()["repositories"][0]["createdAt"]
    assert abs(created - datetime(2026, 1, 6, 8, tzinfo=UTC)) < timedelta(minutes=1)
    assert control(aws.endpoint, "settle")["ecr_writes"] == 1


def test_troubles_slack_and_ecr(aws: EmbeddedAws) -> None:
    control(aws.endpoint, "slack", mode="down", times=1)
    path = aws.slack.webhook_url.removeprefix(aws.slack.url.rstrip("/"))
    assert [ask(aws.slack.url, path, b'{"text": "x"}')[0] for _ in range(2)] == [500, 200]
    assert [message["payload"]["text"] for message in control(aws.endpoint, "slack/messages")] == ["x"]
    control(aws.endpoint, "faults", operation="CreateRepository", error="ThrottlingException")
    with pytest.raises(aws.client("ecr").exceptions.ClientError, match="Rate exceeded"):
        aws.client("ecr").create_repository(repositoryName="troubled")
    aws.client("ecr").create_repository(repositoryName="troubled")


def test_wrong_questions_get_a_reason(aws: EmbeddedAws) -> None:
    for name, status in (("nothing", 404), ("advance", 400), ("logs?function=x", 400)):
        answered, content = ask(aws.endpoint, f"/_local/{name}")
        assert answered == status
        assert json.loads(content)["error"]


def test_listens_on_loopback_only(aws: EmbeddedAws) -> None:
    assert aws.endpoint.startswith("http://127.0.0.1:")
    assert aws.slack.url.startswith("http://127.0.0.1:")
    assert aws.registry_address.startswith("127.0.0.1:")


def test_gives_the_process_its_time_back(aws: EmbeddedAws) -> None:
    aws.stop()
    assert datetime.now(UTC) - datetime(2026, 1, 5, tzinfo=UTC) > timedelta(days=30)


def test_a_new_account_is_empty() -> None:
    with EmbeddedAws() as first:
        first.client("sqs").create_queue(QueueName="left")
        first.client("ecr").create_repository(repositoryName="left")
    with EmbeddedAws() as second:
        assert "QueueUrls" not in second.client("sqs").list_queues()
        assert second.client("ecr").describe_repositories()["repositories"] == []


SCRIPT = """
import sys, time
from pathlib import Path
from local.activity import Activity
from local.lambdas.function import FunctionConfig, Host
from local.lambdas.runtime_directory import runtime_directory
from local.lambdas.service import Lambdas
lambdas = Lambdas(Activity())
host = Host(runtime_directory(Path(".build")), "http://127.0.0.1:1", "eu-west-1", lambda _: {}, lambda: 0.0)
lambdas.deploy(FunctionConfig(name="f", arn="a", handler="app.handler", code=Path(sys.argv[1]), role_arn="r"), host)
print(lambdas.invoke("f", {}).payload.decode(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_functions_end_with_the_process_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    return os.getpid()\n")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "zombie" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end, "the function outlived its parent"
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(parent.pid, 0)
