"""The fewest calls that tell whether a repository breaks one of the nine rules, made in two ways. What a real program can come near to.

All repositories by DescribeRepositories, 1,000 at a time, all tags by GetResources, 100 at a time, all pulls of 90 days by
GetMetricData, 500 repositories at a time; both policies of each repository; images only of a repository that is older than 90 days and
was not pulled from. With `--incremental` the policies and images of those repositories only that were announced as changed.
"""

import argparse
import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import rules
from benchmarks.peers.raw import RawClient

DAY = 86_400
ABSENT = {"LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException"}
QUERIES = 500
OURS = {rules.ACCOUNT, *rules.TRUSTED_ACCOUNTS}

Call = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
Known = tuple[bool, str | None, float]
"""Whether there is a lifecycle policy, the repository policy, and when something happened last."""


@dataclass(slots=True)
class Check:
    """A check under way: what was found, and what was learned, if that is to be remembered."""

    call: Call
    workers: int
    now: float
    findings: dict[str, list[str]] = field(default_factory=lambda: {rule: [] for rule in rules.RULES})
    learned: dict[str, Known] | None = None

    @property
    def long_ago(self) -> float:
        """What happened before does not count as use."""
        return self.now - rules.UNUSED_DAYS * DAY

    async def run(self, state: dict[str, Known] | None) -> None:
        """Judge all repositories, those in `state` by it unless they were announced as changed."""
        repositories, tagged = await asyncio.gather(self._listed(), self._well_tagged())
        unsure = []
        for number, (name, created_at) in enumerate(repositories):
            if name not in tagged:
                self.findings[rules.TAGS_MISSING].append(name)
            if state is None or number % rules.CHANGED_EVERY == 0:
                unsure.append((name, created_at))
            else:
                self._judge(name, *state[name])
        # What only a few repositories are asked for is not worth a count of all pulls.
        pulled = await self._pulled([name for name, created_at in unsure if created_at < self.long_ago]) if state is None else {}
        waiting = iter(unsure)
        await asyncio.gather(*(self._work(waiting, pulled) for _ in range(self.workers)))

    async def _listed(self) -> list[tuple[str, float]]:
        found = []
        async for page in self._pages("ecr", "DescribeRepositories", {"maxResults": 1000}):
            for each in page["repositories"]:
                name = each["repositoryName"]
                if not re.match(rules.NAME_PATTERN, name):
                    self.findings[rules.NAME].append(name)
                if not each["imageScanningConfiguration"]["scanOnPush"]:
                    self.findings[rules.SCAN_OFF].append(name)
                if each["imageTagMutability"] == "MUTABLE":
                    self.findings[rules.MUTABLE].append(name)
                found.append((name, each["createdAt"]))
        return found

    async def _well_tagged(self) -> set[str]:
        params = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 100}
        found = set()
        async for page in self._pages("tagging", "GetResources", params, "PaginationToken"):
            for each in page["ResourceTagMappingList"]:
                if {tag["Key"] for tag in each["Tags"]}.issuperset(rules.REQUIRED_TAGS):
                    found.add(each["ResourceARN"].partition(":repository/")[2])
        return found

    async def _pulled(self, names: list[str]) -> dict[str, float]:
        found = {}
        for begin in range(0, len(names), QUERIES):
            some = names[begin : begin + QUERIES]
            # Of the day on which the time begins, nobody could tell whether the pull was before or after.
            start = (int(self.long_ago) // DAY + 1) * DAY
            params = {"StartTime": start, "EndTime": int(self.now), "MetricDataQueries": list(_pull_counts(some))}
            answer = await self._ask("monitoring", "GetMetricData", params)
            for result in answer["MetricDataResults"]:
                if result["Timestamps"]:
                    found[some[int(result["Id"][1:])]] = max(float(at) for at in result["Timestamps"])
        return found

    async def _work(self, waiting: Iterator[tuple[str, float]], pulled: dict[str, float]) -> None:
        for name, created_at in waiting:
            lifecycle = await self._ask("ecr", "GetLifecyclePolicy", {"repositoryName": name})
            policy = await self._ask("ecr", "GetRepositoryPolicy", {"repositoryName": name})
            last = max(created_at, pulled.get(name, 0.0))
            if last < self.long_ago:
                last = await self._last_activity(name, last)
            known = ("lifecyclePolicyText" in lifecycle, policy.get("policyText"), last)
            self._judge(name, *known)
            if self.learned is not None:
                self.learned[name] = known

    async def _last_activity(self, name: str, last: float) -> float:
        async for page in self._pages("ecr", "DescribeImages", {"repositoryName": name, "maxResults": 1000}):
            for each in page["imageDetails"]:
                last = max(last, each["imagePushedAt"], each.get("lastRecordedPullTime", 0.0))
            if last >= self.long_ago:
                break
        return last

    def _judge(self, name: str, has_lifecycle: bool, policy: str | None, last: float) -> None:  # noqa: FBT001 - a record's first field
        if not has_lifecycle:
            self.findings[rules.LIFECYCLE_MISSING].append(name)
        if policy is None:
            self.findings[rules.POLICY_MISSING].append(name)
        else:
            grantees = _grantees(json.loads(policy))
            if "*" in grantees:
                self.findings[rules.POLICY_PUBLIC].append(name)
            if grantees - OURS:
                self.findings[rules.POLICY_UNTRUSTED].append(name)
        if last < self.long_ago:
            self.findings[rules.UNUSED].append(name)

    async def _pages(self, service: str, operation: str, params: dict[str, Any], token: str = "nextToken") -> AsyncIterator[dict[str, Any]]:  # noqa: S107 - a parameter's name
        following = ""
        while True:
            answer = await self._ask(service, operation, {**params, token: following} if following else params)
            yield answer
            following = answer.get(token) or ""
            if not following:
                return

    async def _ask(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call(service, operation, params)
        if "__type" in answer and answer["__type"] not in ABSENT:
            raise RuntimeError(f"{operation}: {answer}")
        return answer


def _grantees(document: dict[str, Any]) -> set[str]:
    """Give the accounts to which a policy allows something; everybody is an asterisk."""
    found: set[str] = set()
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow":
            principal = statement["Principal"]
            named = principal if isinstance(principal, str) else principal.get("AWS", [])
            found.update(each.split(":")[4] if ":" in each else each for each in ([named] if isinstance(named, str) else named))
    return found


def _pull_counts(names: list[str]) -> Iterator[dict[str, Any]]:
    for number, name in enumerate(names):
        metric = {"Namespace": "AWS/ECR", "MetricName": "RepositoryPullCount", "Dimensions": [{"Name": "RepositoryName", "Value": name}]}
        yield {"Id": f"r{number}", "MetricStat": {"Metric": metric, "Period": DAY, "Stat": "Sum"}}


async def _check(given: argparse.Namespace) -> Check:
    client: Any
    if given.client == "boto3":
        # Its import alone costs more than all of the other client.
        from benchmarks.peers.tuned import TunedClient  # noqa: PLC0415

        client = TunedClient()
    else:
        client = RawClient(os.environ["AWS_ENDPOINT_URL"], given.rate)
    state = json.loads(given.incremental.read_bytes()) if given.incremental else None
    check = Check(client.call, 1 if given.client == "boto3" else given.workers, time.time(), learned={} if given.write_state else None)
    await check.run(state)
    await client.close()
    return check


def main() -> None:
    """Check and write the findings."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--client", choices=("boto3", "raw"), default="raw")
    options.add_argument("--findings", type=Path, required=True)
    options.add_argument("--incremental", type=Path, metavar="STATE")
    options.add_argument("--write-state", type=Path, metavar="STATE")
    options.add_argument("--workers", type=int, default=16, help="calls under way at once, of the raw client")
    options.add_argument("--rate", type=float, default=0, help="calls a second of each operation, of the raw client; 0 is no limit")
    given = options.parse_args()
    check = asyncio.run(_check(given))
    given.findings.write_text(json.dumps({rule: sorted(names) for rule, names in check.findings.items()}))
    if given.write_state:
        given.write_state.write_text(json.dumps(check.learned))


if __name__ == "__main__":
    main()
