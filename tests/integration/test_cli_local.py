"""The machine interface of the command line, from another process as scripts use it."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.registry.client import push_image

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "ecr-governor")
POLICY = ROOT / "cli" / "demo" / "policy.yaml"


def run(*arguments: str, expect: int = 0) -> Any:
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == expect, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def ready() -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [COMMAND, "local", "up", "--policy", str(POLICY), "--start-time", "2026-01-05T08:00:00"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            run("local", "down")
        assert process.wait(20) == 0


def push(ready: dict[str, Any], image: str) -> None:
    who = {
        "endpoint_url": ready["aws_endpoint"],
        "region_name": ready["region"],
        "aws_access_key_id": "alice",
        "aws_secret_access_key": "any",
    }
    ecr: Any = boto3.client("ecr", **who)
    if not ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]:
        ecr.create_repository_creation_template(prefix="payments", appliedFor=["CREATE_ON_PUSH"])
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    repository, _, tag = image.partition(":")
    if skopeo := shutil.which("skopeo"):
        source = ROOT / ".build" / "layout"
        _layout(source)
        credentials = base64.b64decode(token).decode()
        command = [skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", credentials]
        subprocess.run([*command, f"oci:{source}:image", f"docker://{ready['registry']}/{image}"], check=True, capture_output=True)
    else:
        push_image(ready["registry"], token, repository, tag)


def _layout(folder: Path) -> None:
    from cli.demo.stage import _write_layout  # noqa: PLC0415 - only with skopeo

    if not folder.exists():
        folder.mkdir(parents=True)
        _write_layout(folder, b"hello")


def test_up_says_where_everything_is(ready: dict[str, Any]) -> None:
    assert set(ready) == {"aws_endpoint", "registry", "slack", "account", "region", "pid"}
    assert ready["aws_endpoint"].startswith("http://127.0.0.1:")
    assert run("local", "status")["time"].startswith("2026-01-0")


def test_a_push_shows_in_findings_and_repository(ready: dict[str, Any]) -> None:
    push(ready, "payments/check_out:v1.0.0")
    settled = run("local", "settle")
    assert settled["idle"]
    assert set(settled["dlq"].values()) == {0}
    endpoint = ("--endpoint-url", ready["aws_endpoint"])
    (finding,) = [each for each in run("findings", "--output", "json", *endpoint, expect=1) if each["rule"] == "naming"]
    assert {"repository", "rule", "severity", "state", "mode", "reason", "remedies", "opened_at", "resolved_at"} <= set(finding)
    assert (finding["repository"], finding["state"], finding["resolved_at"]) == ("payments/check_out", "open", None)
    listed = subprocess.run([COMMAND, "findings", *endpoint], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stdout
    assert finding["reason"] in listed, "a pipe gets every line whole"
    shown = run("repository", "payments/check_out", "--output", "json", *endpoint)
    assert shown["origin"] == "create_on_push"
    assert shown["pusher"]["name"] == "alice"
    assert shown["facts"]["tag_mutability"] == "IMMUTABLE"
    assert shown["evidence"]
    resolved = run("findings", "--state", "resolved", "--repository", "payments/check_out", "--output", "json", *endpoint, expect=1)
    assert {each["rule"] for each in resolved} >= {"lifecycle-policy", "tag-mutability"}


def test_advance_moves_the_clock_and_fires_what_is_due(ready: dict[str, Any]) -> None:
    before = run("local", "status")["time"]
    counts = run("local", "advance", "2d")
    assert counts["idle"]
    assert next(number for name, number in counts["invocations"].items() if "DueChecks" in name) == 48
    assert before[:10] < run("local", "status")["time"][:10]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("local", "advance", "soon"), ["error: soon is no time span", "  why:", "  do:"]),
        (("findings", "--state", "odd", "--endpoint-url", "http://127.0.0.1:1"), ["error: there is no state odd"]),
        (("policy", "validate", "nowhere.yaml"), ["error: nowhere.yaml cannot be read"]),
        (("local", "up", "--mode", "wild"), ["error: there is no mode wild"]),
    ],
)
def test_a_mistake_is_three_lines_and_no_traceback(arguments: tuple[str, ...], words: list[str]) -> None:
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)


def test_an_invalid_policy_is_refused_with_line_and_remedy_before_anything_starts(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nmode: audit\nnamin:\n  convention: x\n")
    done = subprocess.run(
        [COMMAND, "local", "up", "--policy", str(policy)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert f"{policy}:3:1" in done.stderr
    assert "naming" in done.stderr
