"""Where the command line finds a registry's templates. It needs no deployment, only credentials."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployment import Deployment, refused
from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.creation_templates import EcrCreationTemplates
from ecr_governor.app.errors import GovernorError
from ecr_governor.core.templates.template import Template


@dataclass(frozen=True, slots=True)
class Place:
    """One registry: the account of the credentials, in one Region."""

    endpoint_url: str | None
    region: str | None
    profile: str | None


def templates_at(place: Place) -> EcrCreationTemplates:
    """Reach a registry's templates."""
    with refusals():
        return EcrCreationTemplates(Deployment("", place.endpoint_url, place.region, place.profile).client("ecr", CLIENT_CONFIG))


def read(templates: EcrCreationTemplates) -> tuple[Template, ...]:
    """Read a registry's templates. Raises Trouble."""
    with refusals():
        return templates.read()


@contextmanager
def refusals() -> Iterator[None]:
    """Tell what AWS has against a call in three lines."""
    try:
        yield
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
