"""Events as they arrive: EventBridge envelopes around CloudTrail records and ECR's own events.

A tolerant reader: what is missing stays unknown, what is unknown in name or shape is rejected with the reason. Only a
repository's name and hints of the past are taken from an event; what is true now is read from ECR.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecr_governor.app.errors import Rejected
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.origin import Actor, Creation, News, Origin, Push
from ecr_governor.core.record import RELEASE_ASKED, Trigger

SIZE_LIMIT = 1_048_576
"""Bytes; SQS takes no larger message. CloudTrail's records are at most 256 KB."""

API_CALL = "AWS API Call via CloudTrail"
SERVICE_EVENT = "AWS Service Event via CloudTrail"
NATIVE_ORIGIN = {
    "ECR Pull Through Cache Action": Origin.PULL_THROUGH_CACHE,
    "ECR Replication Action": Origin.REPLICATION,
}
DUE_CHECK = "Due Check"
"""Our own request for a look: time has passed and nothing else happened."""
REFUSALS = frozenset({"AccessDenied", "AccessDeniedException"})
"""CloudTrail's error codes of a call that was refused for lack of permission, ours or by a denial in the repository policy."""
SUPPORTED_RECORD_VERSION = "1"
"""CloudTrail raises the major version only for incompatible changes; a higher minor version adds fields."""

ARN_PARTS = 6


@dataclass(frozen=True, slots=True)
class Happening:
    """What one event tells: which repository to look at, what to remember, and what to name as the cause.

    `keep_until` is until when somebody asks for it to be let alone.
    """

    repository: str
    news: News
    trigger: Trigger
    at: datetime
    keep_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """One CloudTrail record of a call on ECR, for whoever reads a history of them. `repository` is "" where it is about the registry.

    `error` is CloudTrail's error code, "" for a call that succeeded. `request`, `response` and `details` (what a service event tells) are
    empty where the record has none.
    """

    event: str
    event_id: str
    at: datetime
    actor: Actor
    repository: str
    error: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    details: Mapping[str, Any]
    news: News


class _Tolerant(BaseModel):
    # The parts of a record have no use of their own: they are built with it.
    model_config = ConfigDict(defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, fields: object) -> object:
        return {name: value for name, value in fields.items() if value is not None} if isinstance(fields, dict) else fields


class _SessionIssuer(_Tolerant):
    arn: str = ""


class _SessionContext(_Tolerant):
    session_issuer: _SessionIssuer | None = Field(None, alias="sessionIssuer")


class _UserIdentity(_Tolerant):
    type: str = ""
    arn: str = ""
    account_id: str = Field("", alias="accountId")
    user_name: str = Field("", alias="userName")
    invoked_by: str = Field("", alias="invokedBy")
    session_context: _SessionContext | None = Field(None, alias="sessionContext")

    def actor(self) -> Actor:
        issuer = self.session_context.session_issuer if self.session_context else None
        return Actor(
            arn=self.arn or self.user_name or self.invoked_by,
            account=self.account_id,
            type=self.type,
            invoked_by=self.invoked_by,
            session_issuer=issuer.arn if issuer else "",
        )


class _Resource(_Tolerant):
    arn: str = Field("", alias="ARN")


