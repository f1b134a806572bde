"""The scenes. Each does something to the registry, waits, and holds what came out against what should."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from cli import retirement
from cli.build import ensure_built
from cli.demo.stage import Refused, Stage
from cli.deployment import Deployment
from cli.embedded import ACCOUNT, REGION, STACK, running, upload_policy
from cli.trouble import Exit, Trouble
from ecr_governor.app.notify import CHAT
from ecr_governor.core.record import break_in
from ecr_governor.core.retirement.snapshot import DELETE_AFTER
from ecr_governor.core.retirement.state import Stage as Retired
from local import ecr
from local.principals import identify
from local.trail.files import write_files

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
POLICY = Path(__file__).with_name("policy.yaml")
CI = "ci-payments/build-812"
BURST = 20
ALICE = "U0LOCAL0001"
"""Somebody in the Slack of the embedded AWS."""
RETIRING = VETOED, WANTED, UNWANTED, RESTORED = ("platform/reports", "platform/invoices", "platform/prototype", "platform/billing")
SWEEPS = "@sweep"
"""Under which the ledger keeps sweeps."""


class Disappointed(Exception):
    """Something did not come out as it should."""


@dataclass
class Scene:
    """One scene as it went: what was done, what came out."""

    title: str
    facts: list[str] = field(default_factory=list)
    seconds: float = 0.0
    problem: str = ""


Play = Callable[[Stage], Iterator[str]]


def tell(out: Path) -> None:
    """Tell the story; write `summary.json`, `slack.html`, `report.html`, `ledger.jsonl` and CloudTrail's files. Exit code 1 if anything did not come out as it should."""
    if out.exists() and not out.is_dir():
        raise Trouble(f"{out} is no folder", "the summary, the pages and the ledger are written into one", "--out out/demo")
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print(Text("ECR Governor, on an embedded AWS: no account, no Docker, nothing leaves this machine\n", style="bold"))
    with console.status("building the functions as AWS would run them"):
        ensure_built()
    begun = time.monotonic()
    with running(policy=POLICY.read_bytes(), start_time=START, parameters={"EnableDelete": "true"}) as aws:
        stage = Stage(aws)
        how = "skopeo, a real registry client" if stage.skopeo else "the registry protocol from Python (skopeo is not installed)"
        console.print(f"Deployed in {time.monotonic() - begun:.1f} s. Images are pushed with {how}.\n")
        scenes = [_play(console, number, title, play, stage) for number, (title, play) in enumerate(SCENES, start=1)]
        out.mkdir(parents=True, exist_ok=True)
        summary = _summary(stage, scenes, time.monotonic() - begun)
        (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        (out / "slack.html").write_text(aws.slack.export_html())
        (out / "report.html").write_bytes(stage.report())
        shutil.rmtree(out / "trail", ignore_errors=True)
        write_files(aws.trail.history, out / "trail", account=ACCOUNT, region=REGION, until=aws.clock.now())
        with (out / "ledger.jsonl").open("w") as ledger:
            for record in sorted(stage.ledger.all_records(), key=lambda record: record.name):
                for entry in stage.ledger.entries(record.name):
                    line = {
                        "repository": entry.repository,
                        "number": entry.number,
                        "kind": entry.kind,
                        "hash": entry.hash,
                        "body": entry.body,
                    }
                    ledger.write(json.dumps(line, ensure_ascii=False) + "\n")
    failed = [scene for scene in scenes if scene.problem]
    _farewell(console, out, summary)
    if failed:
        raise typer.Exit(Exit.VIOLATIONS)


def _play(console: Console, number: int, title: str, play: Play, stage: Stage) -> Scene:
    scene = Scene(title)
    begun = time.monotonic()
    console.print(Text(f"{number:>2}  {title}", style="bold"))
    try:
        for fact in play(stage):
            scene.facts.append(fact)
            console.print(Text("    ✓ ", style="green") + Text(fact))
    except (Disappointed, LookupError, TimeoutError) as problem:
        scene.problem = f"{type(problem).__name__}: {problem}"
        console.print(Text("    ✗ ", style="red") + Text(scene.problem))
    scene.seconds = round(time.monotonic() - begun, 2)
    return scene


def _summary(stage: Stage, scenes: list[Scene], seconds: float) -> dict[str, Any]:
    records = sorted(stage.ledger.all_records(), key=lambda record: record.name)
    findings = [finding for record in records for finding in record.findings]
    return {
        "ok": not any(scene.problem for scene in scenes),
        "seconds": round(seconds, 1),
        "scenes": [vars(scene) for scene in scenes],
        "repositories": len(records),
        "findings": {state: sum(finding.state == state for finding in findings) for state in ("open", "exempt", "resolved")},
        "slack_messages": len(stage.messages()),
        "writes_in_ecr": len(stage.our_writes()),
        "dead_letters": [reason for _, reason in stage.dead_letters()],
    }


def _farewell(console: Console, out: Path, summary: dict[str, Any]) -> None:
    found = summary["findings"]
    console.print(
        f"\n{summary['repositories']} repositories, {found['open']} open findings, {found['resolved']} resolved, "
        f"{summary['writes_in_ecr']} changes made in ECR, {summary['slack_messages']} Slack messages, in {summary['seconds']} s."
    )
    console.print(
        f"\nLook at\n  {out}/report.html    the report of the last Monday\n  {out}/slack.html     the messages as people see them\n  {out}/ledger.jsonl   every decision, with its reason"
    )
    console.print(f"  {out}/summary.json   this story as data")
    console.print(
        f"  {out}/trail/         CloudTrail's records of it: ecr-governor policy backtest cli/demo/policy.yaml --events {out}/trail --delay 0"
    )


def _expect(holds: object, what: str) -> str:
    if not holds:
        raise Disappointed(what)
    return what


def _template(stage: Stage, prefix: str, **settings: Any) -> None:
    stage.client("ecr", "platform").create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"], **settings)


def _statement(sid: str, who: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": who, "Action": "ecr:BatchGetImage"}


def _let_in(stage: Stage, repository: str, by: str, sid: str, who: Any) -> None:
    """Add a statement to a repository's policy."""
    policy = json.loads(stage.policy(repository) or "{}")
    text = json.dumps({**policy, "Statement": [*policy.get("Statement", ()), _statement(sid, who)]})
    stage.client("ecr", by).set_repository_policy(repositoryName=repository, policyText=text)


# --- scenes ----------------------------------------------------------------------------------------------------------------------------


def created_on_push(stage: Stage) -> Iterator[str]:
    _template(stage, "payments")
    stage.push("payments/api:v1.0.0", CI)
    stage.settle()
    record = stage.record("payments/api")
    yield _expect(record.provenance.origin == "create_on_push", "ECR created payments/api by itself; its origin is create_on_push")
    yield _expect(record.provenance.pusher and record.provenance.pusher.name == CI, f"the pusher is {CI}, though ECR made the call")
    facts = stage.client("ecr")
    policy = json.loads(facts.get_lifecycle_policy(repositoryName="payments/api")["lifecyclePolicyText"])
    yield _expect(policy["rules"][0]["selection"]["countNumber"] == 14, "it has the lifecycle policy of the namespace")  # noqa: PLR2004
    statements = json.loads(facts.get_repository_policy(repositoryName="payments/api")["policyText"])["Statement"]
    yield _expect(statements[0]["Sid"] == "ProductionMayPull", "it has the repository policy of the namespace")
    found = facts.describe_repositories(repositoryNames=["payments/api"])["repositories"][0]
    yield _expect(found["imageTagMutability"] == "IMMUTABLE", "its tags are immutable")
    tags = {tag["Key"]: tag["Value"] for tag in facts.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]}
    yield _expect(tags == {"owner": CI, "team": "payments"}, f"it carries owner={tags.get('owner')} and team={tags.get('team')}")
    yield _expect(not stage.open_findings("payments/api"), "no finding is left open")


def in_good_order(stage: Stage) -> Iterator[str]:
    lifecycle = {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7},
                "action": {"type": "expire"},
            }
        ]
    }
    role = "arn:aws:iam::123456789012:role/ecr-template"
    tags = [{"Key": "owner", "Value": "search-team"}, {"Key": "team", "Value": "search"}]
    _template(stage, "search", imageTagMutability="IMMUTABLE", lifecyclePolicy=json.dumps(lifecycle), resourceTags=tags, customRoleArn=role)
    before, writes = len(stage.messages()), len(stage.our_writes())
    stage.push("search/index:v2.3.1", "ci-search/build-77")
    stage.settle()
    yield _expect(len(stage.our_writes()) == writes, "search/index is in good order from its template: nothing is changed")
    yield _expect(len(stage.messages()) == before, "and nobody is told: no news is no message")


