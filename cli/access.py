"""How the operator's machine reaches a registry without a deployment: credentials, Region, account, and what AWS refuses in three lines."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    UnknownRegionError,
)
from botocore.utils import validate_region_name

from cli.trouble import Exit, Trouble
from ecr_governor.adapters.aws import CLIENT_CONFIG, REFUSED_CREDENTIALS

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError)


def session_of(profile: str | None, endpoint_url: str | None) -> botocore.session.Session:
    """Make a session. Against the embedded AWS any credentials do, so none are asked for. Raises Trouble."""
    check_endpoint(endpoint_url)
    session = botocore.session.Session(profile=profile)
    if _is_local(endpoint_url) and profile is None and not os.environ.get("AWS_ACCESS_KEY_ID"):
        # Not looked for any farther: the next place would be the machine's metadata service, and nothing local leaves the machine.
        session.set_credentials("operator", "any")
    return session


def check_credentials(session: botocore.session.Session) -> None:
    """Raise Trouble where there are no credentials at all. What Region is meant is asked first, everywhere."""
    with refusals():
        if session.get_credentials() is None:
            raise NoCredentialsError


def check_endpoint(endpoint_url: str | None) -> None:
    """Raise Trouble for what is no address of HTTP."""
    if endpoint_url is not None and (urlsplit(endpoint_url).scheme not in {"http", "https"} or not urlsplit(endpoint_url).hostname):
        raise Trouble(f"{endpoint_url} is no endpoint", "it is no address of HTTP", "--endpoint-url http://127.0.0.1:PORT")


def _is_local(endpoint_url: str | None) -> bool:
    return endpoint_url is not None and urlsplit(endpoint_url).hostname in LOOPBACK


def regions_of(session: botocore.session.Session, wanted: Sequence[str], endpoint_url: str | None) -> list[str]:
    """Give the Regions that were asked for, or the one of the environment or the profile. Raises Trouble where there is none."""
    with refusals():
        default = session.get_config_variable("region") or ("eu-west-1" if _is_local(endpoint_url) else "")
        regions = distinct(wanted) or distinct([default])
    if not regions:
        raise no_region()
    for region in regions:
        check_region(region)
    return regions


def no_region() -> Trouble:
    """Tell that nothing says which Region is meant."""
    return Trouble("no AWS Region", "neither --region nor AWS_REGION nor the profile names one", "add --region eu-west-1")


def distinct(regions: Sequence[str]) -> list[str]:
    """Give each Region once, in their order."""
    return list(dict.fromkeys(filter(None, regions)))


def check_region(region: str) -> None:
    """Raise Trouble for what is no name of a Region."""
    try:
        validate_region_name(region)
    except InvalidRegionError as error:
        raise Trouble(f"{region} is no AWS Region", str(error), "--region eu-west-1") from error


def partition_of(region: str) -> str:
    """Give the partition of a Region, as ARNs name it. Raises Trouble for what is no Region."""
    check_region(region)
    try:
        return str(botocore.session.Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise Trouble(f"{region} is no AWS Region", str(error), "--region eu-west-1") from error


def account_of(session: botocore.session.Session, region: str, endpoint_url: str | None) -> str:
    """Ask which account the credentials belong to. Raises Trouble."""
    with refusals(region):
        sts: Any = session.create_client("sts", region_name=region, endpoint_url=endpoint_url, config=CLIENT_CONFIG)
        return str(sts.get_caller_identity()["Account"])


@contextmanager
def refusals(region: str = "") -> Iterator[None]:
    """Turn what AWS refuses, or what leads there, into Trouble."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise refusal(error, region) from error


def refusal(error: ClientError | BotoCoreError, region: str) -> Trouble:
    """Tell a refusal of AWS, or of what leads there, in three lines."""
    if isinstance(error, ProfileNotFound):
        return Trouble("there is no such profile", str(error), "check --profile", Exit.CREDENTIALS)
    if isinstance(error, NO_CREDENTIALS):
        return Trouble("no AWS credentials", str(error), "log in, or give --profile", Exit.CREDENTIALS)
    if isinstance(error, ClientError) and error.response["Error"].get("Code") in REFUSED_CREDENTIALS:
        do = "log in again, or give --profile; a Region that is not enabled for the account refuses them, too"
        where = f" in {region}" if region else ""
        return Trouble(f"AWS does not accept the credentials{where}", str(error), do, Exit.CREDENTIALS)
    if isinstance(error, ClientError):
        return Trouble("AWS refused", str(error), "check the credentials' permissions and --region", Exit.INCOMPLETE)
    return Trouble("AWS cannot be reached", str(error), "check --endpoint-url, --region, proxy and certificates", Exit.INCOMPLETE)
