"""Which regions an account uses, and so which regions a regional type must cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import MalformedAnswerError, classify
from thirdsentry_pipeline.domain.evidence import ErrorCode
from thirdsentry_pipeline.domain.facts import RegionScope

if TYPE_CHECKING:
    from collections.abc import Collection

    from thirdsentry_pipeline.aws.account_session import AccountSession

DESCRIBE_REGIONS = "ec2:DescribeRegions"
_IN_USE = frozenset({"opt-in-not-required", "opted-in"})
_NOT_IN_USE = "not-opted-in"


def read_region_scope(session: AccountSession, waived: Collection[str]) -> RegionScope:
    """The enabled regions less the ``waived`` ones.

    When the customer denies the question, every region of the partition is taken for enabled,
    and the scope says that this is assumed.
    """
    kind: Literal["enabled", "assumed"] = "enabled"
    try:
        regions = _enabled_regions(session)
    except ClientError as error:
        code = classify(error)
        if not (isinstance(code, ErrorCode) and code.is_denial):
            raise
        regions = session.regions_of_partition
        kind = "assumed"
    return RegionScope(
        in_scope=tuple(region for region in regions if region not in waived),
        waived=tuple(region for region in regions if region in waived),
        kind=kind,
    )


def _enabled_regions(session: AccountSession) -> tuple[str, ...]:
    client = session.client("ec2", session.default_region)
    enabled: list[str] = []
    for region in shapes.records(client.describe_regions(AllRegions=True), "Regions"):
        name = shapes.region_name(region, "RegionName")
        status = shapes.text(region, "OptInStatus")
        if status in _IN_USE:
            enabled.append(name)
        elif status != _NOT_IN_USE:
            message = "OptInStatus is none of the three AWS documents"
            raise MalformedAnswerError(message)
    if not enabled:
        message = "no region is enabled"
        raise MalformedAnswerError(message)
    return tuple(sorted(shapes.without_repeats(enabled, "regions")))
