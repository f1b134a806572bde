"""Alerts by e-mail: the topic asks whether anybody hears before it speaks."""

from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ecr_governor.adapters.topic import SnsTopic
from ecr_governor.app.errors import Undeliverable
from local.server import EmbeddedAws

ADDRESS = "platform@example.com"
_numbers = count()


@pytest.fixture
def arn(aws: EmbeddedAws) -> str:
    aws.mail.messages.clear()
    return str(aws.client("sns").create_topic(Name=f"alerts-{next(_numbers)}")["TopicArn"])


def test_only_who_has_confirmed_hears_and_without_anybody_nothing_is_said(aws: EmbeddedAws, arn: str) -> None:
    topic = SnsTopic(aws.client("sns"), arn)
    with pytest.raises(Undeliverable, match="nobody has confirmed"):
        topic.send("Subject", "text")
    aws.client("sns").subscribe(TopicArn=arn, Protocol="email", Endpoint=ADDRESS)
    with pytest.raises(Undeliverable, match="nobody has confirmed"):
        topic.send("Subject", "text")
    assert aws.mail.messages == []
    assert aws.mail.confirm(ADDRESS) == 1
    topic.send("Subject", "text")
    assert [(each["to"], each["subject"], each["text"]) for each in aws.mail.messages] == [(ADDRESS, "Subject", "text")]


def test_a_topic_that_is_gone_is_undeliverable(aws: EmbeddedAws, arn: str) -> None:
    aws.client("sns").delete_topic(TopicArn=arn)
    with pytest.raises(Undeliverable, match=r"^sns:GetTopicAttributes: NotFound"):
        SnsTopic(aws.client("sns"), arn).send("Subject", "text")


class _Sns:
    def __init__(self, confirmed: Any, trouble: Exception | None = None) -> None:
        self.confirmed, self.trouble = confirmed, trouble
        self.published: list[str] = []

    def get_topic_attributes(self, **_: str) -> dict[str, Any]:
        return {"Attributes": {} if self.confirmed is None else {"SubscriptionsConfirmed": self.confirmed}}

    def publish(self, **message: str) -> None:
        if self.trouble:
            raise self.trouble
        self.published.append(message["Message"])


@pytest.mark.parametrize("confirmed", [None, "", "0", "-1", "many", "²"])
def test_what_says_nothing_of_a_reader_counts_as_none(confirmed: str | None) -> None:
    sns = _Sns(confirmed)
    with pytest.raises(Undeliverable, match="nobody has confirmed"):
        SnsTopic(sns, "arn").send("Subject", "text")  # type: ignore[arg-type]  # a stand-in
    assert sns.published == []


@pytest.mark.parametrize(
    "trouble", [ClientError({"Error": {"Code": "AuthorizationError"}}, "Publish"), EndpointConnectionError(endpoint_url="https://sns")]
)
def test_a_topic_that_does_not_take_it_is_undeliverable(trouble: Exception) -> None:
    with pytest.raises(Undeliverable, match=r"^sns:Publish: "):
        SnsTopic(_Sns("1", trouble), "arn").send("Subject", "text")  # type: ignore[arg-type]
