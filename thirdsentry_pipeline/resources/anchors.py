"""Where audit anchors go, as a Dagster resource."""

from typing import Any

import dagster as dg

from thirdsentry_pipeline.aws.anchors import AnchorBucket
from thirdsentry_pipeline.settings import Settings


class AnchorBucketResource(dg.ConfigurableResource[Any]):
    """The bucket that ``THIRDSENTRY_ANCHOR_BUCKET`` names, through dagster-aws."""

    def bucket(self) -> AnchorBucket:
        """The bucket with a client of its own.

        Raises:
            ConfigurationError: no bucket is set, or S3 does not know it.
        """
        # All of dagster-aws takes a second to load, and one asset needs it.
        from dagster_aws.s3 import S3Resource  # noqa: PLC0415 - as said above

        return AnchorBucket(S3Resource().get_client(), Settings.from_environment().anchor_bucket)
