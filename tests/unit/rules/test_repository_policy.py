import json
from typing import Any

import pytest

from ecr_governor.core.remedy import SetRepositoryPolicy
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, repository, verdict

LAMBDA = {"Sid": "LambdaPull", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": ["ecr:BatchGetImage"]}
PUBLIC = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}
NARROWED = {**PUBLIC, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
STRANGER = {**PUBLIC, "Principal": {"AWS": "999999999999"}}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


WANTS = f"repository_policy: {document(LAMBDA)}"
LACKS = "its repository policy lacks the expected statement LambdaPull"
NONE = "has no repository policy, so it lacks the expected statement LambdaPull"


@pytest.mark.parametrize(
    ("present", "settings", "expected"),
    [
        (None, "", Compliant()),
        (document(LAMBDA), WANTS, Compliant()),
        (None, WANTS, Violation(NONE, (SetRepositoryPolicy(None, document(LAMBDA)),))),
        (document(PUBLIC), "", Violation("statement 'Open' admits everybody")),
        (document(STRANGER), "", Violation("statement 'Open' admits the account 999999999999")),
        (document(STRANGER), 'trusted_accounts: ["999999999999"]', Compliant()),
        (
            document(PUBLIC),
            WANTS,
            Violation(
                f"statement 'Open' admits everybody; {LACKS}",
                (SetRepositoryPolicy(document(PUBLIC), document(PUBLIC, LAMBDA)),),  # nothing is taken away by itself
            ),
        ),
        (document(NARROWED), "", Undetermined("statement 'Open' admits everybody, under a condition that does not say who they are")),
        (document(NARROWED), WANTS, Violation(LACKS, (SetRepositoryPolicy(document(NARROWED), document(NARROWED, LAMBDA)),))),
        (document(PUBLIC), f"repository_policy: {document(PUBLIC)}", Compliant()),  # whoever wrote the policy file answers for it
        (
            "{",
            WANTS,
            Undetermined("its repository policy is not JSON: Expecting property name enclosed in double quotes in line 1, column 2"),
        ),
        (Unreadable("denied"), WANTS, Undetermined("its repository policy could not be read: denied")),
    ],
)
def test_a_repository_admits_whom_it_should(present: Any, settings: str, expected: object) -> None:
    assert verdict("repository-policy", repository(repository_policy=present), expectation(settings)) == expected


def test_members_of_a_trusted_organization_may_come() -> None:
    members = {**PUBLIC, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}}
    subject = repository(repository_policy=document(members))

    assert verdict("repository-policy", subject, expectation("trusted_organizations: [o-a1b2c3d4e5]")) == Compliant()
    assert verdict("repository-policy", subject, expectation()) == Violation("statement 'Open' admits everybody")


def test_where_there_is_no_room_a_person_must_make_it() -> None:
    full = document({**LAMBDA, "Sid": "Full", "Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"] * 670}}})
    found = verdict("repository-policy", repository(repository_policy=full), expectation(WANTS))

    assert isinstance(found, Violation)
    assert found.reason.startswith(f"{LACKS}, for which there is no room: with the wanted statements the policy has 10")
    assert found.remedies == ()


def test_an_old_version_is_not_given_variables() -> None:
    variable = json.dumps({**LAMBDA, "Condition": {"StringEquals": {"aws:PrincipalTag/a": "${aws:PrincipalTag/b}"}}})
    asked = expectation(f'repository_policy: {{"Version": "2012-10-17", "Statement": [{variable}]}}')
    found = verdict("repository-policy", repository(repository_policy='{"Statement": []}'), asked)

    assert found == Violation(
        f"{LACKS}, which cannot be merged into it: it has the version 2008-10-17, in which the wanted policy variables are no variables"
    )


def test_the_remedy_heals_what_it_is_for() -> None:
    found = verdict("repository-policy", repository(repository_policy=document({**LAMBDA, "Action": "ecr:*"})), expectation(WANTS))
    assert isinstance(found, Violation)
    (remedy,) = found.remedies
    assert isinstance(remedy, SetRepositoryPolicy)
    assert verdict("repository-policy", repository(repository_policy=remedy.after), expectation(WANTS)) == Compliant()
