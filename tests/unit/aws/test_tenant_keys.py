import base64
import json

import pytest

from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.domain.errors import ConfigurationError, RunFailedError
from thirdsentry_pipeline.domain.evidence import ErrorCode

ORGANIZATION = "64b7f3a2c1d4e5f60718293a"
PLAIN = bytes(range(32))


@pytest.fixture
def keys(aws):
    return TenantKeys(aws.client("kms", "us-east-1"), "alias/thirdsentry")


def encoded(data):
    return base64.b64encode(data).decode()


def test_keys_are_bound_to_organization_purpose_and_version(aws, keys):
    aws.answer("kms.GenerateDataKeyWithoutPlaintext", {"CiphertextBlob": encoded(b"wrapped")})
    aws.answer("kms.Decrypt", {"Plaintext": encoded(PLAIN)})
    assert keys.generate(ORGANIZATION, 3) == b"wrapped"
    assert keys.unwrap(ORGANIZATION, 3, b"wrapped") == PLAIN
    assert keys.unwrap(ORGANIZATION, 3, b"wrapped", key_id="older") == PLAIN
    asked = [json.loads(request.body) for _, _, request in aws.requests]
    for request in asked:
        assert request["EncryptionContext"] == {
            "organization_id": ORGANIZATION,
            "purpose": "thirdsentry/credentials",
            "key_version": "3",
        }
    assert [request["KeyId"] for request in asked] == [
        "alias/thirdsentry",
        "alias/thirdsentry",
        "older",
    ]
    assert asked[0]["KeySpec"] == "AES_256"


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "DisabledException",
        "InvalidCiphertextException",
        "KMSInternalException",
    ],
)
def test_a_key_out_of_reach_is_unavailable(aws, keys, code):
    aws.deny("kms.Decrypt", code, status=400)
    with pytest.raises(RunFailedError) as caught:
        keys.unwrap(ORGANIZATION, 1, b"canary-wrapped")
    assert caught.value.code is ErrorCode.KEY_UNAVAILABLE
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "code", ["NotFoundException", "InvalidArnException", "ValidationException"]
)
def test_a_setting_that_names_no_key_is_named(aws, keys, code):
    aws.deny("kms.GenerateDataKeyWithoutPlaintext", code, status=400)
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_KMS_KEY_ID"):
        keys.generate(ORGANIZATION, 1)


@pytest.mark.parametrize("key_id", [None, ""])
def test_without_a_key_the_setting_is_named(aws, key_id):
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_KMS_KEY_ID"):
        TenantKeys(aws.client("kms", "us-east-1"), key_id).generate(ORGANIZATION, 1)


@pytest.mark.parametrize("body", [{}, {"Plaintext": encoded(b"short")}, {"Plaintext": ""}, "", "<"])
def test_an_answer_without_a_whole_key_is_no_key(aws, keys, body):
    aws.answer("kms.Decrypt", body)
    with pytest.raises(RunFailedError) as caught:
        keys.unwrap(ORGANIZATION, 1, b"w")
    assert caught.value.code is ErrorCode.KEY_UNAVAILABLE


@pytest.mark.parametrize(
    "body", [{}, {"CiphertextBlob": ""}, {"CiphertextBlob": encoded(b"x" * 7000)}]
)
def test_an_answer_without_a_wrapped_key_is_no_key(aws, keys, body):
    aws.answer("kms.GenerateDataKeyWithoutPlaintext", body)
    with pytest.raises(RunFailedError):
        keys.generate(ORGANIZATION, 1)
