"""What a policy says of retirements, before anything is read of a repository: whatever decides or foretells them takes it from here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.policy.retirement import RetirementTerms
from ecr_governor.core.rules import unused


@dataclass(frozen=True, slots=True)
class Asked:
    """What it asks for one repository: the terms, None for no retirement; why it keeps it whatever they say, "" if it does not.

    `audited`: the rule `unused` audits there, so that all is planned and nothing taken further.
    """

    terms: RetirementTerms | None
    exempt: str
    audited: bool


def asked_of(policy: Policy, name: str, now: datetime) -> Asked:
    """Tell what the policy asks for a repository of this name. Where the rule is off, nothing is retired."""
    expected = policy.expectation_for(name)
    mode = policy.setting_of(unused.RULE.id, expected.namespace).mode
    exemption = policy.exemption_for(name, unused.RULE.id, now)
    exempt = ""
    if mode is Mode.OFF:
        exempt = f"the rule {unused.RULE.id} is off here"
    elif exemption:
        exempt = f"the policy exempts it until {exemption.expires:%Y-%m-%d}: {exemption.reason}"
    return Asked(expected.settings.retirement, exempt, mode is Mode.AUDIT)


def withheld(policy: Policy) -> Iterator[str]:
    """Say why a policy lets no retirement go forward, whatever becomes of its repositories."""
    if policy.mode is not Mode.ENFORCE:
        yield f"the mode is {policy.mode.value}"
    if policy.retirement.stop:
        yield "the policy says stop"
