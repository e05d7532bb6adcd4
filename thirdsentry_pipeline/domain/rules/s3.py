"""Verdict on the account-wide S3 public access block."""

from __future__ import annotations

from thirdsentry_pipeline.domain.evidence import EvidenceType, Reading, Verdict
from thirdsentry_pipeline.domain.facts import PublicAccessBlock, PublicAccessBlockFacts, Unread
from thirdsentry_pipeline.domain.rules.outcome import proven, unproven


def judge_public_access_block(facts: PublicAccessBlockFacts) -> Reading:
    """Judge whether all four flags are on; an account without the block has none of them."""
    if isinstance(facts.block, Unread):
        return unproven(EvidenceType.S3_PUBLIC_ACCESS_BLOCK, [facts.block])
    block = facts.block or PublicAccessBlock()
    flags = {
        "block_public_acls": block.block_public_acls,
        "ignore_public_acls": block.ignore_public_acls,
        "block_public_policy": block.block_public_policy,
        "restrict_public_buckets": block.restrict_public_buckets,
    }
    return proven(
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK,
        Verdict.PASS if all(flags.values()) else Verdict.FAIL,
        {"configured": facts.block is not None, **flags},
    )
