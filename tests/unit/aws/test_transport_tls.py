"""Whom a transport trusts: the certificate authorities it was given, and the host it asked for."""

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.aws.test_transport import request_on, whole
from thirdsentry_pipeline.aws.errors import DeadlinePassedError
from thirdsentry_pipeline.aws.transport import Transport


def certificate_for(name, folder):
    """A certificate that signs itself, for an address or a host name; its file, key included."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return str(path)


@contextmanager
def tls_server(certificate, answer=lambda connection: connection.sendall(whole(b"{}"))):
    """Answers one request after another over TLS on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    request_on(connection)
                    answer(connection)
            except OSError:
                plain.close()  # the client did not trust us

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def by_botocore(transport, request):
    return transport._send(request, "before-send.iam.ListUsers")


def by_ourselves(transport, request):
    return transport.send(request, "iam.ListUsers")


@pytest.fixture(params=[by_botocore, by_ourselves])
def send(request):
    """Sends by a transport of its own, as the platform's clients do or as an account's."""

    def by_a_new_one(url, ca_bundle):
        with_it = Transport(ca_bundle=ca_bundle)
        try:
            return request.param(with_it, AWSRequest(method="GET", url=url, headers={}).prepare())
        finally:
            with_it.close()

    return by_a_new_one


@pytest.fixture
def own(tmp_path):
    return certificate_for(x509.IPAddress(ip_address("127.0.0.1")), tmp_path)


def test_a_server_of_a_trusted_authority_is_talked_to_in_every_session(own, send):
    with tls_server(own) as url:
        assert [send(url, own).status_code for _ in range(2)] == [200, 200]


def test_a_bundle_trusted_by_one_transport_is_not_trusted_by_another(own, send):
    with tls_server(own) as url:
        assert send(url, own).status_code == 200
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            send(url, None)


def test_closing_a_transport_ends_a_call_that_waits_for_its_answer(own):
    transport = Transport(ca_bundle=own)
    received = []

    def silent(connection):
        transport.close()
        # Nothing but the end of the connection comes, and nothing that was not encrypted.
        received.append(connection.recv(1))

    with tls_server(own, silent) as url:
        request = AWSRequest(method="GET", url=url, headers={}).prepare()
        with pytest.raises(DeadlinePassedError):
            by_ourselves(transport, request)
    assert received == [b""]


def test_a_trusted_certificate_of_another_host_is_refused(tmp_path, send):
    other = certificate_for(x509.DNSName("iam.amazonaws.com"), tmp_path)
    with tls_server(other) as url, pytest.raises(SSLError, match="doesn't match"):
        send(url, other)
