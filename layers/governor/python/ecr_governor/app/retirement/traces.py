"""The traces that a retirement leaves on a repository, its tags and its policy: never left on another one of the same name.

ECR knows no condition on a write: deleted and created again between two calls, the new one is met in the place of the old.
"""

from collections.abc import Mapping
from datetime import datetime

from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.recording import Done, write_outcome
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.decide import Decision
from ecr_governor.core.retirement.quarantine import same_text
from ecr_governor.core.retirement.snapshot import Snapshot
from ecr_governor.core.retirement.state import Retirement, Stage

REBORN = "it was deleted and created again meanwhile"


def tag(snapshot: Snapshot, tags: Mapping[str, str], services: Services) -> bool:
    """Set tags; False if another repository of the name got them, which was then rid of them again."""
    services.registry.tag(snapshot, tags)
    present = services.registry.snapshot(snapshot.name)
    if present is None or present.created_at == snapshot.created_at:
        return True
    services.registry.untag(present, tags)
    return False


def set_policy(snapshot: Snapshot, text: str | None, services: Services) -> bool:
    """Set the repository policy; False if another repository of the name got it, which was then rid of it again."""
    services.registry.set_policy(snapshot.name, text)
    present = services.registry.snapshot(snapshot.name)
    if present is None or present.created_at == snapshot.created_at:
        return True
    if text is not None and isinstance(present.policy, str) and same_text(present.policy, text):
        services.registry.set_policy(snapshot.name, None)
    return False


def reborn(intended: RepositoryRecord, decision: Decision, services: Services, now: datetime) -> Done:
    """Another repository of the name is there, and was rid again of what it got: the retirement of the former one is over."""
    write_outcome(intended, Retirement(Stage.OBSERVED, now), decision, services, now, {"why": REBORN})
    return Done(intended.name, None, REBORN)
