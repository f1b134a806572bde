"""Read what an explanation takes: from ECR now, from the policy file, and from a deployment's ledger if one is named. Only reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from cli.access import account_of, check_credentials, refusal, regions_of, session_of
from cli.explanation.given import Given, Recorded
from cli.policy import files as policy_files
from cli.trouble import Exit, Trouble
from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.creation_templates import EcrCreationTemplates
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.ecr_names import EcrNames
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.app.errors import Denied, GovernorError, Throttled
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.evaluate import facts_needed
from ecr_governor.core.origin import Provenance, classify
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.load import read as read_policy
from ecr_governor.core.policy.yaml_text import PolicyInvalid, read_text
from ecr_governor.core.repository import Fact, Image, Repository, Unreadable, Usage
from ecr_governor.core.retirement.snapshot import Snapshot
from ecr_governor.core.rules.unused import idle_since
from ecr_governor.core.templates.foreseeing import foresee

BUNDLED: Final = "default_policy.yaml"
READS: Final = frozenset(
    {
        "BatchGetRepositoryScanningConfiguration",
        "DescribeImages",
        "DescribePullThroughCacheRules",
        "DescribeRepositories",
        "DescribeRepositoryCreationTemplates",
        "GetLifecyclePolicy",
        "GetRepositoryPolicy",
        "ListTagsForResource",
    }
)
"""Every call of ECR's that an explanation can make. None of them changes anything or counts as a pull."""
_OF_SNAPSHOT: Final = frozenset({Fact.TAGS, Fact.REPOSITORY_POLICY, Fact.IMAGES, Fact.HOLDS_IMAGE, Fact.USAGE})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. `stack` is None where no deployment is to be asked."""

    name: str
    policy_path: Path | None = None
    stack: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None


def gather(wish: Wish, now: datetime | None = None) -> Given:
    """Read all that is to be told of a name. Raises Trouble for what stops it as a whole."""
    if not is_repository_name(wish.name):
        why = "ECR takes 2 to 256 of a-z, 0-9 and single . _ - / between them"
        raise Trouble(f"{wish.name!r} is no repository name", why, "ecr-governor check-name finds the nearest one that is allowed")
    moment = now or datetime.now(UTC)
    # A deployment that is named brings its policy along.
    path = wish.policy_path if wish.stack else policy_files.chosen(wish.policy_path)
    given = _policy_file(path) if path else None
    session = session_of(wish.profile, wish.endpoint_url)
    region = regions_of(session, [wish.region or ""], wish.endpoint_url)[0]
    check_credentials(session)
    try:
        recorded, deployed = _deployment(wish, region) if wish.stack else (None, None)
        read = given or deployed or _bundled()
        return _of_registry(wish, read, session, region, recorded, moment)
    except (Denied, Throttled) as error:
        raise Trouble("AWS refused", str(error), "check the credentials' permissions and --region", Exit.INCOMPLETE) from error
    except (ClientError, BotoCoreError) as error:
        raise refusal(error, region) from error


def reading_client(session: botocore.session.Session, region: str, endpoint_url: str | None) -> Any:
    """Make a client of ECR that refuses, before it is sent, whatever is not among the reads."""
    client: Any = session.create_client("ecr", region_name=region, endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    client.meta.events.register("before-parameter-build.ecr", _only_reads)
    return client


def _only_reads(model: Any, **_: Any) -> None:
    if model.name not in READS:
        raise PermissionError(f"an explanation only reads, and {model.name} is not among its reads")


# --- the policy -----------------------------------------------------------------------------------------------------------------------


def _policy_file(path: Path) -> Reading:
    try:
        return policy_files.reading(path, policy_files.OPTION)
    except PolicyInvalid as invalid:
        raise policy_files.refused(path, invalid) from invalid


def _bundled() -> Reading:
    return read_policy(files("ecr_governor").joinpath(BUNDLED).read_text(encoding="utf-8"), BUNDLED)


# --- the deployment -------------------------------------------------------------------------------------------------------------------


def _deployment(wish: Wish, region: str) -> tuple[Recorded, Reading | None]:
    """Read what a deployment knows of the repository, and the policy in its bucket; None where it has none of its own."""
    from cli.deployment import Deployment, refused  # noqa: PLC0415 - boto3 is heavy, and needed for a deployment only
    from ecr_governor.app.retirement.cases import PEOPLE  # noqa: PLC0415 - it brings along what tells people

    deployment = Deployment(str(wish.stack), wish.endpoint_url, region, wish.profile)
    try:
        ledger = deployment.ledger()
        record, noted = ledger.read(wish.name), ledger.noted_push(wish.name)
        notice = record.retirement.notice if record and record.retirement else 0
        told = ledger.told_at(wish.name, notice, PEOPLE) if notice else None
        file = deployment.policy_file() if wish.policy_path is None else None
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    return Recorded(str(wish.stack), record, noted, told), _uploaded(*file) if file else None


def _uploaded(data: bytes, source: str) -> Reading:
    try:
        return read_policy(read_text(data, source), source)
    except PolicyInvalid as invalid:
        do = "upload a valid one, or judge by another: --policy FILE"
        raise Trouble(f"{source} is no valid policy file", policy_files.problems_in(invalid), do) from invalid


# --- the registry ---------------------------------------------------------------------------------------------------------------------


def _of_registry(
    wish: Wish, read: Reading, session: botocore.session.Session, region: str, recorded: Recorded | None, now: datetime
) -> Given:
    client = partial(_once, {}, session, region, wish.endpoint_url)
    registry = EcrRegistry(client)
    found, snapshot = _found(wish.name, read, registry, EcrRetiring(client), now)
    names = _or_why(EcrNames(client).names)
    if found is None:
        account = account_of(session, region, wish.endpoint_url)
        foreseen = foresee(wish.name, _or_why(EcrCreationTemplates(client()).read), account, region, now)
        return Given(read, foreseen.repository, now, names, foreseen, recorded=recorded)
    rules = registry.automatic_creation()
    known = recorded.of(found) if recorded else None
    provenance = classify(known.provenance if known else Provenance(), wish.name, rules)
    unread = [
        f"{action}: not allowed"
        for action, prefixes in (
            ("ecr:DescribeRepositoryCreationTemplates", rules.create_on_push_prefixes),
            ("ecr:DescribePullThroughCacheRules", rules.pull_through_cache_prefixes),
        )
        if prefixes is None
    ]
    return Given(read, replace(found, provenance=provenance), now, names, None, snapshot, recorded, unread)


def _once(made: dict[str, Any], session: botocore.session.Session, region: str, endpoint_url: str | None) -> Any:
    """Make the client at the first need, and one for all."""
    if "client" not in made:
        made["client"] = reading_client(session, region, endpoint_url)
    return made["client"]


def _found(
    name: str, read: Reading, registry: EcrRegistry, retiring: EcrRetiring, now: datetime
) -> tuple[Repository | None, Snapshot | None]:
    """Read a repository's facts, and all of its images where the policy may retire it."""
    expectation = read.policy.expectation_for(name)
    wanted = facts_needed(read.policy, name) | {Fact.TAGS}
    if expectation.settings.retirement is None:
        return registry.read(name, wanted, idle_since(expectation, now) if Fact.USAGE in wanted else None), None
    # What a retirement looks at tells these facts as well: its images are listed once.
    snapshot = retiring.snapshot(name)
    found = registry.read(name, wanted - _OF_SNAPSHOT) if snapshot else None
    return (replace(found, **_facts_of(snapshot)) if found and snapshot else None), snapshot


def _facts_of(snapshot: Snapshot) -> dict[str, Any]:
    facts: dict[str, Any] = {Fact.TAGS.value: snapshot.tags, Fact.REPOSITORY_POLICY.value: snapshot.policy}
    images = snapshot.images
    if isinstance(images, Unreadable):
        return facts | dict.fromkeys((Fact.IMAGES.value, Fact.HOLDS_IMAGE.value, Fact.USAGE.value), images)
    usage = Usage(images=0, size_bytes=0).with_images((each.pushed_at, each.pulled_at, each.size_bytes) for each in images)
    return facts | {
        Fact.IMAGES.value: tuple(Image(each.digest, tuple(sorted(each.tags)), each.pushed_at) for each in images),
        Fact.HOLDS_IMAGE.value: bool(images),
        Fact.USAGE.value: usage,
    }


def _or_why(read: Callable[[], Value]) -> Value | Unreadable:
    """Read what an explanation can do without, or say why it may not be read."""
    try:
        return read()
    except (Denied, Throttled) as error:
        return Unreadable(str(error))
