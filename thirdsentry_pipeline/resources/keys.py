"""Organizations' data keys as a Dagster resource."""

from typing import Any

import dagster as dg

from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.operations.services import tenant_keys_for
from thirdsentry_pipeline.settings import Settings


class TenantKeysResource(dg.ConfigurableResource[Any]):
    """Unwraps an organization's data key through KMS; no key material is ever config."""

    def tenant_keys(self, platform: PlatformAws) -> TenantKeys:
        """Keys wrapped by ``THIRDSENTRY_KMS_KEY_ID``, called through ``platform``."""
        return tenant_keys_for(Settings.from_environment(), platform)
