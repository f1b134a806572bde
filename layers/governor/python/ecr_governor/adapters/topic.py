"""Alerts by an SNS topic, to which people subscribe by e-mail.

SNS takes a message for a topic that nobody has subscribed to, and drops it. So the topic is asked first whether anybody has confirmed a
subscription. (SNS API reference: GetTopicAttributes, Publish.)
"""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsTopic:
    """One topic."""

    def __init__(self, client: "SNSClient", arn: str) -> None:
        self._sns = client
        self._arn = arn

    def send(self, subject: str, text: str) -> None:
        """Send an e-mail to all who have subscribed. Raises Undeliverable, also where nobody has."""
        if not self._confirmed():
            raise Undeliverable("nobody has confirmed a subscription to the topic of alerts: this would reach nobody")
        try:
            self._sns.publish(TopicArn=self._arn, Subject=subject, Message=text)
        except ClientError as error:
            raise Undeliverable(f"sns:Publish: {code_of(error)}") from error
        except BotoCoreError as error:
            raise Undeliverable(f"sns:Publish: {type(error).__name__}") from error

    def _confirmed(self) -> bool:
        try:
            attributes = self._sns.get_topic_attributes(TopicArn=self._arn)["Attributes"]
        except ClientError as error:
            raise Undeliverable(f"sns:GetTopicAttributes: {code_of(error)}") from error
        except BotoCoreError as error:
            raise Undeliverable(f"sns:GetTopicAttributes: {type(error).__name__}") from error
        count = attributes.get("SubscriptionsConfirmed", "")
        # What is no number says nothing of anybody.
        return count.isascii() and count.isdigit() and int(count) > 0
