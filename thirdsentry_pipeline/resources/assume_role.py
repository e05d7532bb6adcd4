"""AWS as a Dagster resource: the platform's side from which customers' roles are assumed."""

from typing import Any

import dagster as dg

from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.operations.services import platform_for
from thirdsentry_pipeline.settings import Settings


class AssumeRoleResource(dg.ConfigurableResource[Any]):
    """Opens role sessions per account; credentials live for one connector run in one process."""

    def platform(self) -> PlatformAws:
        """The platform's clients: AWS itself, or the endpoint that ``AWS_ENDPOINT_URL`` names."""
        return platform_for(Settings.from_environment())

    def principal_arn(self) -> str | None:
        """The principal customers trust, if it is set."""
        return Settings.from_environment().principal_arn