def misnamed(stage: Stage) -> Iterator[str]:
    before = len(stage.messages())
    stage.push("payments/check_out:v0.1.0", CI)
    stage.settle()
    finding = stage.open_findings("payments/check_out").get("naming")
    yield _expect(finding, "payments/check_out breaks the convention: one open finding")
    yield _expect(finding and "payments/check-out" in finding.reason, f"with a suggestion: {finding.reason if finding else ''}")
    yield _expect(len(stage.messages()) == before + 1, "one Slack message tells of it, with the pusher")


def unknown_name(stage: Stage) -> Iterator[str]:
    try:
        stage.push("paymets/api:v1.0.0", CI)
    except Refused as refused:
        yield _expect("does not exist" in str(refused), "no creation template covers paymets/api, and ECR refuses the push: name unknown")
        return
    raise Disappointed("the push was accepted")


def immutable(stage: Stage) -> Iterator[str]:
    try:
        stage.push("payments/api:v1.0.0", CI, "another content")
    except Refused as refused:
        yield _expect("immutable" in str(refused), "payments/api:v1.0.0 cannot be overwritten: its tags are immutable now")
        return
    raise Disappointed("the tag was overwritten")


def bad_tag(stage: Stage) -> Iterator[str]:
    stage.push("payments/api:latest", CI)
    stage.settle()
    finding = stage.open_findings("payments/api").get("image-tag")
    yield _expect(finding, "payments/api:latest does not follow the tag scheme: an open finding")
    stage.client("ecr", "alice").batch_delete_image(repositoryName="payments/api", imageIds=[{"imageTag": "latest"}])
    stage.settle()
    yield _expect("image-tag" not in stage.open_findings("payments/api"), "alice removes the tag, and the finding is resolved")
    message = stage.message_of("payments/api")
    yield _expect(
        message["edits"] and "In good order" in message["payload"]["text"],
        "payments/api has one message in Slack: it was edited, and says what happened",
    )


