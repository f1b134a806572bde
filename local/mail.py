"""SNS's e-mails, which moto does not send: who has subscribed by e-mail gets nothing before he has confirmed, and the topic counts who has.

docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html, API_GetTopicAttributes.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.sns.models import Subscription, Topic, sns_backends

from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.clock.virtual import VirtualClock

BY_MAIL = frozenset({"email", "email-json"})


class Mail:
    """Everybody's mailboxes."""

    def __init__(self, account: str, region: str, clock: VirtualClock) -> None:
        self._account = account
        self._region = region
        self._clock = clock
        self.messages: list[dict[str, Any]] = []

    def install(self) -> Callable[[], None]:
        """Put it in place; returns what takes it out."""
        original: Any = Subscription.publish

        def publish(subscription: Any, message: str, message_id: str, subject: str | None = None, **more: Any) -> None:
            if subscription.protocol not in BY_MAIL:
                original(subscription, message, message_id, subject=subject, **more)
            elif subscription.confirmed:
                at = self._clock.now().isoformat()
                self.messages.append({"to": subscription.endpoint, "subject": subject, "text": message, "at": at})

        undo_topic = replace(
            Topic, {"subscriptions_confimed": _counted(confirmed=True), "subscriptions_pending": _counted(confirmed=False)}
        )
        undo_publish = replace(Subscription, {"publish": publish})

        def undo() -> None:
            undo_publish()
            undo_topic()

        return undo

    def confirm(self, address: str) -> int:
        """Have a person follow the link of every confirmation that an address was asked for; gives their number."""
        waiting = [
            each
            for each in sns_backends[self._account][self._region].subscriptions.values()
            if each.endpoint == address and each.protocol in BY_MAIL and not each.confirmed
        ]
        for each in waiting:
            each.confirmed = True
        return len(waiting)


def _counted(*, confirmed: bool) -> property:
    def count(topic: Any) -> int:
        subscriptions, _ = topic.sns_backend.list_subscriptions_by_topic(topic_arn=topic.arn)
        return sum((each.protocol not in BY_MAIL or each.confirmed) is confirmed for each in subscriptions)

    # moto sets it to zero, and leaves it there.
    return property(count, lambda _topic, _zero: None)
