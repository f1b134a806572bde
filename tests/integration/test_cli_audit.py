"""`ecr-governor audit` against an AWS that answers, refuses, is slow or is not there."""

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.audit_output import OUTPUTS
from cli.main import main
from local import ecr
from local.ecr import SeedImage, SeedRepository
from local.server import EmbeddedAws
from tests.fakes import LIFECYCLE

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "ecr-governor")
NOW = datetime.now(UTC)
OLD, LATELY = NOW - timedelta(days=400), NOW - timedelta(days=5)
POLICY = f"""version: 1
naming: {{convention: "{{team}}/{{service}}", segments: {{service: {{regex: "[a-z-]+"}}}}}}
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    tag_mutability: IMMUTABLE
    scan_frequency: SCAN_ON_PUSH
    required_tags: {{owner: "*"}}
    unused: {{after: 90d}}
  search:
    image_tags: "v*"
limits: {{calls_per_second: 10000, pull_metrics: true}}
"""
CLEAN = "version: 1\nrules: {repository-policy: off}\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


@pytest.fixture
def registry(aws: EmbeddedAws) -> Iterator[EmbeddedAws]:
    backend = ecr.backend_of()
    backend.repositories.clear()
    ecr.seed(
        [
            SeedRepository(
                name="payments/api",
                created_at=OLD,
                mutability="IMMUTABLE",
                scan_on_push=True,
                tags={"owner": "alice"},
                lifecycle_policy=json.dumps(LIFECYCLE),
                images=[SeedImage(tags=["v1"], pushed_at=OLD, pulled_at=LATELY, size=1000)],
            ),
            SeedRepository(name="payments/idle", created_at=OLD, tags={"owner": "=cmd()"}, images=[SeedImage(pushed_at=OLD, size=5)]),
            SeedRepository(name="search/index", created_at=OLD, images=[SeedImage(tags=["latest"], pushed_at=LATELY)]),
            SeedRepository(name="wrong", created_at=LATELY),
        ]
    )
    # CloudWatch knows of a pull from the one, not from the others.
    data = {"MetricName": "RepositoryPullCount", "Timestamp": LATELY, "Value": 1}
    dimensions = [{"Name": "RepositoryName", "Value": "payments/api"}]
    aws.client("cloudwatch").put_metric_data(Namespace="AWS/ECR", MetricData=[{**data, "Dimensions": dimensions}])
    yield aws
    ecr.faults.clear()
    backend.repositories.clear()


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def run(registry: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(registry.endpoint, tmp_path).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, **env: str) -> tuple[int, str, str]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["ecr-governor", "audit", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return run


def environment(endpoint: str, home: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "auditor",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_CONFIG_FILE": str(home / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


# --- what is told ---------------------------------------------------------------------------------------------------------------------


def test_json_says_all_of_every_repository(run: Run, policy: Path) -> None:
    code, out, _ = run("--policy", str(policy), "--output", "json")
    document = json.loads(out)
    assert code == 1
    assert (document["account"], document["region"], document["complete"], document["incomplete_because"]) == (
        "123456789012",
        "eu-west-1",
        True,
        [],
    )
    assert [each["name"] for each in document["repositories"]] == ["payments/api", "payments/idle", "search/index", "wrong"]
    api, idle, index, wrong = document["repositories"]
    assert set(api) == {
        "name", "origin", "owner", "findings", "undetermined", "images", "size_bytes", "last_push", "last_pull", "unused",
    }  # fmt: skip
    assert (api["owner"], api["findings"], api["unused"], api["origin"]) == ("alice", [], False, "unknown")
    assert {finding["rule"] for finding in idle["findings"]} == {"lifecycle-policy", "scanning", "tag-mutability", "unused"}
    assert (idle["unused"], idle["images"], idle["last_pull"], idle["last_push"]) == (
        True,
        1,
        None,
        OLD.isoformat(),
    )
    assert {finding["rule"] for finding in index["findings"]} >= {"image-tag", "required-tags"}
    assert {finding["rule"] for finding in wrong["findings"]} >= {"naming"}
    for each in document["repositories"]:
        for finding in each["findings"]:
            assert set(finding) == {"rule", "severity", "reason", "state"}
    assert document["calls"] == {
        "cloudwatch:GetMetricData": 1,
        "ecr:BatchGetRepositoryScanningConfiguration": document["calls"]["ecr:BatchGetRepositoryScanningConfiguration"],
        "ecr:DescribeImages": 2,
        "ecr:DescribePullThroughCacheRules": 1,
        "ecr:DescribeRepositories": 1,
        "ecr:DescribeRepositoryCreationTemplates": 1,
        "ecr:GetLifecyclePolicy": 4,
        "ecr:GetRepositoryPolicy": 4,
        "tag:GetResources": 1,
    }


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_is_whole_and_nothing_else_is_on_stdout(run: Run, policy: Path, output: str) -> None:
    code, out, err = run("--policy", str(policy), "--output", output)
    assert code == 1
    match output:
        case "json" | "sarif":
            json.loads(out)
        case "jsonl":
            assert json.loads(out.splitlines()[-1])["summary"]["violating"] == 3
        case "csv":
            rows = list(csv.DictReader(io.StringIO(out)))
            assert {row["repository"] for row in rows} == {"payments/api", "payments/idle", "search/index", "wrong"}
            assert {row["owner"] for row in rows} == {"alice", "'=cmd()", ""}
        case "markdown":
            assert out.startswith("## Amazon ECR")
        case "html":
            assert out.startswith("<!doctype html>")
            assert "3 of 4 repositories need somebody" in out
        case "table":
            assert "3 of 4 repositories violating" in out
    assert ("3 of 4 repositories violating" in err) is (output not in {"table", "markdown"})


def test_sarif_names_the_policy_file_below_the_present_folder(
    run: Run, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(*arguments: str) -> str:
        log = json.loads(run(*arguments, "--output", "sarif")[1])
        return str(log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])

    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    policy.rename(tmp_path / "below" / "policy.yaml")
    assert place("--policy", "below/policy.yaml") == "below/policy.yaml"
    assert place("--policy", str(tmp_path / "below" / "policy.yaml")) == "below/policy.yaml"
    monkeypatch.chdir("/")
    assert place() == "default_policy.yaml"


def test_several_regions_are_told_one_after_the_other(run: Run, policy: Path) -> None:
    ecr.seed(["elsewhere/one"], region="us-east-1")
    code, out, _ = run(
        "--policy", str(policy), "--output", "json", "--region", "eu-west-1", "--region", "us-east-1", "--region", "eu-west-1"
    )
    documents = json.loads(out)
    assert [(each["region"], len(each["repositories"])) for each in documents] == [("eu-west-1", 4), ("us-east-1", 1)]
    assert code == 1


def test_images_are_counted_on_request(run: Run, policy: Path) -> None:
    _, out, _ = run("--policy", str(policy), "--output", "json", "--count-images")
    assert {each["name"]: each["images"] for each in json.loads(out)["repositories"]} == {
        "payments/api": 1, "payments/idle": 1, "search/index": 1, "wrong": 0,
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["off", "audit", "enforce"])
def test_it_judges_in_audit_whatever_the_mode_and_the_hash_stays_the_files(run: Run, policy: Path, mode: str) -> None:
    policy.write_text(POLICY.replace("version: 1", f"version: 1\nmode: {mode}"))
    code, out, _ = run("--policy", str(policy), "--output", "json")
    told = subprocess.run([COMMAND, "policy", "validate", str(policy)], capture_output=True, text=True, check=True).stderr
    assert told.strip().endswith(json.loads(out)["policy_hash"])
    assert code == 1


def test_without_a_policy_the_bundled_one_judges_and_without_credentials_the_embedded_aws_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    code, out, _ = run("--output", "json")
    assert (code, json.loads(out)["region"]) == (1, "eu-west-1")


# --- exit codes and troubles ----------------------------------------------------------------------------------------------------------


def three_lines(err: str) -> list[str]:
    lines = err.strip().splitlines()
    assert [line.split(":")[0].strip() for line in lines[-3:]] == ["error", "why", "do"], err
    return lines[-3:]


def test_a_registry_in_order_is_clean(run: Run, policy: Path) -> None:
    policy.write_text(CLEAN)
    assert run("--policy", str(policy))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--output", "xml"], {}),
        (["--policy", "nowhere.yaml"], {}),
        (["--region", "not a region"], {}),
        (["--region", "evil.example/"], {}),
        (["--endpoint-url", "nonsense"], {}),
        (["--endpoint-url", "ftp://x"], {}),
        (["--permissions", "--region", "atlantis-1"], {}),
    ],
)
def test_a_mistake_is_told_in_three_lines(run: Run, arguments: list[str], env: Mapping[str, str]) -> None:
    code, out, err = run(*arguments, **env)
    assert (code, out) == (2, "")
    three_lines(err)