class _Record(_Tolerant):
    """A CloudTrail record. `requestParameters` and `responseElements` are left out above 100 KB and null on failure."""

    model_config = ConfigDict(defer_build=False)

    event_version: str = Field(alias="eventVersion", pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")
    event_name: str = Field(alias="eventName")
    event_time: AwareDatetime = Field(alias="eventTime")
    event_id: str = Field(alias="eventID")
    event_type: str = Field("AwsApiCall", alias="eventType")
    user_identity: _UserIdentity = Field(default_factory=_UserIdentity, alias="userIdentity")
    request_parameters: dict[str, Any] | None = Field(None, alias="requestParameters")
    response_elements: dict[str, Any] | None = Field(None, alias="responseElements")
    resources: list[_Resource] | None = None
    source_ip: str = Field("", alias="sourceIPAddress")
    user_agent: str = Field("", alias="userAgent")
    error_code: str | None = Field(None, alias="errorCode")
    error_message: str = Field("", alias="errorMessage")
    details: dict[str, Any] | None = Field(None, alias="serviceEventDetails")
    recipient_account: str = Field("", alias="recipientAccountId")


class _Envelope(BaseModel):
    detail_type: str = Field(alias="detail-type")
    source: str
    account: str
    region: str
    time: AwareDatetime
    detail: dict[str, Any]


def parse(body: str, account: str, region: str) -> Happening | None:
    """Read one event; None if it tells of nothing that happened (a failed call). Raises Rejected with the reason."""
    envelope = _envelope(body, account, region)
    if envelope.detail_type in {API_CALL, SERVICE_EVENT}:
        return _from_cloudtrail(envelope, account)
    if envelope.detail_type in {DUE_CHECK, *NATIVE_ORIGIN}:
        return _from_native(envelope)
    raise Rejected(f"unknown detail-type {envelope.detail_type[:80]!r}")


def _from_cloudtrail(envelope: _Envelope, account: str) -> Happening | None:
    try:
        record = _Record.model_validate(envelope.detail)
    except ValidationError as invalid:
        raise Rejected(f"not a CloudTrail record: {_first(invalid)}") from invalid
    if record.event_version.partition(".")[0] != SUPPORTED_RECORD_VERSION:
        raise Rejected(f"CloudTrail record version {record.event_version} is unknown; supported: {SUPPORTED_RECORD_VERSION}.x")
    if record.error_code is not None:
        return None
    request = record.request_parameters or {}
    owner = request.get("registryId") or record.recipient_account
    if owner and owner != account:
        raise Rejected(f"record is of registry {_shown(owner)}, but this is {account}")
    name = _name(request, record, account)
    actor = record.user_identity.actor()
    return Happening(name, _news(record, actor), Trigger(record.event_name, actor.name), record.event_time)


def _envelope(body: str, account: str, region: str) -> _Envelope:
    if len(body) > SIZE_LIMIT:
        raise Rejected(f"event of {len(body)} bytes is larger than any that AWS sends")
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError as invalid:
        raise Rejected(f"not an EventBridge event: {_first(invalid)}") from invalid
    if (envelope.account, envelope.region) != (account, region):
        raise Rejected(f"event of account {_shown(envelope.account)} in {_shown(envelope.region)}, but this is {account} in {region}")
    return envelope


def parse_refusal(body: str, account: str, region: str) -> Happening | None:
    """Read one event of a call that ECR refused to somebody, or of an operator who asks for a release; None for any other.

    Raises Rejected with the reason.
    """
    envelope = _envelope(body, account, region)
    if envelope.detail_type == RELEASE_ASKED:
        asked = _from_native(envelope)
        by, until = envelope.detail.get("by"), envelope.detail.get("keep_until")
        trigger = Trigger(RELEASE_ASKED, str(by)[:200] if by else "")
        return replace(asked, trigger=trigger, keep_until=_moment(until) if until else None) if asked else None
    try:
        record = _Record.model_validate(envelope.detail)
    except ValidationError as invalid:
        raise Rejected(f"not a CloudTrail record: {_first(invalid)}") from invalid
    if record.error_code not in REFUSALS:
        return None
    request = record.request_parameters or {}
    owner = request.get("registryId") or record.recipient_account
    if owner and owner != account:
        raise Rejected(f"record is of registry {_shown(owner)}, but this is {account}")
    if not request and not record.resources:
        request = _named_in_refusal(record)
    actor = record.user_identity.actor()
    name = _name(request, record, account)
    return Happening(name, News(), Trigger(record.event_name, actor.name), record.event_time)


def recorded(detail: Mapping[str, Any], account: str) -> Recorded:
    """Read a CloudTrail record of any call on ECR, refused and failed ones as well. Raises Rejected with the reason."""
    try:
        record = _Record.model_validate(detail)
    except ValidationError as invalid:
        raise Rejected(f"not a CloudTrail record: {_first(invalid)}") from invalid
    if record.event_version.partition(".")[0] != SUPPORTED_RECORD_VERSION:
        raise Rejected(f"CloudTrail record version {record.event_version} is unknown; supported: {SUPPORTED_RECORD_VERSION}.x")
    request = record.request_parameters or {}
    actor = record.user_identity.actor()
    named = request if request or record.resources else _named_in_refusal(record)
    about = any(key in named for key in ("repositoryName", "resourceArn")) or any(
        ":repository/" in each.arn for each in record.resources or ()
    )
    return Recorded(
        event=record.event_name,
        event_id=record.event_id,
        at=record.event_time.astimezone(UTC),
        actor=actor,
        repository=_name(named, record, account) if about else "",
        error=record.error_code or "",
        request=request,
        response=record.response_elements or {},
        details=record.details or {},
        news=_news(record, actor) if record.error_code is None else News(),
    )


def creation_in_record(detail: Mapping[str, Any], account: str) -> tuple[str, Creation] | None:
    """Read a CloudTrail record of `CreateRepository`: the repository's name, and its creation; None for any other or a failed call.

    Raises Rejected.
    """
    try:
        record = _Record.model_validate(detail)
    except ValidationError as invalid:
        raise Rejected(f"not a CloudTrail record: {_first(invalid)}") from invalid
    request = record.request_parameters or {}
    owner = request.get("registryId") or record.recipient_account
    if record.event_name != "CreateRepository" or record.error_code is not None or (owner and owner != account):
        return None
    creation = _news(record, record.user_identity.actor()).creation
    return (_name(request, record, account), creation) if creation else None


def _named_in_refusal(record: _Record) -> dict[str, Any]:
    """On failure CloudTrail may leave out parameters and resources; the words of the refusal name the repository."""
    arn = next((word for word in record.error_message.split() if ":repository/" in word), None)
    return {"resourceArn": arn} if arn else {}


def _news(record: _Record, actor: Actor) -> News:
    match record.event_name:
        case "CreateRepository":
            creation = Creation(record.event_id, record.event_time, actor, record.event_type, record.source_ip, record.user_agent)
            return News(creation=creation)
        case "PutImage":
            request = record.request_parameters or {}
            image = _mapping(_mapping(record.response_elements).get("image"))
            identity = _mapping(image.get("imageId"))
            tag = request.get("imageTag") or identity.get("imageTag")
            digest = identity.get("imageDigest") or request.get("imageDigest")
            return News(pushes=(Push(record.event_id, record.event_time, actor, _text(tag), _text(digest)),))
        case _:
            return News()


def _name(request: Mapping[str, Any], record: _Record, account: str) -> str:
    """The repository's name: from the request, or from an ARN where the request has none or was left out for its size."""
    if (name := _text(request.get("repositoryName"))) is None:
        arns = [_text(request.get("resourceArn")), *(resource.arn for resource in record.resources or ())]
        parts = next((arn.split(":", ARN_PARTS - 1) for arn in arns if arn and ":repository/" in arn), None)
        if parts is None:
            raise Rejected(f"{_shown(record.event_name)} names no repository: neither requestParameters nor resources[].ARN")
        if len(parts) != ARN_PARTS:
            raise Rejected(f"'{_shown(':'.join(parts))}' is no ARN of a repository")
        if parts[4] != account:
            raise Rejected(f"record is of a repository in account {_shown(parts[4])}, but this is {account}")
        name = parts[5].removeprefix("repository/")
    if not is_repository_name(name):
        raise Rejected(f"{name[:80]!r} is no name that ECR accepts")
    return name


def _from_native(envelope: _Envelope) -> Happening | None:
    detail = envelope.detail
    if (detail.get("result") or detail.get("sync-status")) != "SUCCESS":
        return None
    name = detail.get("repository-name")
    if not isinstance(name, str) or not is_repository_name(name):
        raise Rejected(f"{envelope.detail_type} names no repository that ECR accepts")
    at = envelope.time.astimezone(UTC)
    origin = NATIVE_ORIGIN.get(envelope.detail_type)
    news = News(noticed=frozenset({(origin, at)} if origin else ()))
    return Happening(name, news, Trigger(envelope.detail_type), at)


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Rejected(f"'{_shown(value)}' is no time with a zone")
    return moment.astimezone(UTC)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _shown(foreign: object) -> str:
    """Foreign text for a reason: cut short, with control and direction characters escaped."""
    return repr(str(foreign)[:80])[1:-1]


def _first(invalid: ValidationError) -> str:
    error = invalid.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])