def drift(stage: Stage) -> Iterator[str]:
    writes = len(stage.our_writes())
    begun = time.monotonic()
    stage.client("ecr", "bob").delete_lifecycle_policy(repositoryName="payments/api")
    stage.settle()
    took = time.monotonic() - begun
    text = stage.client("ecr").get_lifecycle_policy(repositoryName="payments/api")["lifecyclePolicyText"]
    yield _expect("sinceImagePushed" in text, f"bob deletes the lifecycle policy; it is back, all told in {took:.1f} s")
    made = stage.our_writes()[writes:]
    yield _expect(made == ["PutLifecyclePolicy"], f"that took one change in ECR ({', '.join(made)}), and our own change woke nobody")


def public(stage: Stage) -> Iterator[str]:
    everybody = {"Version": "2012-10-17", "Statement": [_statement("Anyone", "*")]}
    stage.client("ecr", "mallory").set_repository_policy(repositoryName="payments/api", policyText=json.dumps(everybody))
    stage.settle()
    finding = stage.open_findings("payments/api").get("repository-policy")
    yield _expect(finding, f"mallory opens payments/api to the world: {finding.reason if finding else ''}")
    statements = json.loads(stage.client("ecr").get_repository_policy(repositoryName="payments/api")["policyText"])["Statement"]
    sids = [statement["Sid"] for statement in statements]
    yield _expect(
        sids == ["Anyone", "ProductionMayPull"],
        "the missing statement is back; a foreign one is reported, never removed behind a team's back",
    )


