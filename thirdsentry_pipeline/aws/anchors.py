"""Audit anchors in S3 Object Lock: what can no longer be changed, by us neither.

One object per anchored row, ``anchors/<organization>/<sequence number>.json``, in COMPLIANCE
mode. A locked version stays below whatever is put on top of it, a delete marker included, so
the first version of a key is the anchor and later ones count for nothing.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from thirdsentry_pipeline.aws.errors import (
    DeadlinePassedError,
    MalformedAnswerError,
    error_code_of,
)
from thirdsentry_pipeline.aws.sessions import (
    CREDENTIAL_ERRORS,
    credentials_missing,
    quiet_loggers,
)
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.domain.time import iso_z

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "anchors/"
SETTING = "THIRDSENTRY_ANCHOR_BUCKET"
_KEY = re.compile(r"anchors/(?P<organization_id>[0-9a-f]{24})/(?P<seq>[0-9]{20})\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_LARGEST_BYTES = 4096
_READS_AT_ONCE = 16
_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
# These say that the setting names no bucket that can hold anchors, not that S3 has a bad day.
_WRONG_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName", "InvalidRequest"})


class AnchorExistsError(ThirdSentryError):
    """The key is taken: an anchor is never written over."""


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """Row ``seq`` of an organization's audit log had this hash at ``anchored_at`` (UTC).

    Retention may not remove the row before ``kept_until`` (UTC).
    """

    organization_id: str
    seq: int
    row_hash: str
    anchored_at: datetime
    kept_until: datetime

    @property
    def key(self) -> str:
        """The object's key: one per organization and sequence number."""
        return f"{PREFIX}{self.organization_id}/{self.seq:020d}.json"

    def body(self) -> bytes:
        """What the object holds: JSON in UTF-8."""
        document = {
            "organization": self.organization_id,
            "seq": self.seq,
            "hash": self.row_hash,
            "time": iso_z(self.anchored_at),
            "kept_until": iso_z(self.kept_until),
        }
        return json.dumps(document, indent=2).encode()

    @classmethod
    def parse(cls, key: str, body: bytes) -> AnchorRecord:
        """The record of one object.

        Raises:
            ThirdSentryError: it is none, or names another row than its key does.
        """
        try:
            document = json.loads(body)
            record = cls(
                organization_id=document["organization"],
                seq=document["seq"],
                row_hash=document["hash"],
                anchored_at=datetime.fromisoformat(document["time"]),
                kept_until=datetime.fromisoformat(document["kept_until"]),
            )
            is_whole = (
                type(record.seq) is int
                and _HASH.fullmatch(record.row_hash) is not None
                and record.anchored_at.utcoffset() is not None
                and record.kept_until.utcoffset() is not None
                and record.key == key
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            is_whole = False
        if not is_whole:
            message = f"The object {key} in the anchor bucket is no anchor of that row."
            raise ThirdSentryError(message)
        return record


class AnchorBucket:
    """The bucket that holds the anchors of all organizations.

    Raises:
        ConfigurationError: none is configured.
    """

    def __init__(self, s3_client: Any, bucket: str | None) -> None:
        if not bucket:
            message = (
                f"No bucket for audit anchors is configured; set {SETTING} to one with Object Lock."
            )
            raise ConfigurationError(message)
        # The client may be anyone's, dagster-aws' for one, which leaves them as they are.
        quiet_loggers()
        self._s3 = s3_client
        self.name = bucket

    def write(self, record: AnchorRecord, *, locked_until: datetime) -> None:
        """Write an anchor that nobody can change or remove before ``locked_until`` (UTC).

        Raises:
            AnchorExistsError: there is an anchor of that row.
            ConfigurationError: the bucket is not there or has no Object Lock.
            ThirdSentryError: S3 refused or did not answer.
        """
        with self._sentences():
            try:
                self._s3.put_object(
                    Bucket=self.name,
                    Key=record.key,
                    Body=record.body(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=locked_until,
                )
            except ClientError as error:
                if error_code_of(error) in _EXISTS:
                    message = f"Row {record.seq} of {record.organization_id} is anchored already."
                    raise AnchorExistsError(message) from None
                raise

    def read_newest(self, organization_id: str) -> AnchorRecord | None:
        """The organization's anchor with the highest sequence number, if there is any."""
        with self._sentences():
            versions = self._first_versions(organization_id)
            return self._read(*max(versions.items())) if versions else None

    def read_all(self, organization_id: str) -> list[AnchorRecord]:
        """The organization's anchors by sequence number.

        Raises:
            ConfigurationError: the bucket is not there.
            ThirdSentryError: S3 refused or did not answer, or an object is no anchor.
        """
        with self._sentences():
            versions = sorted(self._first_versions(organization_id).items())
            with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
                return list(pool.map(lambda version: self._read(*version), versions))

    def organization_ids(self) -> list[str]:
        """Every organization that has anchors, whatever the warehouse says of it; sorted."""
        paginator = self._s3.get_paginator("list_object_versions")
        found = set()
        with self._sentences():
            for page in paginator.paginate(Bucket=self.name, Prefix=PREFIX, Delimiter="/"):
                for one in page.get("CommonPrefixes", ()):
                    organization_id = one["Prefix"].removeprefix(PREFIX).rstrip("/")
                    if _KEY.fullmatch(f"{PREFIX}{organization_id}/{0:020d}.json"):
                        found.add(organization_id)
        return sorted(found)

    def _first_versions(self, organization_id: str) -> dict[str, str]:
        paginator = self._s3.get_paginator("list_object_versions")
        first: dict[str, str] = {}
        for page in paginator.paginate(Bucket=self.name, Prefix=f"{PREFIX}{organization_id}/"):
            for version in page.get("Versions", ()):
                # S3 lists the newest version of a key first, so the last one seen is the oldest.
                if _KEY.fullmatch(version["Key"]):
                    first[version["Key"]] = version["VersionId"]
        return first

    def _read(self, key: str, version_id: str) -> AnchorRecord:
        answer = self._s3.get_object(Bucket=self.name, Key=key, VersionId=version_id)
        return AnchorRecord.parse(key, answer["Body"].read(_LARGEST_BYTES))

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except CREDENTIAL_ERRORS:
            raise credentials_missing() from None
        except ClientError as error:
            code = error_code_of(error)
            if code in _WRONG_BUCKET:
                message = (
                    f"{SETTING} does not name a bucket that can hold anchors ({code}): "
                    f"{self.name} must exist and have Object Lock."
                )
                raise ConfigurationError(message) from None
            raise self._unavailable(code or "no error code") from None
        except (
            BotoCoreError,
            MalformedAnswerError,
            DeadlinePassedError,
        ) as error:
            raise self._unavailable(type(error).__name__) from None

    def _unavailable(self, why: str) -> ThirdSentryError:
        return ThirdSentryError(
            f"The anchor bucket {self.name} could not be used ({why}); check that S3 answers and "
            "that the platform may list, read, put and lock its object versions."
        )
