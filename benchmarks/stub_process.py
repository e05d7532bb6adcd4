"""The stub's process and the knobs others turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.request import Request, urlopen

from benchmarks.stub_accounts import KMS_KEY_ID, PLATFORM_KEY

if TYPE_CHECKING:
    from types import TracebackType

_REPOSITORY = Path(__file__).parents[1]
PRINCIPAL_ARN = "arn:aws:iam::999999999999:role/benchmark"


class AwsStub:
    """Starts the stub on a free port; leaving the block ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.aws_stub"],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.endpoint_url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    @property
    def environment(self) -> dict[str, str]:
        """What points boto3 and the product at the stub, for this process and its children."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": PLATFORM_KEY,
            "AWS_SECRET_ACCESS_KEY": "stub",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "THIRDSENTRY_KMS_KEY_ID": KMS_KEY_ID,
            "THIRDSENTRY_PRINCIPAL_ARN": PRINCIPAL_ARN,
        }

    def configure(self, **settings: float) -> None:
        """Change settings by the names of `StubSettings`; the others stay."""
        self._post("settings", json.dumps(settings).encode())

    def reset_calls(self) -> None:
        """Count from zero."""
        self._post("reset", b"")

    def calls(self) -> dict[str, int]:
        """Calls by action since the last reset."""
        return json.loads(self._post("calls", b""))

    def seconds_of_calls(self) -> float:
        """From the first to the last call since the last reset."""
        return json.loads(self._post("span", b""))

    def _post(self, what: str, body: bytes) -> bytes:
        request = Request(f"{self.endpoint_url}/_stub/{what}", data=body)  # noqa: S310 - our own
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return answer.read()
