"""The policy file as a versioned S3 object. An invalid file never takes effect: the last good one goes on judging, and nothing is put right."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import DENIALS, code_of, raise_translated
from ecr_governor.app.errors import PolicyChanged
from ecr_governor.app.ports import Ledger, PolicyInForce
from ecr_governor.core.policy.load import PolicyInvalid, load_bytes
from ecr_governor.core.policy.model import Mode, Policy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

BUNDLED = "bundled"
FRESH_FOR = timedelta(seconds=15)
"""How long a policy file is used before the bucket is asked again."""


def bundled_policy() -> Policy:
    """The policy that is in force until one is uploaded: it audits and changes nothing."""
    return load_bytes(files("ecr_governor").joinpath("default_policy.yaml").read_bytes(), "default_policy.yaml")


@dataclass(frozen=True, slots=True)
class _Cached:
    asked_at: datetime
    etag: str
    in_force: PolicyInForce


class S3PolicySource:
    """The policy file in the policy bucket, never more permissive than the deployment's own mode.

    `notes`: whether the ledger is told of a version that it does not know yet. Who may not write there leaves that to the others.
    """

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        key: str,
        *,
        ceiling: Mode,
        ledger: Ledger,
        on_problem: Callable[[str], None],
        notes: bool = True,
    ) -> None:
        self._s3 = client
        self._bucket = bucket
        self._key = key
        self._ceiling = ceiling
        self._ledger = ledger
        self._on_problem = on_problem
        self._notes = notes
        self._cached: _Cached | None = None

    def current(self, now: datetime) -> PolicyInForce:
        """The policy in force. Raises Throttled; Denied if the bucket may not be listed, for then nothing is known of the policy."""
        cached = self._cached
        if cached is None or not timedelta(0) <= now - cached.asked_at < FRESH_FOR:
            etag = self._etag()
            in_force = cached.in_force if cached and cached.etag == etag else self._load(etag, now)
            self._cached = cached = _Cached(now, etag, in_force)
        if cached.in_force.problem:
            self._on_problem(cached.in_force.problem)
        return cached.in_force

    def pinned(self, version: str) -> PolicyInForce:
        """That very version of the policy file, limited to what the deployment permits. Raises PolicyChanged, Throttled, Denied."""
        if version == BUNDLED:
            return self._limited(bundled_policy(), BUNDLED)
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, VersionId=version)
            return self._limited(load_bytes(answer["Body"].read(), f"{self._key} (version {version})"), version)
        except PolicyInvalid as invalid:
            raise PolicyChanged(f"{self._key} (version {version}) is not valid: {invalid}") from invalid
        except ClientError as error:
            if code_of(error) in {"NoSuchVersion", "NoSuchKey", "InvalidArgument"}:
                raise PolicyChanged(f"{self._key} has no version {version} any more") from error
            raise_translated(error, "s3:GetObjectVersion")

    def _etag(self) -> str:
        # Listing tells "there is none" from "may not be read"; a plain GetObject answers both with 403 to whoever may not list.
        try:
            listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1)
        except ClientError as error:
            raise_translated(error, "s3:ListBucket")
        return next((found["ETag"] for found in listed.get("Contents", ()) if found["Key"] == self._key), "")

    def _load(self, etag: str, now: datetime) -> PolicyInForce:
        if not etag:
            if self._ledger.last_good_policy():
                return self._last_good("deleted", f"{self._key} is gone from the policy bucket", now)
            return self._limited(bundled_policy(), BUNDLED)
        version = "unknown"
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key)
            version = answer.get("VersionId", etag)
            policy = load_bytes(answer["Body"].read(), self._key)
        except PolicyInvalid as invalid:
            return self._last_good(version, str(invalid), now)
        except ClientError as error:
            if code_of(error) in DENIALS:
                return self._last_good(version, f"{self._key} may not be read: {code_of(error)}", now)
            raise_translated(error, "s3:GetObject")
        if self._notes and self._ledger.note_policy(version, None, now):
            logger.info("policy accepted", extra={"policy_version": version, "policy_hash": policy.hash})
        return self._limited(policy, version)

    def _last_good(self, version: str, problem: str, now: datetime) -> PolicyInForce:
        if self._notes and self._ledger.note_policy(version, problem, now):
            logger.error("policy invalid: nothing is put right until it is mended", extra={"policy_version": version, "problem": problem})
        good = self._ledger.last_good_policy()
        policy = self._read_version(good) if good else None
        if good is None or policy is None:
            return PolicyInForce(bundled_policy().limited_to(Mode.AUDIT), BUNDLED, problem)
        return PolicyInForce(policy.limited_to(Mode.AUDIT), good, problem)

    def _read_version(self, version: str) -> Policy | None:
        """Read an earlier version; None if it is not there any more, or not valid any more."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key, VersionId=version)
        except ClientError as error:
            if code_of(error) == "NoSuchVersion":
                return None
            raise_translated(error, "s3:GetObjectVersion")
        try:
            return load_bytes(answer["Body"].read(), f"{self._key} (version {version})")
        except PolicyInvalid:
            # It was good for an earlier release.
            logger.exception("last good policy is good no longer, the bundled one judges", extra={"policy_version": version})
            return None

    def _limited(self, policy: Policy, version: str) -> PolicyInForce:
        return PolicyInForce(policy.limited_to(self._ceiling), version)
