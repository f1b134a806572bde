"""What each rule looks at: the value, who told it, and as of when."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cli.explanation.given import Given
from ecr_governor.adapters.ecr import ACTION_OF
from ecr_governor.core.origin import Origin, longest_prefix
from ecr_governor.core.policy.model import placeholders
from ecr_governor.core.remedy import setting
from ecr_governor.core.repository import Encryption, Fact, Repository, TagMutabilitySetting, Unreadable, Usage
from ecr_governor.core.rules import RULES, auto_created, encryption, naming, required_tags, tag_mutability

LISTED: Final = "ecr:DescribeRepositories"
TAGS_SHOWN: Final = 10
_TOLD_BY_PUSH: Final = frozenset({Fact.HOLDS_IMAGE, Fact.IMAGES, Fact.USAGE})
"""Of what is not there yet: no template says these."""
LATE: Final = "ECR tells a pull up to a day late"


@dataclass(frozen=True, slots=True)
class Seen:
    """One value that a rule looked at.

    `source` is the IAM action by which it was read, or what else told it. `at` is as of when it is known, None where nothing was read.
    """

    what: str
    value: str
    source: str
    at: datetime | None
    note: str = ""


def seen_by(rule_id: str, given: Given) -> Iterator[Seen]:
    """Give what a rule looks at, in the order in which it matters."""
    repository = given.repository
    if rule_id == naming.RULE.id:
        segments = given.policy.expectation_for(repository.name).segments
        read = f": {', '.join(f'{name} {text}' for name, text in segments.items())}" if segments else ""
        yield Seen("name", f"{repository.name}{read}", "the command line", None)
    if rule_id in {naming.RULE.id, auto_created.RULE.id}:
        yield _origin(given)
    if rule_id == auto_created.RULE.id or (rule_id == required_tags.RULE.id and _asks_for_pusher(given)):
        yield _pusher(given)
    if rule_id == tag_mutability.RULE.id:
        yield _read(given, "tag mutability", _in_words(repository.tag_mutability), LISTED)
    if rule_id == encryption.RULE.id:
        yield _read(given, "encryption", _in_words(repository.encryption), LISTED)
    for fact in sorted(RULES[rule_id].needs):
        yield _fact(fact, given)


def _asks_for_pusher(given: Given) -> bool:
    required = given.policy.expectation_for(given.repository.name).settings.required_tags or {}
    return any("pusher" in placeholders(tag.set or "") for tag in required.values())


def _origin(given: Given) -> Seen:
    provenance = given.repository.provenance
    evidence = "; ".join(signal.seen for signal in provenance.evidence)
    if given.record is not None and provenance.creation is not None:
        return Seen("origin", provenance.origin.value, "ledger: event CreateRepository", provenance.creation.at, evidence)
    source = "creation template" if given.foreseen and provenance.origin is Origin.CREATE_ON_PUSH else "the registry's rules"
    if given.foreseen and given.foreseen.template is None:
        return Seen("origin", "created by hand", "nothing else could make it", None)
    return Seen("origin", provenance.origin.value, source, given.now, evidence or "only CloudTrail's record of the creation would tell")


def _pusher(given: Given) -> Seen:
    push = given.repository.provenance.first_push
    if push is not None:
        return Seen("first pusher", push.actor.name, "ledger: event PutImage", push.at)
    if given.foreseen:
        return Seen("first pusher", "whoever pushes", "event PutImage, to come", None)
    where = "no event of a push is in the ledger" if given.recorded else "only the ledger knows: --stack"
    return Seen("first pusher", "not known", where, None)


def _fact(fact: Fact, given: Given) -> Seen:
    value = getattr(given.repository, fact.value)
    words = _in_words(value)
    if fact is Fact.CREATION_TEMPLATES and isinstance(value, tuple):
        covering = longest_prefix((each.prefix for each in value), given.repository.name)
        words = f"{covering} covers the name" if covering else "none covers the name"
    if fact is Fact.IMAGES and isinstance(value, tuple):
        tags = sorted({tag for image in value for tag in image.tags})
        words = f"{_counted(len(value), 'image')}, {_counted(len(tags), 'tag')}" + (f": {_list(tags)}" if tags else "")
    note = ""
    if fact is Fact.USAGE:
        noted = given.recorded.noted if given.recorded and given.exists else None
        note = f"{LATE}; an event tells of a push at {noted.at:%Y-%m-%d %H:%M}" if noted else LATE
    what = fact.value.replace("_", " ")
    if given.foreseen and given.foreseen.template and fact in _TOLD_BY_PUSH:
        return Seen(what, words, "the push, to come", None)
    if given.foreseen and fact is Fact.CREATION_TEMPLATES:
        return Seen(what, words, ACTION_OF[fact], given.now)
    return _read(given, what, words, ACTION_OF[fact], note)


def _read(given: Given, what: str, words: str, action: str, note: str = "") -> Seen:
    if given.foreseen is None:
        return Seen(what, words, action, given.now, note)
    if given.foreseen.template is None:
        return Seen(what, words, "nothing", None)
    return Seen(what, words, f"creation template {given.foreseen.template}", given.now)


def _in_words(value: Any) -> str:
    match value:
        case Unreadable(why):
            return f"not known: {why}"
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case TagMutabilitySetting():
            return setting(value)
        case Encryption(kind, key):
            return f"{kind.value} with {key}" if key else kind.value
        case Usage():
            return _use(value)
        case Mapping():
            return _list([f"{key}={text}" for key, text in sorted(value.items())]) or "none"
        case str():
            return _document(value)
        case _:
            return str(value)


def _use(usage: Usage) -> str:
    push, pull = (f"{at:%Y-%m-%d %H:%M}" if at else "never" for at in (usage.last_push, usage.last_pull))
    count = f"; {_counted(usage.images, 'image')}" if usage.images is not None else ""
    return f"last push {push}, last pull {pull}{count}"


def _document(text: str) -> str:
    """Say what a document holds: a lifecycle policy's rules, a repository policy's statements."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if isinstance(document, dict) and isinstance(rules := document.get("rules"), list):
        return _counted(len(rules), "rule")
    if isinstance(document, dict) and (statements := document.get("Statement")):
        listed = statements if isinstance(statements, list) else [statements]
        return f"{_counted(len(listed), 'statement')}: {_list([str(each.get('Sid', 'without a Sid')) for each in listed])}"
    return text


def _list(words: list[str]) -> str:
    more = f" and {len(words) - TAGS_SHOWN:,} more" if len(words) > TAGS_SHOWN else ""
    return ", ".join(words[:TAGS_SHOWN]) + more


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def owner_of(repository: Repository, key: str) -> str | None:
    """Give the value of the tag that names a repository's owner."""
    return None if isinstance(repository.tags, Unreadable) else repository.tags.get(key)
