"""Settings: every function names what it is missing, and nothing but the deployment can raise the mode."""

import pytest
from pydantic import ValidationError

from ecr_governor.core.policy.model import Mode
from ecr_governor.settings import (
    AskingSettings,
    EventSettings,
    JudgingSettings,
    NotifySettings,
    PublishSettings,
    Settings,
    WidgetSettings,
    from_environment,
)

BASE = {"ACCOUNT_ID": "123456789012", "AWS_REGION": "eu-west-1", "LEDGER_TABLE": "ledger"}
JUDGING = {**BASE, "POLICY_BUCKET": "bucket", "POLICY_KEY": "policy.yaml"}
MODELS: list[tuple[type[Settings], dict[str, str]]] = [
    (Settings, BASE),
    (JudgingSettings, JUDGING),
    (EventSettings, {**BASE, "DEAD_LETTER_QUEUE_URL": "https://dead"}),
    (AskingSettings, {**BASE, "REPOSITORY_EVENTS_QUEUE_URL": "https://events"}),
    (NotifySettings, {**JUDGING, "DEAD_LETTER_QUEUE_URL": "https://dead"}),
    (PublishSettings, {**BASE, "EVENT_BUS": "default"}),
    (WidgetSettings, {**BASE, "REPORTS_BUCKET": "bucket"}),
]


@pytest.mark.parametrize(("model", "environment"), MODELS)
def test_settings_are_read_and_the_rest_of_the_environment_is_ignored(model: type[Settings], environment: dict[str, str]) -> None:
    settings = from_environment(model, {**environment, "PATH": "/usr/bin", "MODEL": "x"})
    assert (settings.account, settings.region, settings.ledger_table) == ("123456789012", "eu-west-1", "ledger")


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, environment in MODELS for name in environment])
@pytest.mark.parametrize("left", ["missing", "empty"])
def test_what_is_missing_or_empty_is_named(model: type[Settings], name: str, left: str) -> None:
    environment = dict(next(known for other, known in MODELS if other is model))
    environment.pop(name)
    if left == "empty":
        environment[name] = ""
    with pytest.raises(ValidationError, match=name):
        from_environment(model, environment)


def test_without_a_mode_nothing_is_put_right() -> None:
    assert from_environment(JudgingSettings, JUDGING).mode is Mode.AUDIT


@pytest.mark.parametrize("mode", list(Mode))
def test_the_mode_is_the_deployments(mode: Mode) -> None:
    assert from_environment(JudgingSettings, {**JUDGING, "MODE": mode.value}).mode is mode


@pytest.mark.parametrize("wrong", [{"MODE": "ENFORCE"}, {"MODE": ""}, {"ACCOUNT_ID": "12345"}, {"ACCOUNT_ID": "123456789012 "}])
def test_a_value_that_means_nothing_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        from_environment(JudgingSettings, {**JUDGING, **wrong})


def test_slack_is_a_choice() -> None:
    environment = {**JUDGING, "DEAD_LETTER_QUEUE_URL": "https://dead"}
    assert from_environment(NotifySettings, environment).slack_secret == ""
    assert from_environment(NotifySettings, {**environment, "SLACK_SECRET": "slack"}).slack_secret == "slack"


def test_settings_do_not_change() -> None:
    settings = from_environment(JudgingSettings, JUDGING)
    with pytest.raises(ValidationError):
        settings.mode = Mode.ENFORCE  # type: ignore[misc]
