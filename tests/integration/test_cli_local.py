"""The machine interface of the command line, from another process as scripts use it."""

import base64
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.registry.client import push_image
from tests.commands import run as run_here

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "ecr-governor")
POLICY = ROOT / "cli" / "demo" / "policy.yaml"
# The demo's policy, and a namespace in which nothing has to be put right after a push if its template was made beforehand.
BORN_COMPLIANT = """\
  platform:
    required_tags: {team: {set: "{team}"}}
"""
TEMPLATES = "templates: {custom_role_arn: 'arn:aws:iam::123456789012:role/ecr-creation'}\n"


def run(*arguments: str, expect: int = 0) -> Any:
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == expect, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    text = POLICY.read_text()
    assert text.count("  platform:\n") == 1
    file.write_text(text.replace("  platform:\n", BORN_COMPLIANT) + TEMPLATES)
    return file


@pytest.fixture(scope="module")
def ready(policy: Path) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [COMMAND, "local", "up", "--channels", "--policy", str(policy), "--start-time", "2026-01-05T08:00:00"],
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


def ecr(ready: dict[str, Any]) -> Any:
    """Reach the registry, in which a template for payments was made by hand."""
    who = {
        "endpoint_url": ready["aws_endpoint"],
        "region_name": ready["region"],
        "aws_access_key_id": "alice",
        "aws_secret_access_key": "any",
    }
    client: Any = boto3.client("ecr", **who)
    if not client.describe_repository_creation_templates(prefixes=["payments"])["repositoryCreationTemplates"]:
        client.create_repository_creation_template(prefix="payments", appliedFor=["CREATE_ON_PUSH"])
    return client


def push(ready: dict[str, Any], image: str) -> None:
    token = ecr(ready).get_authorization_token()["authorizationData"][0]["authorizationToken"]
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
    assert set(ready) == {"aws_endpoint", "registry", "slack", "dashboard", "account", "region", "pid"}
    assert ready["aws_endpoint"].startswith("http://127.0.0.1:")
    assert run("local", "status")["time"].startswith("2026-01-0")


def test_a_push_shows_in_findings_and_repository(ready: dict[str, Any]) -> None:
    push(ready, "payments/check_out:v1.0.0")
    settled = run("local", "settle")
    assert settled["idle"]
    assert set(settled["dlq"].values()) == {0}
    with urllib.request.urlopen(f"{ready['aws_endpoint']}/_local/sink") as sent:
        assert "Finding Opened" in sent.read().decode(), "a webhook was told as well, since the channels are deployed"
    endpoint = ("--endpoint-url", ready["aws_endpoint"])
    # Other tests push to the same registry.
    found = run("findings", "--repository", "payments/check_out", "--output", "json", *endpoint, expect=1)
    (finding,) = [each for each in found if each["rule"] == "naming"]
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


def test_after_templates_sync_a_push_makes_a_repository_that_needs_no_remedy(
    ready: dict[str, Any], policy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*arguments: str, expect: int) -> Any:
        """Run in this process: others are started often enough."""
        ended = run_here(capsys, monkeypatch, *arguments, "--output", "json", "--endpoint-url", ready["aws_endpoint"])
        assert ended.code == expect, ended.err
        return json.loads(ended.out)

    ecr(ready)  # there is a template for payments, made by hand
    before = here("templates", "which", "platform/tool", expect=1)
    assert before["ways"]["CREATE_ON_PUSH"]["says"] == "nothing: a push would be refused"
    synced = here("templates", "sync", "--policy", str(policy), "--yes", expect=1)
    assert {"change": "create", "prefix": "platform"} in synced["done"]
    assert [each["standing"] for each in synced["templates"] if each["prefix"] == "payments"] == ["taken"]
    told = here("templates", "which", "platform/tool", expect=0)["ways"]["CREATE_ON_PUSH"]["template"]
    push(ready, "platform/tool:v1.0.0")
    assert run("local", "settle")["invocations"]
    shown = here("repository", "platform/tool", expect=0)
    # What is put right was a finding before, and is one for ever.
    assert (shown["origin"], shown["findings"]) == ("create_on_push", [])
    assert shown["facts"]["tags"] == {each["Key"]: each["Value"] for each in told["resourceTags"]} == {"team": "platform"}
    assert shown["facts"]["tag_mutability"] == told["imageTagMutability"] == "IMMUTABLE"
    assert shown["facts"]["lifecycle_policy"] == json.loads(told["lifecyclePolicy"])


def test_who_set_what_what_an_event_would_do_and_what_a_policy_would_have_done(ready: dict[str, Any], tmp_path: Path) -> None:
    push(ready, "payments/blamed_one:v1.0.0")
    run("local", "settle")
    endpoint = ("--output", "json", "--endpoint-url", ready["aws_endpoint"])
    blamed = run("ledger", "blame", "payments/blamed_one", "--lookup", *endpoint)
    by = {each["setting"]: (each["by"], each["source"].partition(" ")[0]) for each in blamed["settings"]}
    assert by["lifecycle policy"] == by["tag owner"] == ("ECR Governor", "ledger")
    assert by["scanning"] == ("AWSServiceRoleForECRTemplate/ecr-create-on-push", "event")
    event = json.loads((ROOT / "events" / "put-image.json").read_text().replace("payments/api", "payments/blamed_one"))
    (tmp_path / "event.json").write_text(json.dumps(event))
    replayed = run("replay", str(tmp_path / "event.json"), *endpoint)
    assert (replayed["looked"], replayed["function"]) == (False, "image_events")
    (tmp_path / "event.json").write_text(json.dumps(event).replace("PutImage", "DeleteLifecyclePolicy"))
    replayed = run("replay", str(tmp_path / "event.json"), *endpoint, expect=1)
    assert {each["rule"]: each["verdict"] for each in replayed["judgements"]}["naming"] == "violated"
    assert (replayed["remedies"], replayed["change"]) == ([], None)
    told = run("policy", "backtest", str(POLICY), "--lookup", "--region", ready["region"], "--delay", "0", *endpoint)
    (fate,) = (each for each in told["fates"] if each["repository"] == "payments/blamed_one")
    assert {each["rule"] for each in fate["findings"]} >= {"naming", "lifecycle-policy", "tag-mutability"}
    assert told["complete"] is True


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
