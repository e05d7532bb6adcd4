"""Organizations' data keys, wrapped by one KMS key and bound to their organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from thirdsentry_pipeline.aws import shapes
from thirdsentry_pipeline.aws.errors import (
    DeadlinePassedError,
    MalformedAnswerError,
    RegionDisabled,
    classify,
    error_code_of,
)
from thirdsentry_pipeline.aws.sessions import CREDENTIAL_ERRORS, credentials_missing
from thirdsentry_pipeline.domain.errors import ConfigurationError, RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PURPOSE = "thirdsentry/credentials"
_KEY_BYTES = 32
_LARGEST_WRAPPED_BYTES = 6144
# These say that the setting names no key that can do this, not that KMS is having a bad day.
_WRONG_KEY = frozenset({"NotFound", "InvalidArn", "InvalidKeyUsage", "Validation"})


class TenantKeys:
    """Makes and unwraps 256-bit data keys under the KMS key ``key_id``.

    The organization and the key's version are the encryption context, so a wrapped key
    unwraps for no other organization.
    """

    def __init__(self, kms_client: Any, key_id: str | None) -> None:
        self._kms = kms_client
        self._key_id = key_id

    @property
    def key_id(self) -> str:
        """The KMS key id, ARN or alias in use.

        Raises:
            ConfigurationError: none is configured.
        """
        if not self._key_id:
            message = (
                "No KMS key is configured to protect credentials; set THIRDSENTRY_KMS_KEY_ID "
                "to a key id, ARN or alias."
            )
            raise ConfigurationError(message)
        return self._key_id

    def generate(self, organization_id: str, version: int) -> bytes:
        """A new data key, wrapped; its plain form is not made here.

        Raises:
            ConfigurationError: THIRDSENTRY_KMS_KEY_ID names no usable key.
            RunFailedError: ``key_unavailable``.
        """
        return self.generate_with_name(organization_id, version)[0]

    def generate_with_name(self, organization_id: str, version: int) -> tuple[bytes, str]:
        """A new data key, wrapped, and the ARN of the KMS key that wrapped it.

        An alias may name another key tomorrow; the ARN will not.

        Raises:
            ConfigurationError: THIRDSENTRY_KMS_KEY_ID names no usable key.
            RunFailedError: ``key_unavailable``.
        """
        answer = self._ask(
            self._kms.generate_data_key_without_plaintext,
            KeyId=self.key_id,
            KeySpec="AES_256",
            EncryptionContext=_context(organization_id, version),
        )
        wrapped = answer.get("CiphertextBlob")
        if not isinstance(wrapped, bytes) or not 0 < len(wrapped) <= _LARGEST_WRAPPED_BYTES:
            why = "its answer holds no wrapped key"
            raise _unavailable(why)
        name = answer.get("KeyId")
        return wrapped, name if isinstance(name, str) and name else self.key_id

    def unwrap(
        self, organization_id: str, version: int, wrapped: bytes, *, key_id: str | None = None
    ) -> bytes:
        """The 32 bytes of a wrapped data key; ``key_id`` if another KMS key wrapped it.

        Raises:
            ConfigurationError: THIRDSENTRY_KMS_KEY_ID names no usable key.
            RunFailedError: ``key_unavailable``, also when the key is another organization's.
        """
        answer = self._ask(
            self._kms.decrypt,
            KeyId=key_id or self.key_id,
            CiphertextBlob=wrapped,
            EncryptionContext=_context(organization_id, version),
        )
        plain = answer.get("Plaintext")
        if not isinstance(plain, bytes) or len(plain) != _KEY_BYTES:
            why = "its answer holds no data key"
            raise _unavailable(why)
        return plain

    def _ask(self, call: Callable[..., Any], **parameters: Any) -> Mapping[str, Any]:
        try:
            return shapes.record({"answer": call(**parameters)}, "answer")
        except CREDENTIAL_ERRORS:
            raise credentials_missing() from None
        except ClientError as error:
            if error_code_of(error) in _WRONG_KEY:
                message = (
                    "THIRDSENTRY_KMS_KEY_ID does not name a KMS key that can wrap data keys "
                    f"({error_code_of(error)}); set it to a symmetric key's id, ARN or alias."
                )
                raise ConfigurationError(message) from None
            raise _unavailable(_reason(error)) from None
        except (HTTPClientError, UnreachableError, DeadlinePassedError):
            message = (
                "KMS did not answer; check the network and AWS_REGION, or AWS_ENDPOINT_URL "
                "if it is set."
            )
            raise RunFailedError(ErrorCode.KEY_UNAVAILABLE, message) from None
        except (BotoCoreError, MalformedAnswerError) as error:
            raise _unavailable(_reason(error)) from None


def _context(organization_id: str, version: int) -> dict[str, str]:
    return {
        "organization_id": organization_id,
        "purpose": PURPOSE,
        "key_version": str(version),
    }


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error_code_of(error) or "no error code"
    code = classify(error)
    return "region disabled" if isinstance(code, RegionDisabled) else str(code)


def _unavailable(why: str) -> RunFailedError:
    message = (
        f"KMS did not give the organization's data key ({why}); check that the key "
        "THIRDSENTRY_KMS_KEY_ID names is enabled, is the one that wrapped it, and lets the "
        "platform generate and decrypt data keys."
    )
    return RunFailedError(ErrorCode.KEY_UNAVAILABLE, message)
