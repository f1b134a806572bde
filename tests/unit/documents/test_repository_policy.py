"""Repository policies: whom they admit, what is missing from them, and how statements are merged in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core.documents.repository_policy import (
    Admitted,
    DocumentTooLong,
    PolicyMalformed,
    foreign_statements,
    merge,
    missing_statements,
    parse,
    problems_of,
    public_or_untrusted,
    render,
)

OURS, FRIEND, STRANGER = "123456789012", "210987654321", "999999999999"
ORGANIZATION = "o-a1b2c3d4e5"


def statement(principal: Any = None, /, **more: Any) -> dict[str, Any]:
    named = {} if principal is None else {"Principal": principal}
    return {"Sid": "S", "Effect": "Allow", **named, "Action": "ecr:BatchGetImage", **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def judged(*statements: dict[str, Any]) -> Admitted:
    return public_or_untrusted(document(*statements), OURS, [FRIEND], [ORGANIZATION])


def kind(*statements: dict[str, Any]) -> str:
    admitted = judged(*statements)
    return "untrusted" if admitted.untrusted else "unclear" if admitted.unclear else "fine"


@pytest.mark.parametrize(
    ("principal", "told"),
    [
        ("*", "untrusted"),
        ({"AWS": "*"}, "untrusted"),
        ({"AWS": ["arn:aws:iam::123456789012:root", "*"]}, "untrusted"),
        ({"*": "*"}, "untrusted"),
        ({"AWS": OURS}, "fine"),
        ({"AWS": FRIEND}, "fine"),
        ({"AWS": STRANGER}, "untrusted"),
        ({"AWS": f"arn:aws:iam::{OURS}:root"}, "fine"),
        ({"AWS": f"arn:aws:iam::{STRANGER}:root"}, "untrusted"),
        ({"AWS": f"arn:aws:iam::{FRIEND}:role/path/ci"}, "fine"),
        ({"AWS": f"arn:aws:iam::{STRANGER}:user/eve"}, "untrusted"),
        ({"AWS": f"arn:aws:sts::{STRANGER}:assumed-role/ci/session"}, "untrusted"),
        ({"AWS": f"arn:aws-cn:iam::{OURS}:root"}, "fine"),
        ({"AWS": f"arn:aws-us-gov:iam::{STRANGER}:root"}, "untrusted"),
        ({"AWS": "arn:aws:iam::*:root"}, "untrusted"),
        ({"AWS": "arn:aws:iam::12345678901?:root"}, "untrusted"),
        ({"AWS": "AROAEXAMPLEID"}, "unclear"),
        ({"AWS": "AIDAEXAMPLEID"}, "unclear"),
        ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}, "unclear"),
        ({"AWS": "nonsense"}, "unclear"),
        ({"AWS": "１２３４５６７８９０１２"}, "unclear"),  # noqa: RUF001 - digits, but none of AWS's
        ({"Service": "lambda.amazonaws.com"}, "fine"),
        ({"Service": ["lambda.amazonaws.com", "ecs.amazonaws.com"], "AWS": OURS}, "fine"),
        ({"Service": "lambda.amazonaws.com", "AWS": STRANGER}, "untrusted"),
        ({"Federated": f"arn:aws:iam::{OURS}:oidc-provider/token.actions.githubusercontent.com"}, "fine"),
        ({"Federated": f"arn:aws:iam::{STRANGER}:oidc-provider/x"}, "untrusted"),
        ({"Federated": "cognito-identity.amazonaws.com"}, "unclear"),
        ({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}, "unclear"),
        (None, "unclear"),
        ([], "unclear"),
    ],
)
def test_an_allow_is_judged_by_whom_it_names(principal: Any, told: str) -> None:
    assert kind(statement(principal)) == told


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({}, "untrusted"),
        ({"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "fine"),
        ({"StringEquals": {"aws:principalorgid": [ORGANIZATION]}}, "fine"),
        ({"StringEquals": {"aws:PrincipalOrgID": [ORGANIZATION, "o-other12345"]}}, "untrusted"),
        ({"StringLike": {"aws:PrincipalOrgID": "o-*"}}, "untrusted"),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": ORGANIZATION}}, "untrusted"),
        ({"StringNotEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "untrusted"),
        ({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "untrusted"),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "fine"),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/ou-*"}}, "fine"),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-*/r-ab12/*"}}, "untrusted"),
        ({"StringEquals": {"aws:PrincipalAccount": [OURS, FRIEND]}}, "fine"),
        ({"StringEquals": {"aws:PrincipalAccount": STRANGER}}, "untrusted"),
        ({"StringEquals": {"aws:PrincipalAccount": []}}, "untrusted"),
        ({"StringLike": {"aws:PrincipalAccount": "*"}}, "untrusted"),
        ({"StringEquals": {"aws:SourceAccount": OURS}}, "fine"),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:lambda:*:{OURS}:function:*"}}, "fine"),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:*"}}, "untrusted"),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}}, "untrusted"),
        ({"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{FRIEND}:role/ci"}}, "fine"),
        ({"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::{OURS}:role/*"}}, "fine"),
        ({"StringLike": {"aws:PrincipalArn": f"*:{OURS}:role/*"}}, "untrusted"),
        ({"StringLike": {"aws:PrincipalArn": f"arn:aws:iam:*:{OURS}:role/*"}}, "untrusted"),  # * may swallow another account
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OURS}*:role/x"}}, "untrusted"),
        ({"Bool": {"aws:SecureTransport": "true"}}, "untrusted"),
        # Who is nobody in particular, sends a key or not, or chooses the time, may be anybody.
        ({"StringNotEquals": {"aws:PrincipalTag/team": "payments"}}, "untrusted"),
        ({"StringNotEqualsIgnoreCase": {"aws:PrincipalTag/team": "payments"}}, "untrusted"),
        ({"StringNotLike": {"aws:userid": "AROAX:*"}}, "untrusted"),
        ({"StringNotLikeIfExists": {"aws:userid": "AROAX:*"}}, "untrusted"),
        ({"ForAllValues:StringNotEquals": {"aws:TagKeys": "x"}}, "untrusted"),
        ({"ForAnyValue:StringNotLike": {"aws:TagKeys": "x"}}, "untrusted"),
        ({"NumericNotEquals": {"aws:MultiFactorAuthAge": "1"}}, "untrusted"),
        ({"DateNotEquals": {"aws:TokenIssueTime": "2026-11-02T00:00:00Z"}}, "untrusted"),
        ({"ArnNotEquals": {"ecr:x": f"arn:aws:iam::{STRANGER}:root"}}, "untrusted"),
        ({"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{STRANGER}:*"}}, "untrusted"),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "untrusted"),
        ({"Null": {"aws:PrincipalTag/team": "false"}}, "untrusted"),
        ({"Null": {"aws:PrincipalOrgID": "false"}}, "untrusted"),
        ({"Bool": {"aws:ViaAWSService": "true"}}, "untrusted"),
        ({"BoolIfExists": {"x:y": True}}, "untrusted"),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, "unclear"),  # which leaves services only
        ({"DateLessThan": {"aws:TokenIssueTime": "2030-01-01T00:00:00Z"}}, "untrusted"),
        ({"DateGreaterThanEqualsIfExists": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, "untrusted"),
        # Values that everything matches.
        ({"StringLike": {"aws:userid": "*"}}, "untrusted"),
        ({"StringLike": {"aws:userid": ["AROAX:*", "**"]}}, "untrusted"),
        ({"StringLikeIfExists": {"aws:PrincipalTag/team": "*"}}, "untrusted"),
        ({"ForAnyValue:StringLike": {"aws:TagKeys": "*"}}, "untrusted"),
        ({"ForAllValues:StringLike": {"aws:TagKeys": "*"}}, "untrusted"),
        ({"ArnLike": {"x:arn": "*"}}, "untrusted"),
        ({"ArnEquals": {"x:arn": "*"}}, "untrusted"),
        ({"StringLike": {"aws:SourceIp": "*"}}, "untrusted"),
        ({"StringLike": {"aws:userid": "AROAX:*"}}, "unclear"),
        ({"StringLike": {"aws:userid": ""}}, "unclear"),
        ({"StringLike": {"aws:userid": []}}, "unclear"),
        ({"StringEquals": {"aws:userid": "*"}}, "unclear"),  # compared as it stands, it is nobody's
        # Ranges of every address.
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, "untrusted"),
        ({"IpAddress": {"aws:SourceIp": "::/0"}}, "untrusted"),
        ({"IpAddress": {"aws:SourceIp": "10.1.2.3/0"}}, "untrusted"),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::/0"]}}, "untrusted"),
        ({"IpAddressIfExists": {"aws:VpcSourceIp": "0.0.0.0/0"}}, "untrusted"),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "unclear"),
        ({"IpAddress": {"aws:SourceIp": "2001:db8::/10"}}, "unclear"),
        ({"IpAddress": {"aws:SourceIp": "10.1.2.3"}}, "unclear"),
        ({"IpAddress": {"aws:SourceIp": "10.1.2.3/"}}, "unclear"),
        # Together: one that may tell who they are is enough for doubt, one that leaves the trusted for trust.
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringEquals": {"aws:SourceVpce": "vpce-1"}}, "unclear"),
        ({"Null": {"aws:SourceVpce": "true"}, "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "fine"),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}, "Bool": {"aws:SecureTransport": "true"}}, "untrusted"),
        ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, "unclear"),
        ({"BinaryEquals": {"x:y": "eA=="}}, "unclear"),
        ({"Bool": "true"}, "unclear"),
        ({"StringEquals": {"aws:PrincipalTag/team": "payments"}}, "unclear"),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1", "aws:PrincipalOrgID": ORGANIZATION}}, "fine"),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, "fine"),
        ({"StringEquals": "what"}, "unclear"),
        ("what", "unclear"),
    ],
)
def test_an_allow_for_everybody_is_judged_by_its_conditions(condition: Any, told: str) -> None:
    assert kind(statement("*", Condition=condition)) == told


def test_a_named_stranger_is_admitted_however_the_call_is_narrowed() -> None:
    narrowed = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}

    assert kind(statement({"AWS": STRANGER}, Condition=narrowed)) == "untrusted"
    assert kind(statement({"AWS": STRANGER}, Condition={"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})) == "fine"


def test_what_is_admitted_is_told_by_statement() -> None:
    admitted = judged(
        statement("*"),
        {**statement({"AWS": [STRANGER, f"arn:aws:iam::{STRANGER}:root", "888888888888"]}), "Sid": ""},
        statement(NotPrincipal={"AWS": OURS}),
        statement("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        statement({"AWS": "AROAEXAMPLEID"}),
        statement("*", Effect="Deny"),
    )

    assert admitted.untrusted == (
        "statement 'S' admits everybody",
        f"statement 2 admits the accounts {STRANGER}, 888888888888",
        "statement 'S' admits everybody but those in NotPrincipal",
    )
    assert admitted.unclear == (
        "statement 'S' admits everybody, under a condition that does not say who they are",
        "statement 'S' admits AROAEXAMPLEID, the id of a user or role that no longer exists",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["*", OURS, "Allow", "ecr:*", "arn:aws:iam::*:root", "", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["AWS", "Service", "StringEquals", "aws:PrincipalOrgID", "Sid", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
STATEMENTS = st.dictionaries(st.sampled_from(["Sid", "Effect", "Principal", "NotPrincipal", "Action", "Condition", "Resource"]), JSON)


@given(st.lists(STATEMENTS, max_size=3))
def test_no_policy_does_anything_but_get_judged(statements: list[dict[str, Any]]) -> None:
    found = parse(json.dumps(document(*statements)))
    public_or_untrusted(found, OURS, [FRIEND], [ORGANIZATION])
    problems_of(found)
    merged = parse(merge(json.dumps(found), WANTED))

    assert missing_statements(merged, WANTED) == ()


@given(st.lists(st.sampled_from(["*", OURS, STRANGER, "arn:aws:iam::*:root", "AROAX"]), min_size=1, max_size=3), JSON)
def test_trusting_more_never_admits_more(named: list[str], condition: Any) -> None:
    found = document(statement({"AWS": named}, Condition=condition))
    fewer = public_or_untrusted(found, OURS, [FRIEND, STRANGER], [ORGANIZATION])

    assert len(fewer.untrusted) <= len(public_or_untrusted(found, OURS, [], []).untrusted)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON: Expecting value in line 1, column 1"),
        ("[]", "is not a JSON object"),
        ("{}", "has no list of statements"),
        ('{"Statement": ["x"]}', "has no list of statements"),
        ('{"Statement": [{"Sid": "a", "Sid": "b"}]}', "has the key 'Sid' twice"),
    ],
)
def test_a_text_that_is_no_policy_is_not_judged(text: str, told: str) -> None:
    with pytest.raises(PolicyMalformed) as caught:
        parse(text)

    assert str(caught.value) == told


def test_a_single_statement_is_a_list_of_one() -> None:
    assert parse(json.dumps({"Statement": statement("*")}))["Statement"] == [statement("*")]


LAMBDA = {
    "Sid": "LambdaPull",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}
FRIENDS = {"Sid": "Friends", "Effect": "Allow", "Principal": {"AWS": FRIEND}, "Action": "ecr:BatchGetImage"}
WANTED = document(LAMBDA, FRIENDS)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ({**FRIENDS, "Principal": {"AWS": f"arn:aws:iam::{FRIEND}:root"}}, True),  # as AWS stores a bare account id
        ({**FRIENDS, "Principal": {"AWS": [FRIEND]}}, True),
        ({**FRIENDS, "Action": ["ecr:BatchGetImage"]}, True),
        ({**FRIENDS, "Action": "ECR:batchgetimage"}, True),
        ({**FRIENDS, "Condition": {}}, True),
        ({**FRIENDS, "Principal": {"AWS": f"arn:aws:iam::{FRIEND}:role/root"}}, False),
        ({**FRIENDS, "Principal": {"AWS": [FRIEND, STRANGER]}}, False),
        ({**FRIENDS, "Action": "ecr:*"}, False),
        ({**FRIENDS, "Effect": "Deny"}, False),
        ({**FRIENDS, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({**FRIENDS, "Sid": "friends"}, False),
    ],
)
def test_a_statement_is_missing_unless_it_says_the_same(written: dict[str, Any], same: bool) -> None:
    assert missing_statements(document(written), document(FRIENDS)) == (() if same else ("Friends",))


def test_conditions_are_compared_by_what_they_say() -> None:
    one = {**FRIENDS, "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["b", "a"]}, "Bool": {"aws:SecureTransport": True}}}
    two = {**FRIENDS, "Condition": {"Bool": {"aws:securetransport": "true"}, "stringequals": {"aws:PrincipalOrgID": ["a", "b"]}}}

    assert missing_statements(document(one), document(two)) == ()


def test_everybody_has_two_spellings() -> None:
    assert missing_statements(document(statement("*")), document(statement({"AWS": ["*"]}))) == ()


def test_without_a_policy_every_statement_is_missing() -> None:
    assert missing_statements(None, WANTED) == ("LambdaPull", "Friends")
    assert json.loads(merge(None, WANTED)) == WANTED


def test_merging_keeps_what_is_foreign_replaces_by_sid_and_adds_at_the_end() -> None:
    foreign = {"Sid": "Mine", "Effect": "Deny", "Principal": "*", "Action": ["ecr:DeleteRepository"], "Condition": {"Null": {"a": "true"}}}
    nameless = {"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEID"}, "Action": "ecr:*"}
    present = {"Version": "2008-10-17", "Id": "kept", "Statement": [nameless, {**FRIENDS, "Action": "ecr:*"}, foreign]}

    merged = json.loads(merge(json.dumps(present), WANTED))

    assert merged == {"Version": "2008-10-17", "Id": "kept", "Statement": [nameless, FRIENDS, foreign, LAMBDA]}


def test_a_wanted_sid_stands_once_after_merging() -> None:
    present = document({**FRIENDS, "Action": "ecr:*"}, {**FRIENDS, "Effect": "Deny"})

    assert json.loads(merge(json.dumps(present), document(FRIENDS)))["Statement"] == [FRIENDS]


def test_a_statement_that_says_the_same_stays_as_aws_wrote_it() -> None:
    stored = {**FRIENDS, "Principal": {"AWS": f"arn:aws:iam::{FRIEND}:root"}}

    assert json.loads(merge(json.dumps(document(stored)), WANTED))["Statement"] == [stored, LAMBDA]


@given(st.lists(STATEMENTS, max_size=4))
def test_merging_is_done_once_and_loses_nothing(statements: list[dict[str, Any]]) -> None:
    text = json.dumps(document(*statements))
    merged = merge(text, WANTED)

    assert merge(merged, WANTED) == merged
    assert missing_statements(parse(merged), WANTED) == ()
    ours = {"LambdaPull", "Friends"}
    kept = [one for one in json.loads(merged)["Statement"] if one.get("Sid") not in ("LambdaPull", "Friends")]
    assert kept == [one for one in statements if not (isinstance(one.get("Sid"), str) and one["Sid"] in ours)]


def test_a_policy_that_cannot_be_read_is_not_merged() -> None:
    with pytest.raises(PolicyMalformed):
        merge("{", WANTED)


def test_policy_variables_are_not_merged_into_a_version_that_has_none() -> None:
    variable = document({**FRIENDS, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:PrincipalTag/owner}"}}})

    with pytest.raises(PolicyMalformed, match="has the version 2008-10-17"):
        merge(json.dumps({"Statement": []}), variable)
    assert merge(json.dumps(document()), variable)


def test_what_is_too_long_for_ecr_is_not_merged() -> None:
    present = json.dumps(document(statement({"AWS": [f"arn:aws:iam::{OURS}:role/{'x' * 50}{n}" for n in range(110)]})))

    assert len(present) < 10_240
    with pytest.raises(DocumentTooLong, match="ECR takes 10240"):
        merge(present, document(*({**LAMBDA, "Sid": f"L{n}"} for n in range(10))))


def test_wanted_statements_are_not_foreign() -> None:
    stored = {**FRIENDS, "Principal": {"AWS": f"arn:aws:iam::{FRIEND}:root"}}

    assert foreign_statements(document(stored, statement("*")), WANTED)["Statement"] == [statement("*")]
    assert foreign_statements(document(stored), None)["Statement"] == [stored]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (WANTED, []),
        (document({**LAMBDA, "Action": "*", "Condition": {"StringLike": {"aws:SourceArn": "arn:*"}}}), []),
        (document({**LAMBDA, "Effect": "Deny", "Principal": "*"}), []),
        ([], ["must be an object with the key Statement"]),
        (document(), ["Statement: must be a list of at least one statement"]),
        ({"Statement": [LAMBDA]}, ["Version: Version is missing"]),
        ({**WANTED, "Statment": []}, ["Statment: unknown key 'Statment'"]),
        (document(LAMBDA, LAMBDA), ["Statement[1].Sid: the Sid 'LambdaPull' is taken by an earlier statement"]),
        (document({**LAMBDA, "Sid": " "}), ["Statement[0].Sid: every statement needs a Sid"]),
        (document({**LAMBDA, "Effect": "allow"}), ["Statement[0].Effect: 'allow' is no Effect"]),
        (document({**LAMBDA, "NotAction": "ecr:*"}), ["Statement[0]: needs either Action or NotAction"]),
        (document({**LAMBDA, "Action": ["s3:GetObject"]}), ["Statement[0].Action[0]: 's3:GetObject' is no action of ECR's"]),
        (document({**LAMBDA, "Resource": "*"}), ["Statement[0].Resource: ECR refuses Resource in a repository policy"]),
        (document({**LAMBDA, "Principal": {"AWS": [7]}}), ["Statement[0].Principal.AWS: must be text or a list of texts"]),
        (document({**LAMBDA, "Principal": {"Amazon": "x"}}), ["Statement[0].Principal.Amazon: unknown key 'Amazon'"]),
        (
            document({**LAMBDA, "Principal": OURS}),
            ["Statement[0].Principal: must be \"*\" or a mapping, not '123456789012'"],
        ),
        (document({**LAMBDA, "Condition": {"Bool": "x"}}), ["Statement[0].Condition: must map operators to keys and values"]),
        (
            document({"Sid": "a", "Effect": "Allow", "NotPrincipal": {"AWS": OURS}, "Action": "ecr:*"}),
            ["Statement[0].NotPrincipal: an Allow for NotPrincipal admits everybody else"],
        ),
        (document({**LAMBDA, "Condition": {"StringEquals": {"a": "x" * 10_240}}}), ["has 10461 characters; ECR takes 10240"]),
    ],
)
def test_a_document_of_the_policy_file_is_checked(content: Any, told: list[str]) -> None:
    assert [str(problem) for problem in problems_of(content)] == told


def test_documents_are_written_without_white_space() -> None:
    assert " " not in render(WANTED)
    assert json.loads(render(WANTED)) == WANTED
