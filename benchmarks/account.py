"""A registry made from a seed, and the truth about it, which comes from this record and from no API."""

import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from benchmarks import rules

Kind = TypeVar("Kind", bound=Enum)

DAY = 86_400.0
"""Seconds. All moments here are seconds since 1970."""
RECENT = (0.1, 80.0)
OLD = (100.0, 400.0)
OLDEST = (400.0, 730.0)
"""Days ago. Nothing happens between RECENT and OLD: on whatever day it is judged, the answer is the same."""
IMAGES = (10, 20)


class Naming(Enum):
    """How a repository is called; the first two as they should be."""

    TEAM = "team/service"
    CACHE = "under a cache's prefix"
    FLAT = "no team"
    MISSPELT = "underscores"


class Access(Enum):
    """Whom a repository policy lets in."""

    NO_POLICY = "no policy"
    TRUSTED = "accounts that are trusted"
    UNTRUSTED = "an account that is not"
    PUBLIC = "everybody"


class Life(Enum):
    """What happened to a repository lately."""

    USED = "pushed to and pulled from"
    PULLED = "pulled from, pushed to long ago"
    PUSHED = "pushed to, pulled from long ago or never"
    YOUNG = "created lately"
    UNUSED = "nothing"


NAMINGS = {Naming.TEAM: 0.70, Naming.CACHE: 0.10, Naming.FLAT: 0.12, Naming.MISSPELT: 0.08}
ACCESSES = {Access.NO_POLICY: 0.51, Access.TRUSTED: 0.39, Access.UNTRUSTED: 0.06, Access.PUBLIC: 0.04}
LIVES = {Life.USED: 0.49, Life.PULLED: 0.07, Life.PUSHED: 0.02, Life.YOUNG: 0.12, Life.UNUSED: 0.30}
EMPTY, LIFECYCLE, SCAN_ON_PUSH, IMMUTABLE, OWNER, COST_CENTER = 0.08, 0.60, 0.70, 0.55, 0.80, 0.65
"""Shares of the repositories. Those with a cost centre have an owner, too."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image; `pulled_at` is None if nobody ever pulled it."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: float
    pulled_at: float | None
    size: int


@dataclass(frozen=True, slots=True)
class Repository:
    """All that is known of a repository. `number` is its place in the listing and decides how its documents are written."""

    number: int
    name: str
    naming: Naming
    access: Access
    has_lifecycle: bool
    scan_on_push: bool
    immutable: bool
    tags: dict[str, str]
    created_at: float
    images: tuple[Image, ...]

    @property
    def arn(self) -> str:
        """The name that AWS gives it."""
        return f"arn:aws:ecr:{rules.REGION}:{rules.ACCOUNT}:repository/{self.name}"

    @property
    def last_activity(self) -> float:
        """When it was last created, pushed to or pulled from."""
        return max([self.created_at, *(max(image.pushed_at, image.pulled_at or 0.0) for image in self.images)])

    @property
    def lifecycle_text(self) -> str | None:
        """The lifecycle policy as ECR keeps it."""
        if not self.has_lifecycle:
            return None
        expire = {"type": "expire"}
        untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7 + self.number % 24}
        found = [{"rulePriority": 1, "description": "untagged images", "selection": untagged, "action": expire}]
        if self.number % 2:
            newest = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 50 + self.number % 51}
            found.append({"rulePriority": 2, "description": "all but the newest", "selection": newest, "action": expire})
        return json.dumps({"rules": found})

    @property
    def policy_text(self) -> str | None:
        """The repository policy as ECR keeps it, in one of the ways in which principals can be written."""
        if self.access is Access.NO_POLICY:
            return None
        actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
        accounts = [rules.ACCOUNT, *rules.TRUSTED_ACCOUNTS]
        trusted = f"arn:aws:iam::{accounts[self.number % 3]}:root"
        principal: str | dict[str, str | list[str]]
        if self.access is Access.PUBLIC:
            principal = "*" if self.number % 2 else {"AWS": "*"}
        elif self.access is Access.UNTRUSTED:
            stranger = f"{300_000_000_000 + 7_919 * self.number}"
            principal = {"AWS": [trusted, f"arn:aws:iam::{stranger}:role/build"] if self.number % 2 else f"arn:aws:iam::{stranger}:root"}
        else:
            principal = {"AWS": [trusted, f"arn:aws:iam::{rules.ACCOUNT}:role/deploy"] if self.number % 2 else trusted}
        statement = {"Sid": "Pull", "Effect": "Allow", "Principal": principal, "Action": actions}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def midnight() -> float:
    """The last midnight in UTC: all runs of one day see the same account."""
    return time.time() // DAY * DAY


def account(size: int, seed: int, today: float) -> list[Repository]:
    """Make `size` repositories in the order in which ECR lists them. A smaller account is the beginning of a larger one."""
    return [_repository(number, random.Random(f"{seed}/{number}"), seed, today) for number in range(size)]  # noqa: S311 - repeatable


def changed(repositories: Sequence[Repository], today: float) -> list[Repository]:
    """The same account after something happened to every fiftieth repository: a push, and each of its settings is another."""
    return [_another(each, today) if each.number % rules.CHANGED_EVERY == 0 else each for each in repositories]


def truth(repositories: Sequence[Repository], now: float) -> dict[str, list[str]]:
    """Give for each rule the sorted names of the repositories that break it."""
    found: dict[str, list[str]] = {rule: [] for rule in rules.RULES}
    for each in repositories:
        broken = {
            rules.NAME: each.naming in {Naming.FLAT, Naming.MISSPELT},
            rules.LIFECYCLE_MISSING: not each.has_lifecycle,
            rules.POLICY_MISSING: each.access is Access.NO_POLICY,
            rules.POLICY_PUBLIC: each.access is Access.PUBLIC,
            rules.POLICY_UNTRUSTED: each.access in {Access.PUBLIC, Access.UNTRUSTED},
            rules.SCAN_OFF: not each.scan_on_push,
            rules.MUTABLE: not each.immutable,
            rules.TAGS_MISSING: not each.tags.keys() >= set(rules.REQUIRED_TAGS),
            rules.UNUSED: each.last_activity < now - rules.UNUSED_DAYS * DAY,
        }
        for rule, is_broken in broken.items():
            if is_broken:
                found[rule].append(each.name)
    return {rule: sorted(names) for rule, names in found.items()}


def _repository(number: int, chance: random.Random, seed: int, today: float) -> Repository:
    naming = _one_of(NAMINGS, chance)
    life = _one_of(LIVES, chance)
    count = 0 if chance.random() < EMPTY else chance.randint(*IMAGES)
    if not count and life is not Life.UNUSED:
        # Without images only its creation can be recent.
        life = Life.YOUNG
    created_at = _ago(chance, RECENT if life is Life.YOUNG else OLDEST, today)
    owned = chance.random()
    tags = {"Owner": f"team-{chance.randrange(200)}@example.com"} if owned < OWNER else {}
    if owned < COST_CENTER:
        tags["CostCenter"] = f"{chance.randrange(1000):04}"
    if chance.random() < 0.3:  # noqa: PLR2004 - a tag that no rule asks for
        tags["Environment"] = chance.choice(("dev", "prod"))
    return Repository(
        number=number,
        name=_name(number, naming, chance),
        naming=naming,
        access=_one_of(ACCESSES, chance),
        has_lifecycle=chance.random() < LIFECYCLE,
        scan_on_push=chance.random() < SCAN_ON_PUSH,
        immutable=chance.random() < IMMUTABLE,
        tags=tags,
        created_at=created_at,
        images=tuple(_images(number, count, life, created_at, chance, seed, today)),
    )


def _name(number: int, naming: Naming, chance: random.Random) -> str:
    team = f"team{chance.randrange(40):02}"
    match naming:
        case Naming.TEAM:
            return f"{team}/service-{number:06}"
        case Naming.CACHE:
            return f"{chance.choice(rules.CACHE_PREFIXES)}/library/image_{number:06}"
        case Naming.FLAT:
            return f"service-{number:06}"
        case Naming.MISSPELT:
            return f"{team}/service_{number:06}"


def _images(number: int, count: int, life: Life, created_at: float, chance: random.Random, seed: int, today: float) -> list[Image]:
    images = []
    for position in range(count):
        newest = position == count - 1
        pushed_at, pulled_at = _push_and_pull(life, created_at, chance, today, sure=newest)
        tags = () if chance.random() < 0.15 and not newest else (f"v1.{position}", *(["latest"] if newest else []))  # noqa: PLR2004 - a share
        digest = f"sha256:{hashlib.sha256(f'{seed}/{number}/{position}'.encode()).hexdigest()}"
        images.append(Image(digest, tags, pushed_at, pulled_at, chance.randrange(5_000_000, 900_000_000)))
    return images


def _push_and_pull(life: Life, created_at: float, chance: random.Random, today: float, *, sure: bool) -> tuple[float, float | None]:
    """Draw when an image was pushed and last pulled. `sure` is the image that makes the repository's life what it is."""
    was_pulled = chance.random() < 0.7  # noqa: PLR2004 - a share
    lately = sure or chance.random() < 0.5  # noqa: PLR2004 - a share
    if life is Life.YOUNG:
        pushed_at = _between(chance, created_at, today)
        return pushed_at, _between(chance, pushed_at, today) if was_pulled else None
    if life in {Life.USED, Life.PUSHED} and lately:
        pushed_at = _ago(chance, RECENT, today)
        return pushed_at, _between(chance, pushed_at, today) if life is Life.USED and (sure or was_pulled) else None
    pushed_at = _ago(chance, OLD, today)
    if life in {Life.USED, Life.PULLED} and lately:
        return pushed_at, _ago(chance, RECENT, today) if sure or was_pulled else None
    return pushed_at, _between(chance, pushed_at, today - OLD[0] * DAY) if was_pulled else None


def _another(repository: Repository, today: float) -> Repository:
    order = list(Access)
    complete = repository.tags.keys() >= set(rules.REQUIRED_TAGS)
    digest = f"sha256:{hashlib.sha256(repository.images[-1].digest.encode() if repository.images else b'').hexdigest()}"
    return replace(
        repository,
        access=order[(order.index(repository.access) + 1) % len(order)],
        has_lifecycle=not repository.has_lifecycle,
        scan_on_push=not repository.scan_on_push,
        immutable=not repository.immutable,
        tags={} if complete else dict.fromkeys(rules.REQUIRED_TAGS, "lately"),
        images=(*repository.images, Image(digest, ("lately",), today, None, 5_000_000)),
    )


def _one_of(shares: Mapping[Kind, float], chance: random.Random) -> Kind:
    return chance.choices(list(shares), list(shares.values()))[0]


def _ago(chance: random.Random, days: tuple[float, float], today: float) -> float:
    return round(today - chance.uniform(*days) * DAY, 3)


def _between(chance: random.Random, begin: float, end: float) -> float:
    return round(chance.uniform(begin, end), 3)
