"""Attacks over the network, and over sockets that are files or only names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading

import pytest
from walls import attempt, sandboxes

REACH = """
import socket, sys
def reach(family, kind, address, send=b"x"):
    made = socket.socket(family, kind)
    made.settimeout(2)
    if kind == socket.SOCK_DGRAM:
        made.sendto(send, address)
        return "sent"
    made.connect(address)
    return "connected"
"""


@contextlib.contextmanager
def listening(family, kind, address):
    """A server of the host, and the list of what came in."""
    came = []
    with socket.socket(family, kind) as server:
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        server.settimeout(0.1)
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    if kind == socket.SOCK_STREAM:
                        peer, _ = server.accept()
                        peer.close()
                    else:
                        server.recvfrom(10)
                    came.append(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname(), came
        finally:
            stop.set()
            thread.join()


def try_to_reach(kind, family, how, address):
    return attempt(kind, f"{REACH}\nprint(reach({int(family)}, {int(how)}, {address!r}))")


def fails(told):
    return told.startswith(("PermissionError", "FileNotFoundError", "OSError", "ConnectionRefused"))


@pytest.mark.parametrize("how", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "own"])
def test_servers_of_the_host_are_out_of_reach(kind, how, host):
    if host == "own":  # an address of an interface of the host, if it has one
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            with contextlib.suppress(OSError):
                probe.connect(("192.0.2.1", 9))
            host = probe.getsockname()[0]
            if host == "0.0.0.0":
                host = "127.0.0.1"
    with listening(socket.AF_INET, how, (host, 0)) as (address, came):
        assert fails(try_to_reach(kind, socket.AF_INET, how, address))
        with socket.socket(socket.AF_INET, how) as ours:  # they are there for others
            ours.connect(address)
            ours.send(b"x") if how == socket.SOCK_DGRAM else None
    assert len(came) <= 1


@pytest.mark.parametrize(
    "address", [("169.254.169.254", 80), ("169.254.170.2", 80), ("10.0.0.1", 443), ("1.1.1.1", 53)]
)
def test_addresses_of_clouds_and_of_the_internet_are_refused_at_once(kind, address):
    for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        told = try_to_reach(kind, socket.AF_INET, how, address)
        assert fails(told), told


def test_names_are_not_resolved(kind):
    code = "import socket; print(socket.getaddrinfo('example.com', 443))"
    assert attempt(kind, code).startswith(("gaierror", "PermissionError", "OSError"))


def test_sockets_that_are_files_of_the_host_are_out_of_reach(kind, tmp_path):
    path = str(tmp_path / "socket")
    with listening(socket.AF_UNIX, socket.SOCK_STREAM, path) as (_, came):
        tmp_path.chmod(0o777)
        assert fails(try_to_reach(kind, socket.AF_UNIX, socket.SOCK_STREAM, path))
    assert not came


@pytest.mark.parametrize(
    "path",
    [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
    ],
)
def test_daemons_of_the_host_are_out_of_reach(kind, path):
    assert fails(try_to_reach(kind, socket.AF_UNIX, socket.SOCK_STREAM, path))


@pytest.mark.parametrize("how", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["stream", "datagram"])
def test_sockets_that_are_only_names_are_out_of_reach(kind, how):
    name = b"\0attack-by-name"
    with listening(socket.AF_UNIX, how, name) as (_, came):
        assert fails(try_to_reach(kind, socket.AF_UNIX, how, name))
    assert not came


def test_a_sandbox_does_not_reach_another(kind):
    serve = (
        "import socket\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind('\\0meeting'); server.listen()\n"
        "print('serves')"
    )
    meet = "import socket; socket.socket(socket.AF_UNIX).connect('\\0meeting'); print('met')"

    async def main():
        async with sandboxes(kind, 2) as (one, other):
            served = await one.ask(serve)
            return served, await one.ask(meet), await other.ask(meet)

    served, own, others = asyncio.run(main())
    if kind == "docker":
        assert (served, own) == ("serves\n", "met\n")
    assert fails(others)


def test_there_are_no_interfaces_but_a_loopback(kind):
    code = "import json, socket; print(json.dumps([name for _, name in socket.if_nameindex()]))"
    told = attempt(kind, code)
    assert fails(told) or set(json.loads(told)) <= {"lo"}