def test_a_policy_with_a_fault_is_told_with_its_line(run: Run, policy: Path) -> None:
    policy.write_text("version: 1\nmoed: audit\n")
    code, out, err = run("--policy", str(policy))
    assert (code, out) == (2, "")
    assert "2:1: moed: unknown key" in err


@pytest.mark.parametrize("rate", ["0", "10001", "x"])
def test_a_rate_that_is_none_is_a_usage_error(run: Run, rate: str) -> None:
    assert run("--calls-per-second", rate)[0] == 2


def test_without_a_region_there_is_nothing_to_audit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    code, _, err = run()
    assert code == 2
    assert "no AWS Region" in three_lines(err)[0]


def test_a_profile_that_is_not_there_and_no_credentials_at_all_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("--profile", "nobody")
    assert code == 4
    assert "nobody" in three_lines(err)[1]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    code, _, err = run("--endpoint-url", "http://127.0.0.2:9")
    assert code == 4
    assert "no AWS credentials" in three_lines(err)[0]


def test_an_aws_that_is_not_there_is_told(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, out, err = run("--endpoint-url", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (code, out) == (3, "")
    assert "AWS cannot be reached" in three_lines(err)[0]


@pytest.mark.parametrize("output", ["json", "sarif", "jsonl"])
@pytest.mark.parametrize("operation", ["DescribeRepositories", "GetLifecyclePolicy"])
def test_credentials_that_expire_end_it_and_what_was_written_is_whole(run: Run, policy: Path, operation: str, output: str) -> None:
    ecr.faults.add(operation, "ExpiredTokenException", times=None)
    code, out, err = run("--policy", str(policy), "--output", output, "--region", "eu-west-1", "--region", "us-east-1")
    assert code == 4
    assert "does not accept the credentials in eu-west-1" in three_lines(err)[0]
    documents = [json.loads(line) for line in out.splitlines()] if output == "jsonl" else json.loads(out)
    if output == "json":
        assert documents[0]["complete"] is False


DENIED = {
    "DescribeRepositories": None,
    "DescribeImages": "unused",
    "GetLifecyclePolicy": "lifecycle-policy",
    "GetRepositoryPolicy": "repository-policy",
    "BatchGetRepositoryScanningConfiguration": "scanning",
    "DescribePullThroughCacheRules": "naming",
    "DescribeRepositoryCreationTemplates": "",
}


@pytest.mark.parametrize(("operation", "rule"), DENIED.items())
def test_what_may_not_be_read_makes_it_incomplete(run: Run, policy: Path, operation: str, rule: str | None) -> None:
    ecr.faults.add(operation, "AccessDeniedException", times=None)
    code, out, err = run("--policy", str(policy), "--output", "json")
    document = json.loads(out)
    assert code == 3
    assert document["complete"] is False
    assert any(f"ecr:{operation}: AccessDeniedException" in why for why in document["incomplete_because"])
    assert "incomplete: eu-west-1: " in err
    if rule is None:
        assert document["repositories"] == []
    elif rule:
        assert any(rule in each["undetermined"] for each in document["repositories"])
        assert not any(finding["rule"] == rule for each in document["repositories"] for finding in each["findings"])


# --- permissions ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def role(registry: EmbeddedAws) -> Iterator[str]:
    """A role without any rights, which the embedded AWS enforces."""
    iam, trust = registry.client("iam"), {"Version": "2012-10-17", "Statement": []}
    arn = iam.create_role(RoleName="auditor", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    assert registry.roles is not None
    registry.roles.register(arn, "Auditor")
    yield str(arn)
    for name in iam.list_role_policies(RoleName="auditor")["PolicyNames"]:
        iam.delete_role_policy(RoleName="auditor", PolicyName=name)
    iam.delete_role(RoleName="auditor")


def grant(aws: EmbeddedAws, document: Mapping[str, Any], role: str) -> dict[str, str]:
    assert aws.roles is not None
    aws.client("iam").put_role_policy(RoleName="auditor", PolicyName="read", PolicyDocument=json.dumps(document))
    aws.authorizations.clear()
    return aws.roles.credentials(role, "audit")


@pytest.mark.parametrize("more", [[], ["--count-images"]])
@pytest.mark.parametrize("text", [POLICY, CLEAN, None])
def test_the_printed_permissions_are_just_those_that_it_takes(
    registry: EmbeddedAws, run: Run, role: str, policy: Path, text: str | None, more: list[str]
) -> None:
    chosen = [] if text is None else ["--policy", str(policy)]
    policy.write_text(text or "")
    _, printed, _ = run("--permissions", "--region", "eu-west-1", *chosen, *more)
    document = json.loads(printed)
    writes = registry.trail.writes()
    credentials = grant(registry, document, role)
    code, out, err = run("--output", "json", *chosen, *more, **credentials)
    assert code in {0, 1}, err
    assert json.loads(out)["complete"] is True
    used = {action for action, _ in registry.authorizations.used("Auditor")}
    granted = {action for statement in document["Statement"] for action in statement["Action"]}
    assert used == granted
    assert registry.authorizations.denied() == []
    assert registry.trail.writes() == writes
    assert all(action.partition(":")[2].startswith(("Describe", "Get", "List", "BatchGet")) for action in used)


def test_without_any_one_of_the_permissions_it_is_incomplete(registry: EmbeddedAws, run: Run, role: str, policy: Path) -> None:
    _, printed, _ = run("--permissions", "--policy", str(policy))
    document = json.loads(printed)
    for missing in sorted({action for statement in document["Statement"] for action in statement["Action"]}):
        less = [{**statement, "Action": [each for each in statement["Action"] if each != missing]} for statement in document["Statement"]]
        credentials = grant(registry, {**document, "Statement": less}, role)
        code, out, _ = run("--policy", str(policy), "--output", "json", **credentials)
        # Without pull counts the images tell, at more calls.
        assert (code, json.loads(out)["complete"]) == ((1, True) if missing == "cloudwatch:GetMetricData" else (3, False)), missing


def test_whoever_may_read_tags_only_one_by_one_is_served_as_well(registry: EmbeddedAws, run: Run, role: str, policy: Path) -> None:
    _, printed, _ = run("--permissions", "--policy", str(policy))
    credentials = grant(registry, json.loads(printed.replace("tag:GetResources", "ecr:ListTagsForResource")), role)
    code, out, _ = run("--policy", str(policy), "--output", "json", **credentials)
    assert (code, json.loads(out)["complete"]) == (1, True)
    assert [each["owner"] for each in json.loads(out)["repositories"]] == ["alice", "=cmd()", None, None]


# --- as a process ---------------------------------------------------------------------------------------------------------------------


def started(aws: EmbeddedAws, home: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name not in {"NO_COLOR", "FORCE_COLOR"}}
    env = {**base, **environment(aws.endpoint, home), **options.pop("env", {})}
    return subprocess.Popen([COMMAND, "audit", *arguments], cwd=ROOT, env=env, **options)


def many(count: int = 1500) -> None:
    ecr.seed(SeedRepository(name=f"payments/service-{number}", created_at=OLD) for number in range(count))


def test_an_interrupt_ends_it_at_once_without_a_traceback(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    many()
    slow = ecr.faults.add("GetLifecyclePolicy", latency=0.3, times=10_000)
    arguments = ("--policy", str(policy), "--output", "jsonl", "--calls-per-second", "5")
    process = started(registry, tmp_path, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while slow.remaining == 10_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (130, "interrupted\n")
    assert slow.remaining > 0


def test_a_reader_that_goes_away_ends_it_quietly(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    many()
    process = started(registry, tmp_path, "--policy", str(policy), "--output", "jsonl", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["name"] == "payments/api"
    process.stdout.close()
    err = process.stderr.read().decode()
    assert (process.wait(60), err) == (141, "")


def test_what_the_encoding_lacks_is_written_otherwise(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    policy.write_text(POLICY.replace('owner: "*"', 'owner: "b*"'))
    ecr.seed([SeedRepository(name="payments/api", created_at=OLD, tags={"owner": "Zo\u00eb"})])
    arguments = ("--policy", str(policy), "--output", "csv", "--quiet")
    process = started(registry, tmp_path, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")
    assert rb"Zo\xeb" in out


def on_a_terminal(aws: EmbeddedAws, home: Path, *arguments: str, **env: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    process = started(
        aws, home, *arguments, stdout=theirs, stderr=theirs, stdin=theirs, env={"TERM": "xterm-256color", "COLUMNS": "100", **env}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(30), shown.decode()


def test_on_a_terminal_there_are_colours_and_a_bar_that_vanishes(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    many(60)
    ecr.faults.add("GetRepositoryPolicy", latency=0.2, times=40)
    code, shown = on_a_terminal(registry, tmp_path, "--policy", str(policy))
    assert code == 1
    assert "\x1b[31m" in shown
    assert re.search(r"of 64 repositories", shown), shown[:2000]
    assert "63 of 64 repositories violating" in shown
    assert "Traceback" not in shown


def test_on_a_terminal_without_colours_or_progress(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    ecr.faults.add("GetRepositoryPolicy", latency=0.2, times=20)
    code, shown = on_a_terminal(registry, tmp_path, "--policy", str(policy), "--quiet", NO_COLOR="1")
    assert code == 1
    assert not re.search(r"\x1b\[(1;)?3[0-9]m", shown)
    assert "of 4 repositories," not in shown


def test_json_on_a_terminal_stays_json(registry: EmbeddedAws, policy: Path, tmp_path: Path) -> None:
    _, shown = on_a_terminal(registry, tmp_path, "--policy", str(policy), "--output", "json", "--quiet")
    assert len(json.loads(shown)["repositories"]) == 4
