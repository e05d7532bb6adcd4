"""Between the product and Postgres: a line that is cut around a COMMIT, and strikes at backends."""

import contextlib
import re
import socket
import threading
from urllib.parse import urlsplit

from sqlalchemy import Engine, event

COMMIT = b"COMMIT"
CHUNK = 65536


class CutLine:
    """A TCP proxy that passes everything on until it is told to cut.

    ``cut("before")`` drops the next COMMIT of a transaction that wrote observations, so the
    server never sees it; ``cut("after")`` passes it on and drops the answer, once the server has
    given it. Both ends then find a broken connection. It cuts once.
    """

    def __init__(self, url: str) -> None:
        self._server = (urlsplit(url).hostname, urlsplit(url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._when = None
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        # Encrypted, nobody could tell a COMMIT.
        self.url = parts._replace(
            netloc=f"{login}@127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable"
        ).geturl()

    def cut(self, when):
        self._when = when

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            line = _Line(self, client, server)
            for direction in (line.ask, line.answer):
                threading.Thread(target=direction, daemon=True).start()

    def take(self, wrote):
        """When to cut this COMMIT, if it is the one; asked once per COMMIT."""
        if self._when is None or not wrote:
            return None
        when, self._when = self._when, None
        self.cuts += 1
        return when


class _Line:
    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.wrote = False
        self.is_deaf = False

    def ask(self):
        """What the product says to the server."""
        for said in _chunks(self.client):
            self.wrote = self.wrote or b"evidence_observations" in said
            if COMMIT in said:
                when = self.proxy.take(self.wrote)
                self.wrote = False
                if when == "before":
                    break
                self.is_deaf = when == "after"
            if not _send(self.server, said):
                break
        if not self.is_deaf:
            self.end()

    def answer(self):
        """What the server says back."""
        for said in _chunks(self.server):
            if self.is_deaf or not _send(self.client, said):
                break
        self.end()

    def end(self):
        for one in (self.client, self.server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _chunks(one):
    while True:
        try:
            said = one.recv(CHUNK)
        except OSError:
            return
        if not said:
            return
        yield said


def _send(one, said):
    try:
        one.sendall(said)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def at_statement(pattern, act, *, when="after", freed=None):
    """Act on the backend that first runs a matching statement; gives the list of those struck.

    ``freed`` is called with it when its transaction was rolled back.
    """
    struck = []

    def strike(connection, _cursor, statement, *_):
        if not struck and re.search(pattern, statement):
            struck.append(backend_of(connection))
            act(struck[0])

    def rolled_back(connection):
        if struck and freed is not None and backend_of(connection) == struck[0]:
            freed(struck[0])

    event.listen(Engine, f"{when}_cursor_execute", strike)
    event.listen(Engine, "rollback", rolled_back)
    try:
        yield struck
    finally:
        event.remove(Engine, f"{when}_cursor_execute", strike)
        event.remove(Engine, "rollback", rolled_back)


def backend_of(connection):
    return connection.connection.dbapi_connection.info.backend_pid
