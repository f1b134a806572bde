"""The environment's names and switches. Rules are in the policy file, secrets behind their names."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ecr_governor.core.policy.model import Mode


class Settings(BaseModel):
    """What every function is told."""

    # A function uses one of these models: the others are never built.
    model_config = ConfigDict(frozen=True, defer_build=True)

    account: str = Field(alias="ACCOUNT_ID", pattern=r"^\d{12}$")
    region: str = Field(alias="AWS_REGION", min_length=1)
    ledger_table: str = Field(alias="LEDGER_TABLE", min_length=1)


class JudgingSettings(Settings):
    """What a function that reads the policy is told: where it is, and how far the deployment lets it go."""

    policy_bucket: str = Field(alias="POLICY_BUCKET", min_length=1)
    policy_key: str = Field(alias="POLICY_KEY", min_length=1)
    mode: Mode = Field(Mode.AUDIT, alias="MODE")


class EventSettings(Settings):
    """What a function behind an event queue is told: where undecidable messages go."""

    dead_letter_queue_url: str = Field(alias="DEAD_LETTER_QUEUE_URL", min_length=1)


class AskingSettings(Settings):
    """What a function that asks for looks is told: where to ask."""

    repository_events_queue_url: str = Field(alias="REPOSITORY_EVENTS_QUEUE_URL", min_length=1)


class NotifySettings(JudgingSettings, EventSettings):
    """What `notify` is told: the name of the secret by which it talks to Slack, if there is one, and whether presses of buttons reach us."""

    slack_secret: str = Field("", alias="SLACK_SECRET")
    slack_buttons: bool = Field(default=False, alias="SLACK_BUTTONS")


class SlackActionsSettings(Settings):
    """What `slack_actions` is told: the name of the secret that holds the bot's token and the signing secret, and where presses go."""

    slack_secret: str = Field(alias="SLACK_SECRET", min_length=1)
    presses_queue_url: str = Field(alias="PRESSES_QUEUE_URL", min_length=1)


class PressesSettings(JudgingSettings, EventSettings, AskingSettings):
    """What `presses` is told: whom to ask for what follows from a press, where plan and reports are, and by which secret one person is told.

    `link_hours` is how long a link to a report lasts; 0 for no link.
    """

    releases_queue_url: str = Field(alias="RELEASES_QUEUE_URL", min_length=1)
    reports_bucket: str = Field(alias="REPORTS_BUCKET", min_length=1)
    retire_function: str = Field(alias="RETIRE_FUNCTION", min_length=1)
    slack_secret: str = Field(alias="SLACK_SECRET", min_length=1)
    link_hours: int = Field(0, alias="LINK_HOURS", ge=0, le=12)


class PublishSettings(Settings):
    """What `publish` is told: the bus; the channels that are told from a queue, and how many seconds an alert waits there for Slack."""

    event_bus: str = Field(alias="EVENT_BUS", min_length=1)
    channels: str = Field("", alias="CHANNELS")
    channels_queue_url: str = Field("", alias="CHANNELS_QUEUE_URL")
    alerts_wait: int = Field(0, alias="ALERTS_WAIT", ge=0, le=900)


class ChannelsSettings(Settings):
    """What `channels` is told: the bus, and which other channels are deployed; "" for one that is not.

    These are the topic of alerts, and whether one that Slack has taken needs no e-mail; Security Hub's product; the name of the webhook's secret.
    """

    event_bus: str = Field(alias="EVENT_BUS", min_length=1)
    alert_topic: str = Field("", alias="ALERT_TOPIC")
    alerts_after_slack: bool = Field(default=False, alias="ALERTS_AFTER_SLACK")
    security_hub: str = Field(
        "", alias="SECURITY_HUB_PRODUCT", pattern=r"^(|arn:[a-z-]+:securityhub:[a-z0-9-]+:\d{12}:product/\d{12}/default)$"
    )
    webhook_secret: str = Field("", alias="WEBHOOK_SECRET")


class SweepSettings(JudgingSettings):
    """What a step of the sweep is told: where sweeps are kept."""

    reports_bucket: str = Field(alias="REPORTS_BUCKET", min_length=1)


class RetireSettings(SweepSettings):
    """What `retire` is told: the name of the secret by which people are told, "" where nobody is; whether anything deletes."""

    slack_secret: str = Field("", alias="SLACK_SECRET")
    deletes: bool = Field(default=False, alias="DELETES")


class ReportSettings(SweepSettings):
    """What `report` is told: the name of Slack's secret, whether presses of buttons reach us, and how many hours a link lasts; 0 for no link."""

    slack_secret: str = Field("", alias="SLACK_SECRET")
    slack_buttons: bool = Field(default=False, alias="SLACK_BUTTONS")
    link_hours: int = Field(0, alias="LINK_HOURS", ge=0, le=12)


class WidgetSettings(Settings):
    """What `widget` is told: where the report is kept."""

    reports_bucket: str = Field(alias="REPORTS_BUCKET", min_length=1)


Model = TypeVar("Model", bound=Settings)


def from_environment(model: type[Model], environment: Mapping[str, str]) -> Model:
    """Read a function's settings. Raises pydantic's ValidationError, which names what is missing."""
    return model.model_validate(dict(environment))
