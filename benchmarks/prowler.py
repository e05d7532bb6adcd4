"""Prowler beside us: the same checks on the same account of the same stub.

It is no dependency: it runs when the variable ``PROWLER`` names its executable or the search path
holds one, in a process and an environment of its own. Its start and its reports are left out, as
ours are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.accounts import LATENCY_MS, sync
from benchmarks.lab import account_id, organization_id
from benchmarks.rows import Row, median_seconds
from benchmarks.stub_accounts import external_id_of, role_of

if TYPE_CHECKING:
    from benchmarks.lab import Lab

CHECKS = (
    *("iam_root_mfa_enabled", "iam_root_hardware_mfa_enabled"),
    "iam_user_mfa_enabled_console_access",
    *("iam_password_policy_minimum_length_14", "iam_password_policy_reuse_24"),
    *("iam_password_policy_lowercase", "iam_password_policy_uppercase"),
    *("iam_password_policy_number", "iam_password_policy_symbol"),
    "cloudtrail_multi_region_enabled_logging_management_events",
    "s3_account_level_public_access_blocks",
    *("guardduty_is_enabled", "guardduty_no_high_severity_findings"),
)
"""What its checks call our seven types."""

TIMES_FASTER = 50.0
TIMES_FEWER = 20.0
_NUMBER = 7
_FINDINGS_FAILED = 3


def beside_prowler(lab: Lab) -> list[Row]:
    """Wall time and calls of both; one row that says so when Prowler is not there."""
    found = shutil.which(os.environ.get("PROWLER", "prowler"))
    if found is None:
        return [Row("beside Prowler, same checks", "not installed", f"≥ {TIMES_FASTER:.0f} times")]
    lab.stub.configure(latency_ms=LATENCY_MS, users=100)
    lab.connect(organization_id(_NUMBER), [account_id(_NUMBER)])
    calls = sync(lab, organization_id(_NUMBER))
    ours = median_seconds(lambda: sync(lab, organization_id(_NUMBER)), 5)
    lab.stub.reset_calls()
    _scan(lab, found)
    asking, asked = lab.stub.seconds_of_calls(), sum(lab.stub.calls().values())
    return [
        Row(
            f"beside {_version(found)}, the same checks, from its first to its last call",
            f"{asking:.0f} s: {asking / ours:.0f} times",
            f"≥ {TIMES_FASTER:.0f} times",
            asking / ours >= TIMES_FASTER,
        ),
        Row(
            "its calls to the account, AssumeRole included",
            f"{asked} beside {calls}: {asked / calls:.1f} times",
            f"≥ {TIMES_FEWER:.0f} times",
            asked / calls >= TIMES_FEWER,
        ),
    ]


def _scan(lab: Lab, executable: str) -> None:
    """One scan through the same role.

    The stub is its proxy and not its endpoint: S3 Control puts the account id before the host
    name, and below a loopback address there is no such host.

    Raises:
        RuntimeError: it did not get through.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **kept,
            **lab.stub.environment,
            "AWS_ENDPOINT_URL": "http://aws.stub",
            "HTTP_PROXY": lab.stub.endpoint_url,
            "HOME": home,
        }
        role, external_id = role_of(account_id(_NUMBER)), external_id_of(account_id(_NUMBER))
        command = [executable, "aws", "--role", role, "--external-id", external_id]
        output = ["--no-banner", "--output-formats", "json-ocsf", "--output-directory", home]
        done = subprocess.run(
            [*command, *output, "--checks", *CHECKS],
            env=environment,
            cwd=home,
            capture_output=True,
            check=False,
        )
        if done.returncode not in {0, _FINDINGS_FAILED} or not list(Path(home).glob("*.json")):
            message = f"{executable} ended with {done.returncode}"
            raise RuntimeError(message)


def _version(executable: str) -> str:
    told = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False)
    return " ".join(told.stdout.split()[:2]) or "Prowler"