def cached(stage: Stage) -> Iterator[str]:
    stage.client("ecr", "platform").create_repository_creation_template(prefix="docker-hub", appliedFor=["PULL_THROUGH_CACHE"])
    stage.client("ecr", "platform").create_pull_through_cache_rule(
        ecrRepositoryPrefix="docker-hub", upstreamRegistryUrl="registry-1.docker.io"
    )
    ecr.simulate_pull_through("docker-hub/library/nginx", identify("node-17"))
    stage.settle()
    record = stage.record("docker-hub/library/nginx")
    yield _expect(
        record.provenance.origin == "pull_through_cache",
        "a node pulls nginx through the cache: origin pull_through_cache, not judged by our names",
    )


def exempt(stage: Stage) -> Iterator[str]:
    before = len(stage.messages())
    stage.push("search/legacy_index:v1.0.0", "ci-search/build-78")
    stage.settle()
    finding = next(finding for finding in stage.record("search/legacy_index").findings if finding.rule == "naming")
    yield _expect(finding.state == "exempt", "search/legacy_index is exempt until 2027-03-31: known, and not announced")
    yield _expect(len(stage.messages()) == before, "when the exemption expires, the finding opens by itself")


def disorder(stage: Stage) -> Iterator[str]:
    stage.client("ecr", "platform").create_repository(repositoryName="payments/bad_name")
    stage.settle()
    event = next(
        event
        for event in reversed(stage.aws.trail.history)
        if event["detail"].get("eventName") == "CreateRepository"
        and event["detail"]["requestParameters"]["repositoryName"] == "payments/bad_name"
    )
    before, version = len(stage.messages()), stage.record("payments/bad_name").version
    entry = {"Source": "aws.ecr", "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    stage.client("events").put_events(Entries=[entry] * 5)
    stage.settle()
    yield _expect(len(stage.messages()) == before, "the same event, delivered five times more: no further message")
    yield _expect(stage.record("payments/bad_name").version == version, "and the ledger is as it was")


def forged(stage: Stage) -> Iterator[str]:
    detail = {
        "eventVersion": "1.11", "eventSource": "ecr.amazonaws.com", "eventName": "DeleteRepository", "eventTime": "2026-11-02T09:00:00Z",
        "eventID": "f", "recipientAccountId": "999999999999", "requestParameters": {"repositoryName": "payments/api"}, "userIdentity": {},
    }  # fmt: skip
    nameless = {**detail, "recipientAccountId": "123456789012", "requestParameters": None}
    entries = [
        {"Source": "aws.ecr", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(each)} for each in (detail, nameless)
    ]
    stage.client("events").put_events(Entries=entries)
    stage.settle()
    for _, reason in stage.dead_letters():
        yield f"set aside for a person: {reason}"
    yield _expect(len(list(stage.dead_letters())) == 2 and stage.record("payments/api").gone_at is None, "neither did any harm")  # noqa: PLR2004


def invalid_policy(stage: Stage) -> Iterator[str]:
    good = POLICY.read_bytes()
    upload_policy(stage.aws, good.replace(b"mode: enforce", b"mode: enforced"))
    stage.aws.advance(timedelta(minutes=1))
    writes = len(stage.our_writes())
    stage.push("payments/ledger:v1.0.0", CI)
    stage.settle()
    yield _expect(
        len(stage.our_writes()) == writes,
        "a broken policy file is uploaded: the last good one goes on judging, and nothing is changed by it",
    )
    yield _expect(stage.open_findings("payments/ledger"), "payments/ledger is found wanting, and waits")
    yield _expect(
        any("policy file is invalid" in message.get("text", "") for message in stage.messages()), "Slack is told, with line and remedy"
    )
    upload_policy(stage.aws, good)
    stage.aws.advance(timedelta(minutes=1))
    stage.push("payments/ledger:v1.0.1", CI)
    stage.settle()
    yield _expect(not stage.open_findings("payments/ledger"), "the file is mended, and with the next push payments/ledger is put right")


def slack_down(stage: Stage) -> Iterator[str]:
    before = len(stage.messages())
    stage.aws.slack.behave("rate_limited", retry_after="1", times=2)
    stage.push("payments/refund_s:v1.0.0", CI)
    stage.settle()
    yield _expect(len(stage.messages()) == before + 1, "Slack refuses twice (429): the message is delivered all the same, once")


def burst(stage: Stage) -> Iterator[str]:
    before = len(stage.messages())
    terraform = stage.client("ecr", "terraform")
    for number in range(BURST):
        terraform.create_repository(repositoryName=f"payments/batch_{number}")
    stage.settle()
    sent = len(stage.messages()) - before
    words = f"{sent} {'message' if sent == 1 else 'messages'}"
    yield _expect(1 <= sent <= BURST // 2, f"terraform creates {BURST} misnamed repositories at once: {words}, not {BURST}")


def blank(stage: Stage) -> Iterator[str]:
    stage.begin_push("payments/never-finished", CI)
    stage.settle()
    yield _expect(
        "auto-created" not in stage.open_findings("payments/never-finished"),
        "a push stops half way: payments/never-finished is blank, and has a day's grace",
    )
    stage.aws.advance(timedelta(hours=26))
    stage.settle()
    finding = stage.open_findings("payments/never-finished").get("auto-created")
    yield _expect(finding, f"a day later, without any event: {finding.reason if finding else ''}")


def lost(stage: Stage) -> Iterator[str]:
    operator, sweeps = stage.client("ecr", "operator"), len(list(stage.ledger.entries(SWEEPS)))
    stage.aws.trail.losses.begin(1.0)
    operator.put_image_tag_mutability(repositoryName="payments/api", imageTagMutability="MUTABLE")
    operator.create_repository(repositoryName="payments/forgot_ten")
    stage.settle()
    stage.aws.trail.losses.begin(0.0)
    yield _expect(
        stage.ledger.read("payments/forgot_ten") is None,
        "CloudTrail delivers neither of two events: tags of payments/api may be overwritten, payments/forgot_ten exists, nobody knows",
    )
    stage.aws.advance(timedelta(days=1))
    stage.settle()
    entries = list(stage.ledger.entries(SWEEPS))
    found = entries[-1].body
    yield _expect(
        len(entries) == sweeps + 1 and found["complete"] and found["event_loss"]["unannounced"] == 2,  # noqa: PLR2004 - the two above
        f"at night the sweep looks at {found['repositories']} repositories, reads {found['checked']} of them, and sees that two events never came",
    )
    yield _expect("naming" in stage.open_findings("payments/forgot_ten"), "it finds payments/forgot_ten, and its name")
    described = operator.describe_repositories(repositoryNames=["payments/api"])["repositories"][0]
    yield _expect(described["imageTagMutability"] == "IMMUTABLE", "it has the tags of payments/api made immutable again")
    yield _expect(any("Sweep" in message.get("text", "") for message in stage.messages()), "Slack is told once for the whole night")


def lived(stage: Stage) -> Iterator[str]:
    name = "payments/gateway"
    stage.push(f"{name}:v1.0.0", CI)
    stage.settle()
    ours = stage.policy(name) or "{}"
    before = len(stage.messages())
    _let_in(stage, name, "alice", "Partner", {"AWS": "arn:aws:iam::444455556666:root"})
    stage.settle()
    reasons = [stage.open_findings(name)["repository-policy"].reason]
    yield _expect("444455556666" in reasons[0], f"alice lets a partner's account in: {reasons[0]}")
    stage.aws.advance(timedelta(hours=3))
    _let_in(stage, name, "mallory", "Anyone", "*")
    stage.settle()
    reasons.append(stage.open_findings(name)["repository-policy"].reason)
    yield _expect("everybody" in reasons[1], f"three hours later mallory makes it worse: {reasons[1]}")
    stage.aws.advance(timedelta(hours=5))
    stage.client("ecr", "bob").set_repository_policy(repositoryName=name, policyText=ours)
    stage.settle()
    yield _expect(not stage.open_findings(name), "in the evening bob takes both statements out: the finding is resolved")
    newest, *said = stage.said_of(name)
    called = [text for text in said if "Needs attention" in text and "repository-policy" in text]
    yield _expect(
        len(stage.messages()) == before and len(called) == len(reasons) and "In good order" in newest,
        f"all of it is one message, edited each time; in its thread {name}'s people were called twice, once for each",
    )


def _has_message(stage: Stage, name: str) -> bool:
    try:
        return bool(stage.message_of(name))
    except LookupError:
        return False


def _called(stage: Stage, name: str) -> int:
    """Count how often people were called to a mark: in the thread of its message, and by lists of steps."""
    lists = [each for each in stage.messages() if "steps of retirements" in each["text"] and name in json.dumps(each)]
    replies = stage.said_of(name)[1:] if _has_message(stage, name) else []
    return len(lists) + sum("Marked" in text for text in replies)


def marked(stage: Stage) -> Iterator[str]:
    for name in RETIRING:
        stage.client("ecr", "terraform").create_repository(repositoryName=name)
        stage.push(f"{name}:v1.0.0", "ci-platform/build-7")
    stage.settle()
    # Of what has a message by now people are called in its thread, or by a list if four marks come in one window; else its first is the call.
    known = [_has_message(stage, name) for name in RETIRING]
    stage.night_without_slack(62, lambda: all(stage.retired(name) is Retired.MARKED for name in RETIRING))
    marks = [stage.record(name).retirement for name in RETIRING]
    day = stage.tags(RETIRING[0]).get(DELETE_AFTER, "")
    yield _expect(all(marks), f"two months without a push or a pull: {len(marks)} repositories are marked, to go not before {day}")
    told = [stage.ledger.told_at(name, mark.notice, CHAT) for name, mark in zip(RETIRING, marks, strict=True) if mark]
    late = [at - mark.since for at, mark in zip(told, marks, strict=True) if at and mark]
    yield _expect(
        len(late) == len(RETIRING) and min(late, default=timedelta()) > timedelta(hours=20),
        f"Slack cannot be reached all day: their owners hear of it {min(late, default=timedelta()).seconds // 3600} hours late",
    )
    called = [_called(stage, name) + (not before and _has_message(stage, name)) for name, before in zip(RETIRING, known, strict=True)]
    yield _expect(called == [1] * len(RETIRING), "each of them once, with its reasons and what saves it")
    stage.client("ecr", "alice").untag_resource(resourceArn=stage.arn(VETOED), tagKeys=[DELETE_AFTER])
    stage.night(7)
    yield _expect(
        stage.retired(VETOED) is Retired.OBSERVED, f"alice removes the mark of {VETOED}: it stays, and is let alone for two months"
    )
    yield _expect(
        all(stage.retired(name) is Retired.MARKED for name in RETIRING if name != VETOED),
        f"on {day} nothing happens to the others: the seven days of grace began when their owners heard of it",
    )
    stage.night(1)


def quarantined(stage: Stage) -> Iterator[str]:
    policies = [stage.policy(name) or "" for name in (WANTED, UNWANTED, RESTORED)]
    yield _expect(
        all("EcrGovernorQuarantine" in policy for policy in policies),
        "a week after their owners were told, the other three are in quarantine: push and pull are refused",
    )
    try:
        stage.pull(f"{WANTED}:v1.0.0", "ci-platform/deploy-1")
        pulled = True
    except Refused:
        pulled = False
    yield _expect(not pulled, f"a deployment pulls {WANTED}: refused")
    stage.settle()
    yield _expect(
        stage.retired(WANTED) is Retired.OBSERVED,
        "the refusal itself is the evidence: within seconds it is released, and its owner is told",
    )
    stage.pull(f"{WANTED}:v1.0.0", "ci-platform/deploy-1")
    yield _expect(
        "EcrGovernorQuarantine" not in (stage.policy(WANTED) or ""),
        "the deployment tries again and gets its image; the policy is what it was",
    )


def archived(stage: Stage) -> Iterator[str]:
    stage.night(4)
    yield _expect(
        [stage.retired(name) for name in (UNWANTED, RESTORED)] == [Retired.ARCHIVED] * 2,
        "nobody asked for the last two: their images go to ECR's archive",
    )
    retirement.restore(Deployment(STACK, stage.aws.endpoint, REGION, None), RESTORED, dry_run=False)
    stage.settle()
    stage.aws.advance(timedelta(minutes=25))
    statuses = {image["imageStatus"] for image in stage.images(RESTORED)}
    yield _expect(statuses == {"ACTIVE"}, f"ecr-governor restore {RESTORED}: policy and images are back, with digests and tags")


def deleted(stage: Stage) -> Iterator[str]:
    stage.night(11)
    stage.aws.advance(timedelta(hours=1))
    stage.settle()
    yield _expect(
        stage.retired(UNWANTED) is Retired.DELETED,
        f"{UNWANTED} has gone through every stage: it is deleted, after its tombstone was written",
    )
    present = {each["repositoryName"] for each in stage.client("ecr").describe_repositories(maxResults=1000)["repositories"]}
    yield _expect(present & set(RETIRING) == {VETOED, WANTED, RESTORED}, "the other three are there; nothing else was ever touched")
    stages = [entry.body["to"] for entry in stage.ledger.entries(UNWANTED) if entry.kind == "retirement"]
    broken = break_in(stage.record(UNWANTED), stage.ledger.entries(UNWANTED))
    yield _expect(
        stages == ["marked", "quarantined", "archived", "deleted"] and not broken,
        f"its ledger tells it all: {', '.join(stages)}, each with its reasons",
    )
    newest, *before = stage.said_of(UNWANTED)
    yield _expect(
        "Deleted for good" in newest and any("In quarantine" in text for text in before),
        f"so does its message in Slack: edited {stage.message_of(UNWANTED)['edits']} times, with {len(before)} words in its thread",
    )


def reported(stage: Stage) -> Iterator[str]:
    today = stage.aws.clock.now()
    # Sunday night is swept; the report is made on Monday at eight.
    stage.night((6 - today.weekday()) % 7 + 1)
    before = len(stage.messages())
    stage.aws.advance(timedelta(hours=6))
    stage.settle()
    headline = next((block["text"]["text"] for message in stage.messages()[before:] for block in message["blocks"][:1]), "")
    yield _expect("Weekly report" in headline, f"on Monday at eight Slack is told: {headline.partition(' ')[2]}")
    page = stage.report()
    yield _expect(page.startswith(b"<!doctype html>"), f"and the page lies in the reports bucket: one file of {len(page):,} bytes")
    yield _expect(b"http:" not in page, "that asks nobody for anything, and reads without JavaScript, too")
    slack = stage.aws.slack
    told = next(message for message in reversed(slack.posted) if "Weekly report" in message["payload"]["text"])
    slack.press(told["ts"], "open_report", ALICE)
    stage.settle()
    link = bool(slack.whispers) and "|Open it>" in json.dumps(slack.whispers[-1]["payload"])
    yield _expect(link, "alice presses *Open report*, and gets a link that ends within hours and that nobody else sees")


SCENES: tuple[tuple[str, Play], ...] = (
    ("A pipeline pushes to a name that does not exist yet", created_on_push),
    ("A repository that its template has set up well", in_good_order),
    ("A name that breaks the convention", misnamed),
    ("A name that no creation template covers", unknown_name),
    ("Overwriting a release", immutable),
    ("A tag that says nothing", bad_tag),
    ("Somebody deletes a lifecycle policy", drift),
    ("Somebody opens a repository to the world", public),
    ("An image from the pull through cache", cached),
    ("An exemption, with an end", exempt),
    ("The same event again and again", disorder),
    ("Forged and nameless events", forged),
    ("A broken policy file", invalid_policy),
    ("Slack has a bad minute", slack_down),
    ("A burst", burst),
    ("A push that never finished, and a day passes", blank),
    ("Events are lost, and the night finds what they would have told", lost),
    ("The life of one violation", lived),
    ("Two months later: what nobody uses is marked, and one owner objects", marked),
    ("Quarantine, and a pull that ends it", quarantined),
    ("The archive, and back", archived),
    ("The end of one repository", deleted),
    ("Monday morning: the report", reported),
)
