"""S3: the account's public access block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import MalformedAnswerError, error_code_of
from thirdsentry_pipeline.domain.facts import PublicAccessBlock

if TYPE_CHECKING:
    from thirdsentry_pipeline.aws.account_session import AccountSession

GET_PUBLIC_ACCESS_BLOCK = "s3:GetAccountPublicAccessBlock"
_FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def read_public_access_block(session: AccountSession) -> PublicAccessBlock | None:
    """The four flags, or ``None`` when the account has no such configuration."""
    client = session.client("s3control", session.default_region)
    try:
        answer = client.get_public_access_block(AccountId=session.account_id)
    except ClientError as error:
        if error_code_of(error) == "NoSuchPublicAccessBlockConfiguration":
            return None
        raise
    block = shapes.record(answer, "PublicAccessBlockConfiguration")
    if not any(name in block for name in _FLAGS):
        # Any unrelated XML parses to this; AWS sends the flags, false ones included.
        message = "PublicAccessBlockConfiguration has none of its members"
        raise MalformedAnswerError(message)
    return PublicAccessBlock(*(shapes.optional_flag(block, name) for name in _FLAGS))
