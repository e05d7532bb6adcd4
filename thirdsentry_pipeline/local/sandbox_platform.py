"""The vendor's own account in the sandbox: principal, KMS key, anchor bucket.

The key's id and material are kept in ``<state>/kms-key.json`` (0600), so that what a sandbox
sealed can be opened after its restart.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from thirdsentry_pipeline.local.sandbox_request import (
    PLATFORM_ACCOUNT_ID,
    PLATFORM_PRINCIPAL_ARN,
)

if TYPE_CHECKING:
    from pathlib import Path

    from thirdsentry_pipeline.local.sandbox_state import SandboxState

REGION = "us-east-1"
ACCESS_KEY_ID = "AKIATHIRDSENTRYLOCAL"
SECRET_ACCESS_KEY = "sandbox-only-not-a-secret"  # noqa: S105 - opens nothing but the sandbox
KEY_ALIAS = "alias/thirdsentry"
ANCHOR_BUCKET = "thirdsentry-audit-anchors"
_KEY_FILE = "kms-key.json"
_KEY_BYTES = 32


def prepare_state_directory(directory: Path) -> dict[str, str]:
    """Read the persisted KMS key, or make it; gives ``key_id`` and ``material`` (base64)."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / _KEY_FILE
    if path.exists():
        key: dict[str, str] = json.loads(path.read_text())
        return key
    material = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    key = {"key_id": str(uuid4()), "material": material}
    staged = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(key, file)
    staged.replace(path)
    return key


def platform_environment(endpoint_url: str, key: dict[str, str]) -> dict[str, str]:
    """The variables that point the pipeline at this sandbox."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "THIRDSENTRY_KMS_KEY_ID": f"arn:aws:kms:{REGION}:{PLATFORM_ACCOUNT_ID}:key/{key['key_id']}",
        "THIRDSENTRY_PRINCIPAL_ARN": PLATFORM_PRINCIPAL_ARN,
        "THIRDSENTRY_ANCHOR_BUCKET": ANCHOR_BUCKET,
    }


def reset_sandbox(state: SandboxState, key: dict[str, str]) -> None:
    """Empty every account, then build the vendor's own resources again."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415 - moto is heavy
    from moto.core.model_instances import reset_model_data  # noqa: PLC0415 - as above

    with state.lock:
        state.clear()
        BackendDict.reset()
        reset_model_data()
        _make_key(key)
        _make_bucket()


def _make_key(key: dict[str, str]) -> None:
    from moto.kms.models import kms_backends  # noqa: PLC0415 - moto is heavy

    backend: Any = kms_backends[PLATFORM_ACCOUNT_ID][REGION]
    # moto makes a pair of keys for a symmetric key too: an RSA one, which takes a sixth of a
    # second, and of no use. So it is made as another kind and becomes symmetric.
    made = backend.create_key(
        policy="",
        key_usage="ENCRYPT_DECRYPT",
        key_spec="ECC_NIST_P256",
        description="Wraps the organizations' data keys",
        tags=None,
    )
    backend.keys.pop(made.id)
    made.id = key["key_id"]
    made.arn = f"arn:aws:kms:{REGION}:{PLATFORM_ACCOUNT_ID}:key/{made.id}"
    made.key_spec = "SYMMETRIC_DEFAULT"
    made.key_material = base64.b64decode(key["material"])
    backend.keys[made.id] = made
    backend.create_alias(made.id, KEY_ALIAS)


def _make_bucket() -> None:
    from moto.s3.models import s3_backends  # noqa: PLC0415 - moto is heavy

    backend: Any = s3_backends[PLATFORM_ACCOUNT_ID]["aws"]
    bucket = backend.create_bucket(ANCHOR_BUCKET, REGION)
    bucket.object_lock_enabled = True
    bucket.versioning_status = "Enabled"
