"""Tell the channels that are told from a queue: each entry once, and by what is true by then."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecr_governor.app.errors import GovernorError, Undeliverable, Unintelligible
from ecr_governor.app.notify import CHAT, SUMMED_UP
from ecr_governor.app.ports import AlertTopic, EventBus, Ledger, SecurityHub, Webhook
from ecr_governor.core.alert import Alert, alert_of
from ecr_governor.core.announcement import Told, bus_events, webhook_document
from ecr_governor.core.errand import Channel, Errand
from ecr_governor.core.messages.mail import AT_ONCE, mail
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.security_finding import security_findings

logger = logging.getLogger(__name__)

Failed = frozenset[Errand]
"""Errands that could not be done and must come again."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ledger, and the channels that are deployed. `slack_first`: an alert that Slack has taken by now needs no e-mail.

    `may_go_on`: whether there is time for one more request of somebody else's server.
    """

    ledger: Ledger
    account: str
    region: str
    bus: EventBus
    alerts: AlertTopic | None = None
    slack_first: bool = False
    security_hub: SecurityHub | None = None
    webhook: Webhook | None = None
    may_go_on: Callable[[], bool] = lambda: True


def tell(errands: Sequence[Errand], services: Services, now: datetime) -> Failed:
    """Do errands, each channel for itself; what was done is not done again when an errand comes again."""
    of = {channel: [errand for errand in dict.fromkeys(errands) if errand.channel is channel] for channel in Channel}
    # Last comes who may be slow: what the others have taken is noted by then.
    ways = {
        Channel.ALERTS: _send_alerts,
        Channel.EVENT_BUS: _put_events,
        Channel.SECURITY_HUB: _put_findings,
        Channel.WEBHOOK: _post,
    }
    failed: set[Errand] = set()
    for channel, way in ways.items():
        failed |= way(of[channel], services, now)
    return frozenset(failed)


def _put_events(errands: Sequence[Errand], services: Services, now: datetime) -> Failed:
    """Put on the bus what it refused when it was news."""
    failed: set[Errand] = set()
    for errand in errands:
        try:
            entry = None if _told(errand, services) else _entry(errand, services)
            if entry and (events := bus_events(entry, services.account, services.region)):
                services.bus.put(events)
                _note([errand], services, now)
        except GovernorError as trouble:
            failed |= _put_back([errand], trouble)
    return frozenset(failed)


def _send_alerts(errands: Sequence[Errand], services: Services, now: datetime) -> Failed:
    """Send what is an alert still, many in one e-mail."""
    failed: set[Errand] = set()
    due: list[tuple[Errand, Alert]] = []
    for errand in errands:
        try:
            if (alert := _alert(errand, services)) is not None:
                due.append((errand, alert))
        except GovernorError as trouble:
            failed |= _put_back([errand], trouble)
    for some in (due[start : start + AT_ONCE] for start in range(0, len(due), AT_ONCE)):
        try:
            if services.alerts is not None:
                services.alerts.send(*mail([alert for _, alert in some], services.account, services.region))
                _note([errand for errand, _ in some], services, now)
        except GovernorError as trouble:
            failed |= _put_back([errand for errand, _ in some], trouble)
    return frozenset(failed)


def _alert(errand: Errand, services: Services) -> Alert | None:
    told = services.ledger.delivered(errand.repository, errand.number)
    in_slack = CHAT in told and SUMMED_UP not in told
    if errand.channel in told or (services.slack_first and in_slack):
        return None
    entry = _entry(errand, services)
    return alert_of(entry, _record(errand, services)) if entry else None


def _put_findings(errands: Sequence[Errand], services: Services, now: datetime) -> Failed:
    """Bring Security Hub up to date with the repositories that these entries are of."""
    hub, failed = services.security_hub, set[Errand]()
    findings: dict[str, dict[str, Any]] = {}
    ids: dict[Errand, set[str]] = {}
    for errand in errands if hub else ():
        try:
            entry, record = (None, None) if _told(errand, services) else (_entry(errand, services), services.ledger.read(errand.repository))
        except GovernorError as trouble:
            # Of a record that is not understood nobody knows what is open.
            failed |= _put_back([errand], trouble)
            continue
        if hub and entry and record:
            current = {each["Id"]: each for each in security_findings(entry, record, hub.product, now)}
            findings |= current
            ids[errand] = set(current)
    if hub is None or not ids:
        return frozenset(failed)
    try:
        refused = hub.put(list(findings.values()))
    except GovernorError as trouble:
        return frozenset(failed | _put_back(list(ids), trouble))
    for errand, its in ids.items():
        if why := [refused[each] for each in sorted(its) if each in refused]:
            failed |= _put_back([errand], Undeliverable(why[0]))
            continue
        try:
            _note([errand], services, now)
        except GovernorError as trouble:
            failed |= _put_back([errand], trouble)
    return frozenset(failed)


def _post(errands: Sequence[Errand], services: Services, now: datetime) -> Failed:
    """Send each entry's events in a request of its own; once the receiver does not answer, the rest is not tried."""
    for position, errand in enumerate(errands if services.webhook else ()):
        try:
            entry = None if _told(errand, services) else _entry(errand, services)
            if entry is None or services.webhook is None:
                continue
            if not services.may_go_on():
                return _put_back(errands[position:], Undeliverable("there is no time left for another request"))
            services.webhook.post(*webhook_document(entry, services.account, services.region), now)
            _note([errand], services, now)
        except GovernorError as trouble:
            if isinstance(trouble, Undeliverable) and trouble.only_this_one:
                return _put_back([errand], trouble) | _post(errands[position + 1 :], services, now)
            return _put_back(errands[position:], trouble)
    return frozenset()


def _told(errand: Errand, services: Services) -> bool:
    return errand.channel in services.ledger.delivered(errand.repository, errand.number)


def _note(errands: Sequence[Errand], services: Services, now: datetime) -> None:
    for errand in errands:
        services.ledger.mark_delivered(errand.repository, errand.number, errand.channel, now)


def _entry(errand: Errand, services: Services) -> Told | None:
    entry = services.ledger.entry(errand.repository, errand.number)
    if entry is None:
        logger.error("there is no such entry", extra={"repository": errand.repository, "entry": errand.number})
        return None
    return Told(entry.repository, entry.number, entry.kind, entry.body)


def _record(errand: Errand, services: Services) -> RepositoryRecord | None:
    try:
        return services.ledger.read(errand.repository)
    except Unintelligible:
        # It is told as it was written.
        logger.exception("record not read", extra={"repository": errand.repository})
        return None


def _put_back(errands: Sequence[Errand], trouble: GovernorError) -> Failed:
    channel = errands[0].channel.value
    logger.warning("not told, it will come again", extra={"channel": channel, "why": str(trouble), "waiting": len(errands)})
    return frozenset(errands)
