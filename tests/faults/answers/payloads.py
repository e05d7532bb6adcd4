"""What a payload may hold: the contract's fields in their types, within their limits."""

import json

from thirdsentry_pipeline.domain.evidence import EvidenceType

TEXT, FLAG, COUNT, LIST = str, bool, int, list
MAYBE_TEXT, MAYBE_COUNT, MAYBE_FLAG = (str, type(None)), (int, type(None)), (bool, type(None))
SCOPE = {"regions_in_scope": LIST, "regions_waived": LIST, "scope": TEXT}
FIELDS = {
    EvidenceType.ROOT_MFA: {
        "has_credential": FLAG,
        "password_present": MAYBE_FLAG,
        "active_access_keys": MAYBE_COUNT,
        "mfa_enabled": MAYBE_FLAG,
        "mfa_kind": MAYBE_TEXT,
        "report_generated_at": MAYBE_TEXT,
    },
    EvidenceType.MFA_COVERAGE: {
        "users_with_password": COUNT,
        "users_with_mfa": COUNT,
        "users_without_mfa": LIST,
        "users_without_mfa_count": COUNT,
        "report_generated_at": MAYBE_TEXT,
    },
    EvidenceType.PASSWORD_POLICY: {
        "policy_present": FLAG,
        "profile": TEXT,
        "minimum_length": MAYBE_COUNT,
        "reuse_prevention": MAYBE_COUNT,
        "max_age_days": MAYBE_COUNT,
        "require_symbols": FLAG,
        "require_numbers": FLAG,
        "require_uppercase": FLAG,
        "require_lowercase": FLAG,
        "failed_requirements": LIST,
    },
    EvidenceType.CLOUDTRAIL_LOGGING: {"trails": LIST, **SCOPE},
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: {
        "configured": FLAG,
        "block_public_acls": FLAG,
        "ignore_public_acls": FLAG,
        "block_public_policy": FLAG,
        "restrict_public_buckets": FLAG,
    },
    EvidenceType.GUARDDUTY_STATUS: {"regions": LIST, **SCOPE},
    EvidenceType.GUARDDUTY_FINDINGS: {
        "high_count": COUNT,
        "critical_count": COUNT,
        "findings": LIST,
        "truncated": FLAG,
        **SCOPE,
    },
}
LONGEST = {"users_without_mfa": 1_000, "findings": 10_000}


def check_payload(kind, payload):
    """Fails on a field that is missing or of another type, too long a list, or no jsonb."""
    for name, kinds in FIELDS[kind].items():
        assert isinstance(payload[name], kinds), f"{kind}: {name}"
        assert kinds is not COUNT or not isinstance(payload[name], bool)
    for name, most in LONGEST.items():
        assert len(payload.get(name, ())) <= most
    written = json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    assert b"\\u0000" not in written
    assert len(written) < 5_000_000
