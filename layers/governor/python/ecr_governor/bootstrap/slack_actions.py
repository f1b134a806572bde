"""Where the function that Slack calls is put together: it makes sure who calls, and hands on. Little is loaded: Slack waits three seconds."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final, Protocol

from ecr_governor.adapters.queues import Presses
from ecr_governor.adapters.slack import incoming
from ecr_governor.adapters.slack.incoming import Broken, FormUnfit, FormWanted, Gate, NotSlack
from ecr_governor.app.errors import Undeliverable
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import now, sqs
from ecr_governor.bootstrap.slack import ways
from ecr_governor.core.messages.buttons import exemption_form
from ecr_governor.core.press import value_of
from ecr_governor.observability import count, logger
from ecr_governor.settings import SlackActionsSettings, from_environment

SUGGESTED: Final = 90
"""Days that the form suggests for an exemption, where so many may be asked for."""


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def answer_slack(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer a request to the function's URL. Whoever is not Slack is refused, and told nothing. Raises Throttled, Denied, Undeliverable."""
    at = now()
    try:
        body, headers = incoming.body_of(event), event.get("headers")
        _gate().admit(headers if isinstance(headers, dict) else {}, body, at)
        sent = incoming.read(body, at)
    except NotSlack:
        count("RequestsRefused")
        return _response(401)
    except Broken as broken:
        count("RequestsRefused")
        logger.warning("request not understood", extra={"why": str(broken)[:200]})
        return _response(400)
    match sent:
        case None:
            return _response(200)
        case FormUnfit(wrong):
            return _response(200, {"response_action": "errors", "errors": dict(wrong)})
        case FormWanted(trigger, press):
            suggested = at + timedelta(days=min(SUGGESTED, press.subject.days))
            hidden = incoming.hidden_of(press, value_of(press.subject))
            _open(trigger, exemption_form(press.subject, hidden, suggested.date()), context)
        case press:
            _presses().put(incoming.as_message(press))
            count("PressesTaken")
    return _response(200)


def _open(trigger: str, form: Mapping[str, Any], context: Context) -> None:
    _, _, bot = ways(_settings().slack_secret)
    try:
        bot.open(trigger, form, lambda: context.get_remaining_time_in_millis() / 1000)
    except Undeliverable as trouble:
        # The person sees no form and presses again; there is nobody else to be told.
        logger.warning("form not shown", extra={"why": str(trouble)})
        count("FormsNotShown")


def _response(status: int, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    body = json.dumps(document) if document is not None else ""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}


@cache
def _settings() -> SlackActionsSettings:
    return from_environment(SlackActionsSettings, os.environ)


@cache
def _presses() -> Presses:
    return Presses(sqs(), _settings().presses_queue_url)


@cache
def _gate() -> Gate:
    return Gate(ways(_settings().slack_secret)[0])


started()
