"""Images were pushed or deleted: judge what the event alone can tell, and ask for a look at the repository only if more is needed."""

from datetime import datetime

from ecr_governor.app.ports import Ledger, PolicySource
from ecr_governor.core.origin import News, learn, milestones
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Fact
from ecr_governor.core.rules import RULES
from ecr_governor.core.rules.image_tag import violating_tags

_IMAGE_RULES = frozenset(rule.id for rule in RULES.values() if rule.needs & {Fact.IMAGES, Fact.HOLDS_IMAGE})
"""Rules whose open findings a push, or the deletion of an image, may resolve."""


def take_note(name: str, news: News, ledger: Ledger, policies: PolicySource, now: datetime) -> bool:
    """Take note of what happened to a repository's images; False if the repository must be looked at instead. Raises Throttled, Denied.

    A push to a repository that is known, with a tag that follows the scheme, costs no ECR call. Most do.
    """
    policy = policies.current(now).policy
    record = ledger.read(name)
    # The newest push is kept apart from the record: who pushes often must not keep a look from writing it.
    if news.pushes:
        ledger.note_push(name, max(news.pushes, key=lambda push: (push.at, push.event_id)))
    return record is not None and not _needs_a_look(record, news, policy)


def _needs_a_look(record: RepositoryRecord, news: News, policy: Policy) -> bool:
    learned = learn(record.provenance, news)
    tags = [push.tag for push in news.pushes if push.tag]
    return (
        record.gone_at is not None
        or (record.policy_hash, record.mode) != (policy.hash, policy.mode)
        or milestones(learned) != milestones(record.provenance)
        or bool(violating_tags(tags, policy.expectation_for(record.name)))
        or any(finding.rule in _IMAGE_RULES for finding in record.open_findings())
    )
