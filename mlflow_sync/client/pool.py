"""Connections to one host that never wait longer than they were told to."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import time
from functools import partial
from ipaddress import ip_address
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from mlflow_sync.client.connection import Connection
from mlflow_sync.exceptions import FailureKind, SyncError

# urllib3 names hosts and whole URLs in its own log lines and in this warning; that a
# server's certificate is not verified is shown where it was switched off.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


class Deadline:
    """When the request under way has to be over, on the monotonic clock."""

    def __init__(self) -> None:
        self._ends = 0.0

    def restart(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def remaining(self) -> float:
        return self._ends - time.monotonic()


class _ImpatientStream(io.RawIOBase):
    """A socket's bytes, with the deadline checked at every receive.

    A read timeout alone lets a server that drips a byte now and then hold us for ever.
    """

    def __init__(
        self, stream: io.RawIOBase, *, sock: socket.socket, deadline: Deadline
    ) -> None:
        self._stream = stream
        self._sock = sock
        self._deadline = deadline
        self._read_timeout = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline.remaining()
        if remaining <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._read_timeout or remaining, remaining))
        if hasattr(socket, "TCP_QUICKACK"):
            # MLflow with several workers sends an answer in two small segments and
            # holds the second back until we acknowledge the first, which Linux puts
            # off for 40 ms. The flag lasts for one receive only.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(
        self, sock: socket.socket, *args: Any, deadline: Deadline, **kwargs: Any
    ) -> None:
        super().__init__(sock, *args, **kwargs)
        stream = _ImpatientStream(self.fp.detach(), sock=sock, deadline=deadline)
        self.fp = io.BufferedReader(stream)


class _GuardedConnection(HTTPConnection):
    """A connection that keeps the deadline, and to the networks it may use."""

    def __init__(
        self,
        *args: Any,
        deadline: Deadline,
        allow_private_networks: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = partial(  # type: ignore[assignment]  # called as a class
            _Response, deadline=deadline
        )
        self._allow_private_networks = allow_private_networks

    def connect(self) -> None:
        """Connect, unless the host is in a private network and that is not allowed.

        Judged before, so that nobody learns from us what listens there, and again by
        the address that was reached, since a name can change its address in between.
        """
        if self._allow_private_networks:
            return super().connect()
        _refuse_private(_addresses(self.host, self.port))
        super().connect()
        try:
            _refuse_private([self.sock.getpeername()[0]])
        except SyncError:
            self.close()
            raise


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError:
        return []  # connecting will say so
    return [str(place[4][0]) for place in found]


def _refuse_private(addresses: list[str]) -> None:
    if all(ip_address(address.split("%")[0]).is_global for address in addresses):
        return
    raise SyncError(
        "The tracking server has an address in a private network, which this "
        "installation does not connect to.",
        kind=FailureKind.PRIVATE_ADDRESS,
    )


class _GuardedTlsConnection(_GuardedConnection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsConnection


def open_pool(
    connection: Connection, *, deadline: Deadline
) -> urllib3.HTTPConnectionPool:
    """Return a pool that keeps one connection alive; nothing is sent yet.

    Raises SyncError (bad_setting) if the host's name is none.
    """
    settings: dict[str, Any] = {
        "port": connection.port,
        "maxsize": 1,
        "retries": False,
        "timeout": urllib3.Timeout(
            connect=connection.connect_timeout, read=connection.read_timeout
        ),
        "deadline": deadline,
        "allow_private_networks": connection.allow_private_networks,
    }
    try:
        if connection.scheme == "http":
            return _Pool(connection.host, **settings)
        return _TlsPool(
            connection.host, ssl_context=_tls_context(connection), **settings
        )
    except urllib3.exceptions.LocationValueError:
        raise SyncError(
            "The URL names no valid host and port.", kind=FailureKind.BAD_SETTING
        ) from None


def _tls_context(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not connection.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca_bundle:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=connection.ca_bundle)
    else:
        # Bare container images have no authorities of their own.
        context.load_verify_locations(cafile=certifi.where())
    return context
