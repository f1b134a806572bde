"""A report of a made-up registry of any size: what it takes to write it down, and how it looks.

`python -m benchmarks.reports` measures; `python -m benchmarks.reports --write FILE` writes the page.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push, Signal
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.report.build import Sources, report_of, wants_record
from ecr_governor.core.report.words import size
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.standing import Standing
from ecr_governor.rendering.report import CONTENT_TYPES, rendered

NOW: Final = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SWEPT: Final = NOW - timedelta(hours=6)
DAY: Final = timedelta(days=1)
SIZES: Final = (100, 1_000, 5_000, 20_000)
SWEEPS: Final = 30
TEAMS: Final = ("payments", "search", "platform", "identity", "mobile", "data", "growth", "ledger", "shipping", "media", "risk", "ads")
SERVICES: Final = (
    "api",
    "worker",
    "web",
    "cron",
    "gateway",
    "ingest",
    "export",
    "sync",
    "index",
    "proxy",
    "batch",
    "relay",
    "auth",
    "mail",
)
REASONS: Final = {
    "naming": "service '{service}_v{number}' must be like the expression [a-z][a-z0-9-]{{1,38}}; nearest allowed name: {team}/{service}-v{number}",
    "required-tags": "has no tag owner, team",
    "lifecycle-policy": "has no lifecycle policy; the namespace's expires untagged images after 14 days",
    "repository-policy": "statement 'Anyone' admits everybody",
    "tag-mutability": "its tags are MUTABLE, expected is IMMUTABLE",
    "scanning": "no filter of the registry's scanning rules matches its name, so nothing is scanned",
    "image-tag": "tags that do not follow the scheme: latest, build-{number}, wip",
    "unused": "nothing was pushed or pulled since 2026-03-02",
}
SEVERITIES: Final = {
    "repository-policy": "critical",
    "scanning": "high",
    "naming": "medium",
    "lifecycle-policy": "medium",
    "tag-mutability": "medium",
    "required-tags": "low",
    "image-tag": "low",
    "unused": "low",
}
WEIGHTS: Final = (18, 30, 22, 1, 14, 3, 12)


def sources(repositories: int, seed: int = 7, *, everything_violates: bool = False) -> Sources:
    """Make up a registry: two repositories in five break something, one in eight is unused, one in ten has no owner."""
    chance = random.Random(seed)  # noqa: S311 - the same registry each time
    standings = [_standing(number, chance, everything_violates=everything_violates) for number in range(repositories)]
    unused = [standing for standing in standings if standing.unused]
    plan = {
        "account": "123456789012",
        "region": "eu-west-1",
        "at": (SWEPT + timedelta(minutes=5)).isoformat(),
        "policy_hash": "32d0af7c7932",
        "withheld": [],
        "unread": {},
        "items": [_item(standing, chance) for standing in unused],
    }
    records = {standing.name: _record(standing, chance) for standing in standings if wants_record(standing)}
    summaries = [_summary(standings, ago, chance) for ago in range(SWEEPS)]
    return Sources(summaries[0], standings, summaries[1:], plan, records)


def _standing(number: int, chance: random.Random, *, everything_violates: bool) -> Standing:
    team, service = chance.choice(TEAMS), chance.choice(SERVICES)
    unused = chance.random() < 1 / 8
    broken: set[str] = {"unused"} if unused else set()
    if everything_violates or chance.random() < 1 / 3:
        broken |= set(chance.choices([rule for rule in REASONS if rule != "unused"], WEIGHTS, k=chance.choice((1, 1, 1, 2, 3))))
    name = f"{team}/{service}-{number}" if "naming" not in broken else f"{team}/{service}_v{number}"
    images = chance.randint(1, 60)
    pushed = SWEPT - DAY * (chance.randint(180, 500) if unused else chance.randint(0, 60))
    origin = chance.choice((Origin.API, Origin.CREATE_ON_PUSH, Origin.CREATE_ON_PUSH))
    findings = [
        {
            "rule": rule,
            "severity": SEVERITIES[rule],
            "reason": REASONS[rule].format(team=team, service=service, number=number),
            "state": "exempt" if chance.random() < 1 / 20 else "open",
        }
        for rule in sorted(broken)
    ]
    data: dict[str, Any] = {
        "name": name,
        "origin": origin.value,
        "origin_confidence": "certain",
        "owner": None if chance.random() < 1 / 10 else f"team-{team}",
        "findings": findings,
        "undetermined": {"naming": "it may be a pull through cache"} if chance.random() < 1 / 200 else {},
        "images": images,
        "size_bytes": images * chance.randint(20, 400) * (1 << 20),
        "last_push": pushed.isoformat(),
        "last_pull": (pushed + DAY * chance.randint(0, 9)).isoformat() if chance.random() < 4 / 5 else None,
        "unused": unused,
        "created_at": (pushed - DAY * chance.randint(1, 400)).isoformat(),
        "checked_at": SWEPT.isoformat(),
        "due_at": None,
        "judged_by": "32d0af7c7932/enforce",
        "listed": "5be6ecf5c2a1",
        "read": "c0a8b0d6f1e2",
    }
    return Standing(data)


def _item(standing: Standing, chance: random.Random) -> dict[str, Any]:
    stage, then = chance.choice((("observed", "marked"), ("marked", "quarantined"), ("marked", "quarantined"), ("quarantined", "archived")))
    at = SWEPT + DAY * chance.randint(0, 45)
    reasons = [
        {"check": "the policy asks for it", "seen": "up to archive", "weight": "for"},
        {"check": "watched long enough", "seen": "since 2026-03-02, 90 days are asked for", "weight": "for"},
        {"check": "nobody uses it", "seen": "ecs, lambda named nobody", "weight": "for"},
        {"check": "the owner was told", "seen": f"on 2026-11-20, grace runs until {at:%Y-%m-%d}", "weight": "wait"},
    ]
    return {
        "repository": standing.name,
        "stage": stage,
        "next": None,
        "then": then,
        "next_at": at.isoformat(),
        "owner": standing.owner,
        "namespace": standing.name.partition("/")[0],
        "images": standing.data["images"],
        "size_bytes": standing.size_bytes,
        "fingerprint": "",
        "reasons": reasons,
    }


def _record(standing: Standing, chance: random.Random) -> RepositoryRecord:
    who = Actor(
        f"arn:aws:sts::123456789012:assumed-role/ci-{standing.name.partition('/')[0]}/build-{chance.randint(1, 999)}", "", "AssumedRole"
    )
    evidence = (
        Signal("CreateRepository came through ecr.amazonaws.com (invokedBy, sourceIPAddress)", (Origin.CREATE_ON_PUSH,), 2),
        Signal("the creation template ROOT with CREATE_ON_PUSH covers the name", (Origin.CREATE_ON_PUSH,), 1),
    )
    provenance = Provenance(
        Origin(standing.origin),
        evidence,
        Creation("c", standing.created_at, who),
        Push("p", standing.created_at + timedelta(seconds=3), who),
    )
    findings = tuple(
        Finding(
            standing.name,
            found["rule"],
            Severity(found["severity"]),
            FindingState(found["state"]),
            Mode.ENFORCE,
            found["reason"],
            (),
            SWEPT - DAY * chance.randint(0, 90),
        )
        for found in standing.findings
    )
    return RepositoryRecord(standing.name, created_at=standing.created_at, provenance=provenance, owner=standing.owner, findings=findings)


def _summary(standings: list[Standing], ago: int, chance: random.Random) -> dict[str, Any]:
    violating = [standing for standing in standings if standing.open_rules]
    namespaces = Counter(standing.name.partition("/")[0] for standing in violating)
    wobble = 1 + ago * 0.011 + chance.uniform(-0.01, 0.01) * (ago > 0)
    ended = SWEPT - DAY * ago
    return {
        "run": f"{ended:%Y%m%dT%H%M%SZ}-1a2b3c4d",
        "account": "123456789012",
        "region": "eu-west-1",
        "policy_hash": "32d0af7c7932",
        "policy_problem": None,
        "mode": "enforce",
        "ended_at": ended.isoformat(),
        "compared_with": f"{ended - DAY:%Y%m%dT%H%M%SZ}-1a2b3c4d",
        "complete": True,
        "incomplete_because": [],
        "repositories": round(len(standings) * (1 - ago * 0.004)),
        "violating": round(len(violating) * wobble),
        "unused": round(sum(standing.unused is True for standing in standings) * (1 + ago * 0.02)),
        "size_bytes": round(sum(standing.size_bytes for standing in standings) * (1 - ago * 0.003)),
        "by_namespace": dict(sorted(namespaces.items())),
        "opened": {"naming": 3, "lifecycle-policy": 4},
        "resolved": {"required-tags": 9, "tag-mutability": 2},
        "undetermined": {"naming: it may be a pull through cache": sum(bool(standing.undetermined) for standing in standings)},
        "calls": {"ecr:DescribeRepositories": 1 + len(standings) // 1000, "tag:GetResources": 1 + len(standings) // 100},
        "event_loss": {"announced": 61, "unannounced": 1, "rate": 0.0161, "examples": []},
    }


def measure(repositories: int, output: str) -> dict[str, Any]:
    """Write one report down once, in a process that has not done so before; give bytes, seconds and the peak of memory in MB."""
    made = report_of(sources(repositories), NOW)
    begun, busy = time.perf_counter(), time.process_time()
    length = len(rendered(made, output))
    took, cpu = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"repositories": repositories, "output": output, "bytes": length, "seconds": took, "cpu": cpu, "peak_mb": peak}


def main() -> None:
    """Measure, each in a process of its own; or write one page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page to this file and stop")
    parser.add_argument("--repositories", type=int, default=5_000)
    parser.add_argument("--output", choices=list(CONTENT_TYPES), help="measure only this, in this very process, and print JSON")
    wish = parser.parse_args()
    assert set(REASONS) <= set(RULES)  # noqa: S101 - a rule that is gone would be a report of nothing
    if wish.write:
        wish.write.write_bytes(rendered(report_of(sources(wish.repositories), NOW), "html"))
        return
    if wish.output:
        sys.stdout.write(json.dumps(measure(wish.repositories, wish.output)) + "\n")
        return
    sys.stdout.write("| repositories | format | size | time, s | CPU, s | peak, MB |\n| ---: | --- | ---: | ---: | ---: | ---: |\n")
    for count in SIZES:
        for output in CONTENT_TYPES:
            found = _in_a_process(count, output)
            numbers = f"{found['seconds']:.2f} | {found['cpu']:.2f} | {found['peak_mb']:.0f}"
            sys.stdout.write(f"| {count:,} | {output} | {size(found['bytes'])} | {numbers} |\n")


def _in_a_process(repositories: int, output: str) -> dict[str, Any]:
    import subprocess  # noqa: PLC0415 - only here

    command = [sys.executable, "-m", "benchmarks.reports", "--repositories", str(repositories), "--output", output]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this very module
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
