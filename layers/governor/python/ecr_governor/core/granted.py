"""Exemptions that people ask for and confirm in Slack: they stand in the repository's record, beside those of the policy file."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ecr_governor.core.policy.model import Exemption, Policy


@dataclass(frozen=True, slots=True)
class Granted:
    """An exemption of one repository from some rules, up to the day `expires` and through it, in UTC.

    `id` is the press that asked for it, `asked_by` the id of that person in Slack, `owner` who answers for it. It holds once it has been
    `confirmed_by` somebody else; "" until then.
    """

    id: str
    rules: tuple[str, ...]
    reason: str
    owner: str
    asked_by: str
    expires: date
    ticket: str = ""
    confirmed_by: str = ""

    def exemption(self, name: str) -> Exemption:
        """Give it as the policy file would say it, held to the same form. Raises pydantic's ValidationError."""
        reason = f"{self.reason} ({self.ticket})" if self.ticket else self.reason
        # A name that ECR accepts has no character that means something in a glob.
        return Exemption.model_validate(
            {"match": name, "rules": self.rules, "reason": reason, "owner": self.owner, "expires": self.expires}
        )


def with_granted(policy: Policy, name: str, granted: Iterable[Granted]) -> Policy:
    """Return the policy that one repository is judged by: the file's exemptions, and the confirmed ones of its record."""
    return policy.exempting(tuple(each.exemption(name) for each in granted if each.confirmed_by))
