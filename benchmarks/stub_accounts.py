"""What the stub's accounts hold: derived from the account id, so nothing needs seeding."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

PLATFORM_ACCOUNT = "999999999999"
PLATFORM_KEY = "AKIASTUBPLATFORM0000"
KMS_KEY_ID = "alias/benchmark"
GENERATED_AT = "2026-01-05T00:00:00+00:00"
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1"),
    *("ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-southeast-1", "ap-southeast-2"),
)
"""The 17 regions every AWS account starts with."""


@dataclass(frozen=True)
class StubSettings:
    """How the stub answers; latency and jitter in milliseconds, rates between 0 and 1.

    ``users_without_mfa_every``: each user whose number it divides has no MFA. ``regions`` is how
    many are enabled, ``detectors`` in how many of them GuardDuty is on, ``findings`` how many
    each of those holds. An answer can be throttled, a failure of AWS, denied, a connection that
    is reset, or an answer that is cut; which ones follows from the ``seed`` alone.
    """

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    throttle_rate: float = 0.0
    failure_rate: float = 0.0
    denial_rate: float = 0.0
    reset_rate: float = 0.0
    cut_rate: float = 0.0
    users: int = 100
    users_without_mfa_every: int = 10
    regions: int = 17
    detectors: int = 1
    findings: int = 2
    seed: int = 0

    @property
    def is_fair(self) -> bool:
        """Whether every request is answered whole after the same time."""
        return not (
            self.jitter_ms
            or self.throttle_rate
            or self.failure_rate
            or self.denial_rate
            or self.reset_rate
            or self.cut_rate
        )

    @staticmethod
    def parse(text: bytes, current: StubSettings) -> StubSettings:
        """The current settings with the given ones changed."""
        given = json.loads(text)
        known = {one.name for one in fields(StubSettings)}
        return replace(current, **{name: given[name] for name in given if name in known})


def external_id_of(account_id: str) -> str:
    """The external id that the role of an account asks for."""
    return "x-" + hashlib.sha256(account_id.encode()).hexdigest()[:40]


def role_of(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:role/ThirdSentry"


def access_key_of(account_id: str) -> str:
    """A temporary access key id that says whose it is: requests carry it in their signature."""
    return f"ASIA{account_id}STUB"


def account_of(access_key_id: str) -> str | None:
    """The account a request comes from; ``None`` when we never gave out that key."""
    if access_key_id == PLATFORM_KEY:
        return PLATFORM_ACCOUNT
    account = access_key_id[4:16]
    return account if access_key_id == access_key_of(account) and account.isdigit() else None


def users_without_mfa(account_id: str, settings: StubSettings) -> list[str]:
    every = settings.users_without_mfa_every
    return sorted(_user(account_id, n) for n in range(0, settings.users, every))


def _user(account_id: str, number: int) -> str:
    return f"user-{account_id}-{number:05d}"


def user_names(account_id: str, settings: StubSettings) -> list[str]:
    return [_user(account_id, n) for n in range(settings.users)]


def has_mfa(name: str, settings: StubSettings) -> bool:
    return int(name.rpartition("-")[2]) % settings.users_without_mfa_every != 0


@lru_cache(maxsize=256)
def credential_report(account_id: str, users: int, every: int) -> str:
    """The report as the API carries it: a base64 CSV with the columns AWS documents."""
    header = (
        "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
        "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
        "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
        "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
        "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
        "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
    )
    root_mfa = str(root_has_mfa(account_id)).lower()
    rest = "false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
    lines = [
        header,
        (
            f"<root_account>,arn:aws:iam::{account_id}:root,{GENERATED_AT},not_supported,"
            f"no_information,not_supported,not_supported,{root_mfa},{rest}"
        ),
    ]
    for number in range(users):
        name = _user(account_id, number)
        mfa = "false" if number % every == 0 else "true"
        lines.append(
            f"{name},arn:aws:iam::{account_id}:user/{name},{GENERATED_AT},true,{GENERATED_AT},"
            f"{GENERATED_AT},N/A,{mfa},{rest}"
        )
    return base64.b64encode("\n".join(lines).encode()).decode()


def root_has_mfa(account_id: str) -> bool:
    return int(account_id) % 3 != 0


def password_length(account_id: str) -> int:
    return 8 + int(account_id) % 113


def public_access_flags(account_id: str) -> tuple[bool, bool, bool, bool]:
    bits = int(account_id) % 16
    return bits & 1 == 0, bits & 2 == 0, bits & 4 == 0, bits & 8 == 0


def trail_arn(account_id: str) -> str:
    return f"arn:aws:cloudtrail:us-east-1:{account_id}:trail/trail-{account_id}"


def detector_id(account_id: str, region: str, settings: StubSettings) -> str | None:
    """The region's detector; which regions have one depends on the account."""
    enabled = REGIONS[: settings.regions]
    if region not in enabled:
        return None
    if (enabled.index(region) - int(account_id)) % len(enabled) >= settings.detectors:
        return None
    return hashlib.md5(f"{account_id} {region}".encode(), usedforsecurity=False).hexdigest()


def finding_ids(account_id: str, region: str, settings: StubSettings) -> list[str]:
    return [f"{account_id}{number:08d}{region}" for number in range(settings.findings)]


def finding(account_id: str, region: str, finding_id: str) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "arn": f"arn:aws:guardduty:{region}:{account_id}:detector/d/finding/{finding_id}",
        "createdAt": GENERATED_AT,
        "updatedAt": GENERATED_AT,
        "id": finding_id,
        "partition": "aws",
        "region": region,
        "resource": {"resourceType": "AccessKey"},
        "schemaVersion": "2.0",
        "severity": 8.0,
        "type": "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
        "service": {
            "archived": False,
            "count": 1,
            "eventFirstSeen": GENERATED_AT,
            "eventLastSeen": GENERATED_AT,
            "serviceName": "guardduty",
        },
    }
