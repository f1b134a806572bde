"""A script as it is usually written: one repository after the other, one boto3 call for each question."""

import argparse
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from benchmarks import rules


def check() -> dict[str, list[str]]:
    """Judge every repository; give the sorted names of those that break each rule."""
    ecr: Any = boto3.client("ecr")
    long_ago = datetime.now(UTC) - timedelta(days=rules.UNUSED_DAYS)
    findings: dict[str, list[str]] = {rule: [] for rule in rules.RULES}
    for page in ecr.get_paginator("describe_repositories").paginate():
        for repository in page["repositories"]:
            for rule in broken_by(ecr, repository, long_ago):
                findings[rule].append(repository["repositoryName"])
    return {rule: sorted(names) for rule, names in findings.items()}


def broken_by(ecr: Any, repository: dict[str, Any], long_ago: datetime) -> set[str]:
    """Ask for all that concerns a repository and give the rules that it breaks."""
    name = repository["repositoryName"]
    broken = set()
    if not re.match(rules.NAME_PATTERN, name):
        broken.add(rules.NAME)
    if not repository["imageScanningConfiguration"]["scanOnPush"]:
        broken.add(rules.SCAN_OFF)
    if repository["imageTagMutability"] == "MUTABLE":
        broken.add(rules.MUTABLE)
    try:
        ecr.get_lifecycle_policy(repositoryName=name)
    except ecr.exceptions.LifecyclePolicyNotFoundException:
        broken.add(rules.LIFECYCLE_MISSING)
    try:
        broken |= by_policy(json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"]))
    except ecr.exceptions.RepositoryPolicyNotFoundException:
        broken.add(rules.POLICY_MISSING)
    tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
    if not {tag["Key"] for tag in tags}.issuperset(rules.REQUIRED_TAGS):
        broken.add(rules.TAGS_MISSING)
    moments = [repository["createdAt"]]
    for page in ecr.get_paginator("describe_images").paginate(repositoryName=name):
        for image in page["imageDetails"]:
            moments.append(image["imagePushedAt"])
            if "lastRecordedPullTime" in image:
                moments.append(image["lastRecordedPullTime"])
    if max(moments) < long_ago:
        broken.add(rules.UNUSED)
    return broken


def by_policy(document: dict[str, Any]) -> set[str]:
    """Give the rules that a repository policy breaks."""
    broken = set()
    for statement in document["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        principal = statement["Principal"]
        principals = principal if isinstance(principal, str) else principal.get("AWS", [])
        for each in [principals] if isinstance(principals, str) else principals:
            if each == "*":
                broken |= {rules.POLICY_PUBLIC, rules.POLICY_UNTRUSTED}
            elif not {rules.ACCOUNT, *rules.TRUSTED_ACCOUNTS} & {each, *each.split(":")[4:5]}:
                broken.add(rules.POLICY_UNTRUSTED)
    return broken


def main() -> None:
    """Check and write the findings."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--findings", type=Path, required=True)
    options.parse_args().findings.write_text(json.dumps(check()))


if __name__ == "__main__":
    main()
