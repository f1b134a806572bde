"""Policies are weighed as IAM weighs them, and what is not understood lets nothing through."""

from typing import Any

import pytest

from local.access.policy import Access, Effect, evaluate

ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/team-a/app"


def weigh(*statements: dict[str, Any], context: dict[str, tuple[str, ...]] | None = None) -> Effect:
    documents = [
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*", **one} for one in statements]}
    ]
    return evaluate(documents, Access("ecr:DeleteRepository", ARN, context or {}, frozenset({"Service:events.amazonaws.com"}))).effect


@pytest.mark.parametrize(
    ("statement", "effect"),
    [
        ({}, Effect.ALLOWED),
        ({"Action": "ECR:delete*"}, Effect.ALLOWED),
        ({"Action": ["ecr:Get*"]}, Effect.NOT_ALLOWED),
        ({"Resource": "arn:aws:ecr:*:*:repository/team-a/*"}, Effect.ALLOWED),
        ({"Resource": "arn:aws:ecr:*:*:repository/Team-A/*"}, Effect.NOT_ALLOWED),
        ({"Resource": "arn:aws:ecr:*:*:repository/team-?/app"}, Effect.ALLOWED),
        ({"Resource": "arn:aws:ecr:*:*:repository/[team]*"}, Effect.NOT_ALLOWED),
        ({"Effect": "Deny"}, Effect.DENIED),
        ({"Principal": {"Service": "events.amazonaws.com"}}, Effect.ALLOWED),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, Effect.NOT_ALLOWED),
        ({"Principal": "*"}, Effect.ALLOWED),
    ],
)
def test_statements(statement: dict[str, Any], effect: Effect) -> None:
    assert weigh(statement) is effect


def test_a_denial_wins() -> None:
    assert weigh({}, {"Effect": "Deny", "Action": "ecr:DeleteRepository"}) is Effect.DENIED


def test_not_action_allows_the_rest() -> None:
    documents = [{"Statement": {"Effect": "Allow", "NotAction": "ecr:Put*", "Resource": "*"}}]
    assert evaluate(documents, Access("ecr:DeleteRepository", ARN)).allowed
    assert not evaluate(documents, Access("ecr:PutImage", ARN)).allowed


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"aws:ResourceTag/a": "1"}}, {"aws:ResourceTag/a": ("1",)}, True),
        ({"StringEquals": {"aws:ResourceTag/a": "1"}}, {}, False),
        ({"StringNotEquals": {"aws:ResourceTag/a": "1"}}, {}, True),
        ({"StringEqualsIfExists": {"aws:ResourceTag/a": "1"}}, {}, True),
        ({"StringLike": {"aws:RequestTag/a": ["x*", "y"]}}, {"aws:RequestTag/a": ("xa",)}, True),
        ({"ForAllValues:StringLike": {"aws:TagKeys": ["g:*"]}}, {"aws:TagKeys": ("g:a", "g:b")}, True),
        ({"ForAllValues:StringLike": {"aws:TagKeys": ["g:*"]}}, {"aws:TagKeys": ("g:a", "b")}, False),
        ({"ForAllValues:StringLike": {"aws:TagKeys": ["g:*"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": "b"}}, {"aws:TagKeys": ("a", "b")}, True),
        ({"Null": {"aws:ResourceTag/a": "false"}}, {"aws:ResourceTag/a": ("1",)}, True),
        ({"Null": {"aws:ResourceTag/a": "true"}}, {"aws:ResourceTag/a": ("1",)}, False),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": ("true",)}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/r*"}}, {"aws:SourceArn": ("arn:aws:events:a:1:rule/r1",)}, True),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, tuple[str, ...]], holds: bool) -> None:
    assert (weigh({"Condition": condition}, context=context) is Effect.ALLOWED) is holds


@pytest.mark.parametrize(
    "condition",
    [
        {"DateGreaterThan": {"aws:SourceArn": "x"}},
        {"StringEquals": {"aws:UserAgent": "x"}},
        {"StringEquals": {"aws:SourceArn": "${aws:username}"}},
    ],
)
def test_what_is_not_understood_lets_nothing_through(condition: dict[str, Any]) -> None:
    context: dict[str, tuple[str, ...]] = {"aws:SourceArn": ("x",)}
    assert weigh({"Condition": condition}, context=context) is Effect.NOT_ALLOWED
    assert weigh({}, {"Effect": "Deny", "Condition": condition}, context=context) is Effect.DENIED
    documents = [{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}}]
    assert evaluate(documents, Access("a:b", ARN, context)).unsupported
