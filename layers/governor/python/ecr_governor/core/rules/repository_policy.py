"""A repository's policy carries the expected statements and admits nobody beyond the trusted."""

from datetime import datetime
from typing import Final

from ecr_governor.core.documents import repository_policy
from ecr_governor.core.policy.model import Expectation, NamespaceSettings
from ecr_governor.core.remedy import Remedy, SetRepositoryPolicy
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def _applies(_expectation: Expectation) -> bool:
    return True  # whom a repository admits matters with or without expected statements


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    text = repository.repository_policy
    if isinstance(text, Unreadable):
        return Undetermined(f"its repository policy could not be read: {text.why}")
    settings = expectation.settings
    try:
        document = repository_policy.parse(text) if text is not None else None
    except repository_policy.PolicyMalformed as error:
        return Undetermined(f"its repository policy {error}")
    admitted = repository_policy.Admitted()
    if document is not None:
        foreign = repository_policy.foreign_statements(document, settings.repository_policy)
        admitted = repository_policy.public_or_untrusted(
            foreign, repository.account, settings.trusted_accounts, settings.trusted_organizations
        )
    missing, remedies = _missing(text, document, settings)
    reasons = [*admitted.untrusted, *missing]
    if reasons:
        return Violation("; ".join(reasons), remedies)
    if admitted.unclear:
        return Undetermined("; ".join(admitted.unclear))
    return Compliant()


def _missing(text: str | None, document: dict[str, object] | None, settings: NamespaceSettings) -> tuple[list[str], tuple[Remedy, ...]]:
    """Say which expected statements are not there, and give the remedy where the documents can be merged."""
    if settings.repository_policy is None:
        return [], ()
    sids = repository_policy.missing_statements(document, settings.repository_policy)
    if not sids:
        return [], ()
    has = "has no repository policy, so it lacks" if text is None else "its repository policy lacks"
    reason = f"{has} the expected {'statement' if len(sids) == 1 else 'statements'} {', '.join(sids)}"
    try:
        return [reason], (SetRepositoryPolicy(text, repository_policy.merge(text, settings.repository_policy)),)
    except repository_policy.PolicyMalformed as error:
        return [f"{reason}, which cannot be merged into it: it {error}"], ()
    except repository_policy.DocumentTooLong as error:
        return [f"{reason}, for which there is no room: {error}"], ()


RULE: Final = Rule(
    id="repository-policy",
    summary="The repository policy has the expected statements and admits only trusted accounts",
    why="A statement for everybody, or for a forgotten account, lets strangers pull or overwrite images.",
    fix="Add the expected statements (enforce adds them). Narrow a statement that admits strangers to trusted accounts or to the "
    "organization (aws:PrincipalOrgID); statements are never removed for you.",
    severity=Severity.HIGH,
    needs=frozenset({Fact.REPOSITORY_POLICY}),
    applies=_applies,
    check=_check,
)
