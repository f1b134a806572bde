"""Buttons under messages, each with its term on it, and the form that asks for an exemption."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.finding import FindingState
from ecr_governor.core.messages.text import TEXT_LIMIT, code, counted, cut, no_backticks, plain, section
from ecr_governor.core.policy.model import MIN_REASON
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.press import Action, Result, Subject, mark_of, rules_at_stake, value_of
from ecr_governor.core.record import RepositoryRecord

ASK: Final = "exempt"
"""What names the form by which an exemption is asked for."""
FIELDS: Final = ("reason", "ticket", "until")
MAX_REASON: Final = 500
MAX_TICKET: Final = 100
_TITLES: Final = {
    Action.KEEP: "Keep",
    Action.CLAIM: "Claim",
    Action.EXEMPT: "Exempt",
    Action.CONFIRM: "Confirm",
    Action.APPROVE: "Approve",
    Action.OPEN_REPORT: "Open report",
}
APPROVERS: Final = 2
"""People that it takes to lift the caps."""


def of_repository(record: RepositoryRecord, buttons: Buttons | None) -> list[dict[str, Any]]:
    """Give the buttons under a repository's message; no block where none makes sense. `buttons` is None where nobody could answer."""
    if buttons is None or not buttons.enabled or record.gone_at is not None:
        return []
    about, rules = Subject(record.name, record.created_at), rules_at_stake(record)
    shown: list[dict[str, Any]] = []
    if mark := mark_of(record.retirement):
        days = buttons.keep_days
        shown.append(
            _button(Action.KEEP, f"Keep {counted(days, 'day')}", Subject(about.repository, about.birth, mark, days), style="primary")
        )
    if not record.owner and (rules or any(finding.state is FindingState.EXEMPT for finding in record.findings)):
        shown.append(_button(Action.CLAIM, "Claim", about))
    if rules and buttons.approve:
        shown.append(_button(Action.EXEMPT, "Exempt until…", Subject(about.repository, about.birth, days=buttons.exempt_days, rules=rules)))
    if buttons.opens_report:
        shown.append(_open_report(record.name))
    return _actions(shown)


def of_report(buttons: Buttons | None) -> list[dict[str, Any]]:
    """Give the button under a report's message; none where nobody may open it, or where nobody could answer."""
    return _actions([_open_report("")]) if buttons and buttons.opens_report else []


def to_confirm(name: str, record: RepositoryRecord | None, body: Mapping[str, Any], buttons: Buttons | None) -> list[dict[str, Any]]:
    """Give the button by which an exemption that was asked for is confirmed; none where nobody may."""
    if not (buttons and buttons.enabled and buttons.approve and body["proposal"] and body["result"] == Result.WAITS and record):
        return []
    return _actions([_button(Action.CONFIRM, "Confirm", Subject(name, record.created_at, proposal=body["proposal"]), style="primary")])


def to_approve(question: Mapping[str, Any], buttons: Buttons | None) -> list[dict[str, Any]]:
    """Give the button by which a list is approved that only the caps withhold; none where there are not two people who may."""
    if not (buttons and buttons.lifts_caps and question.get("approves")):
        return []
    steps = counted(question["count"], "step")
    words = f"Exactly these {steps} are taken, with all other safeguards, as soon as a second person has approved them."
    asked = {
        "title": _plain("Approve"),
        "text": _plain(cut(words, 300)),
        "confirm": _plain("Approve"),
        "deny": _plain("Not now"),
        "style": "danger",
    }
    return _actions(
        [{**_button(Action.APPROVE, f"Approve {steps}", Subject(state=question["approves"]), style="danger"), "confirm": asked}]
    )


def reply_to_press(name: str, record: RepositoryRecord | None, body: Mapping[str, Any], buttons: Buttons | None = None) -> dict[str, Any]:
    """Say in the thread who pressed what, and what came of it."""
    who, words = person(body), no_backticks(plain(body["words"]))
    if body["result"] in {Result.DONE, Result.WAITS}:
        lines = [f":bust_in_silhouette: {code(who)} {words}"]
        if body["result"] == Result.WAITS:
            lines.append("Nothing is done until somebody else confirms it who may.")
        said = f"{who} {body['words']}"
    else:
        title = _TITLES[Action(body["action"])]
        lines = [f":no_entry_sign: {code(who)} pressed *{title}*, and nothing was done: {words}"]
        said = f"{who} pressed {title}, and nothing was done: {body['words']}"
    blocks = [*section("\n".join(lines)), *(to_confirm(name, record, body, buttons))]
    return {"text": cut(no_backticks(plain(said)), TEXT_LIMIT), "blocks": blocks}


def person(body: Mapping[str, Any]) -> str:
    """Name who pressed, by the name of their choice and by Slack's, which nobody chooses."""
    by = body["by"]
    return f"{by['name']} ({by['id']})" if by["name"] else str(by["id"])


def exemption_form(subject: Subject, hidden: str, suggested: date) -> dict[str, Any]:
    """Give the form that asks for an exemption, `suggested` as its last day. `hidden` comes back with what was filled in."""
    rules = ", ".join(code(rule) for rule in subject.rules)
    return {
        "type": "modal",
        "callback_id": ASK,
        "title": _plain("Ask for an exemption"),
        "submit": _plain("Ask"),
        "close": _plain("Cancel"),
        "private_metadata": hidden,
        "blocks": [
            *section(f"{code(subject.repository)} is to be exempt from {rules}. Somebody else has to confirm it in the thread."),
            _input("reason", "Why", {"type": "plain_text_input", "multiline": True, "min_length": MIN_REASON, "max_length": MAX_REASON}),
            {**_input("ticket", "Ticket", {"type": "plain_text_input", "max_length": MAX_TICKET}), "optional": True},
            _input("until", "Until, this day included", {"type": "datepicker", "initial_date": suggested.isoformat()}),
        ],
    }


def _input(name: str, label: str, element: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "input", "block_id": name, "label": _plain(label), "element": {**element, "action_id": name}}


def _open_report(repository: str) -> dict[str, Any]:
    # A name that ECR would not take could not be read back: then the button opens the report at its beginning.
    return _button(Action.OPEN_REPORT, "Open report", Subject(repository if is_repository_name(repository) else ""))


def _button(action: Action, label: str, about: Subject, style: str = "") -> dict[str, Any]:
    shown = {"type": "button", "action_id": action.value, "text": {**_plain(label), "emoji": True}, "value": value_of(about)}
    return {**shown, **({"style": style} if style else {})}


def _actions(elements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "actions", "block_id": "buttons", "elements": elements}] if elements else []


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}
