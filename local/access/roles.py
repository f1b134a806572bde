"""The roles of the stack: their policies as moto's IAM holds them, and decisions about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.sts.models import sts_backends

from local.access.journal import Authorization, Journal
from local.access.policy import Access, Document, Effect, Verdict, evaluate, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_DURATION = 12 * 3600


class Roles:
    """Decides for the roles of the stack; sessions of any other principal are not restricted."""

    def __init__(self, account: str, region: str, journal: Journal) -> None:
        self._account = account
        self._region = region
        self._iam = iam_backends[account]["aws"]
        self._sts = sts_backends[account]["aws"]
        self.journal = journal
        self._logical_ids: dict[str, str] = {}
        self._sessions: dict[str, str | None] = {}

    def register(self, arn: str, logical_id: str) -> None:
        """Enforce this role's policies from now on."""
        self._logical_ids[arn] = logical_id

    def knows(self, arn: str) -> bool:
        """Whether the role is the stack's, and so restricted."""
        return arn in self._logical_ids

    def credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Environment variables with temporary credentials of the role."""
        session = self._sts.assume_role(self._region, session_name, role_arn, "", DEFAULT_DURATION, "")
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }

    def role_of(self, access_key_id: str) -> str | None:
        """The ARN of the stack's role behind an access key; None for anybody else."""
        if not access_key_id.startswith("ASIA"):
            return None
        if access_key_id not in self._sessions:
            session = next((one for one in self._sts.assumed_roles if one.access_key_id == access_key_id), None)
            self._sessions[access_key_id] = session.role_arn if session else None
        arn = self._sessions[access_key_id]
        return arn if arn in self._logical_ids else None

    def session_arn(self, access_key_id: str) -> str:
        """How refusals name the caller."""
        return next((str(one.arn) for one in self._sts.assumed_roles if one.access_key_id == access_key_id), access_key_id)

    def documents(self, role_arn: str) -> list[Document]:
        """The role's inline and attached policies."""
        name = role_arn.rsplit("/", 1)[-1]
        role = self._iam.get_role_by_arn(role_arn)
        inline = [parsed(document) for document in role.policies.values()]
        attached, _ = self._iam.list_attached_role_policies(name)
        return [*inline, *(_default(policy) for policy in attached)]

    def decide(self, role_arn: str, access: Access) -> Authorization:
        """Decide, record and return the decision."""
        context: Mapping[str, Any] = {
            "aws:PrincipalArn": (role_arn,),
            "aws:PrincipalAccount": (self._account,),
            "aws:PrincipalType": ("AssumedRole",),
            "aws:SecureTransport": ("true",),
            "aws:RequestedRegion": (self._region,),
            "aws:ResourceAccount": (self._account,),
            **access.context,
        }
        principals = frozenset({f"AWS:{role_arn}", f"AWS:{self._account}"})
        asked = Access(access.action, access.resource, context, principals)
        verdicts = [evaluate(self.documents(role_arn), asked), *self._limits(role_arn, asked)]
        reason = next((_reason(verdict) for verdict in verdicts if not verdict.allowed), "")
        entry = Authorization(self._logical_ids.get(role_arn, role_arn), access.action, access.resource, not reason, reason)
        self.journal.record(entry)
        return entry

    def _limits(self, role_arn: str, access: Access) -> Iterator[Verdict]:
        """What can only take away: the permissions boundary, and denials in the resource's own policy."""
        boundary = self._iam.get_role_by_arn(role_arn).permissions_boundary_arn
        if boundary:
            yield evaluate([_default(self._iam.managed_policies[boundary])], access)
        if document := resource_policy(access.resource):
            verdict = evaluate([document], access)
            if verdict.effect is Effect.DENIED:
                yield verdict


def resource_policy(arn: str) -> Document | None:
    """The policy of a bucket or a queue, if it has one."""
    _, _, service, region, account, name = [*arn.split(":", 5), "", "", "", "", ""][:6]
    if service == "s3":
        bucket = next(
            (found for buckets in s3_backends.values() for found in [buckets["aws"].buckets.get(name.split("/")[0])] if found), None
        )
        return parsed(bucket.policy.decode() if isinstance(bucket.policy, bytes) else bucket.policy) if bucket and bucket.policy else None
    if service == "sqs":
        queue = sqs_backends[account][region].queues.get(name)
        return parsed(queue.policy) if queue and queue.policy else None
    return None


def _reason(verdict: Verdict) -> str:
    if verdict.unsupported:
        return f"not supported here: {', '.join(verdict.unsupported)}"
    return "explicit deny" if verdict.effect is Effect.DENIED else "no identity-based policy allows it"


def _default(policy: Any) -> Document:
    return parsed(next(version.document for version in policy.versions if version.is_default))
