"""What surrounds a process: descriptors that are closed, systemd's sockets, PID 1, SIGHUP."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from parts import program
from ports import free_port
from servers import PYTHON, clean_environment, wait_for

TLS = Path(__file__).parents[1] / "support" / "tls"
SERVE = [PYTHON, "-m", "anthropic_bedrock_proxy", "serve"]
AWS = {"AWS_BEARER_TOKEN_BEDROCK": "t", "BEDROCK_ENDPOINT_URL": "http://127.0.0.1:9"}


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="IPv6 is needed")


@contextlib.contextmanager
def running(folder, *command, ready, pass_fds=(), stderr=None, stdout=None, **settings):
    """A process, once `ready` says so; it must end well."""
    environment = clean_environment(folder, **AWS | {"STORE_URL": "memory://"} | settings)
    with (folder / "out.txt").open("ab") as out, (folder / "err.txt").open("ab") as err:
        process = subprocess.Popen(
            [*command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out if stdout is None else stdout,
            stderr=err if stderr is None else stderr,
            pass_fds=pass_fds,
        )
    try:
        wait_for(lambda: process.poll() is not None or ready(), "it serves", 20)
        assert process.poll() is None, (folder / "err.txt").read_text()
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (folder / "err.txt").read_text()
    finally:
        process.kill()
        process.wait()


def status(url, context=None):
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def answers(port, path="/health"):
    return lambda: status(f"http://127.0.0.1:{port}{path}") == 200


def over_unix(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return client.recv(65536).startswith(b"HTTP/1.1 200 ")


# Descriptors


def failed_start(folder, *arguments):
    """What `serve` with these arguments, which it cannot start with, has written."""
    return subprocess.run(
        [*SERVE, *arguments],
        cwd=folder,
        env=clean_environment(folder, **AWS),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_without_the_standard_descriptors_no_client_gets_the_log(tmp_path, workers, closed):
    port = free_port()
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *SERVE, "--port", str(port)]
    with (
        running(tmp_path, *command, ready=answers(port), WORKERS=workers),
        socket.create_connection(("127.0.0.1", port)) as waiting,
    ):
        for _ in range(20):
            assert status(f"http://127.0.0.1:{port}/nothing") == 404
        time.sleep(0.3)  # the log is written a few times a second
        waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_nobody_at_the_other_end_of_a_pipe_stops_nothing(tmp_path, name, workers):
    port, (read, write) = free_port(), os.pipe()
    os.close(read)
    command = [*SERVE, "--port", str(port)]
    with running(tmp_path, *command, ready=answers(port), **{name: write}, WORKERS=workers) as one:
        os.close(write)
        if workers == "2":
            before = children(one.pid)
            os.kill(min(before), signal.SIGKILL)  # of which the parent writes to the log
            wait_for(lambda: len(children(one.pid) - {min(before)}) == 2, "another worker")
        for _ in range(20):
            assert status(f"http://127.0.0.1:{port}/nothing") == 404


def test_a_log_that_nobody_reads_stops_nobody(tmp_path):
    """A pipe holds 64 KiB; each of these leaves more than 200 bytes."""
    port, (read, write) = free_port(), os.pipe()
    command = [*SERVE, "--port", str(port)]
    with running(tmp_path, *command, ready=answers(port), stderr=write):
        os.close(write)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.settimeout(5)
            for _ in range(1000):
                client.sendall(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 404")
        os.close(read)


@pytest.mark.parametrize("command", ["serve", "bedrock-sim"])
def test_the_soft_limit_of_descriptors_is_raised(tmp_path, command):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    port = free_port()
    limited = ["sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh", *SERVE[:-1], command]
    path = "/health" if command == "serve" else "/_sim/requests"
    ready = answers(port, path)
    with running(tmp_path, *limited, "--port", str(port), ready=ready) as one:
        limits = Path(f"/proc/{one.pid}/limits").read_text()
        assert re.search(r"Max open files\s+(\d+)", limits)[1] == str(hard)


# Sockets


@pytest.mark.parametrize("workers", ["1", "2"])
def test_systemd_s_sockets_are_served_and_outlive_it(tmp_path, workers):
    path = tmp_path / "given.sock"
    # LISTEN_PID is the id of the very process: the shell's, which it keeps.
    script = 'export LISTEN_PID=$$ LISTEN_FDS=2; exec "$@" 3<&%d 4<&%d'
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as file:
        file.bind(str(path))
        file.listen()
        number = port.getsockname()[1]
        given = (port.fileno(), file.fileno())
        command = ["bash", "-c", script % given, "bash", *SERVE]
        options = {"ready": answers(number), "pass_fds": given, "WORKERS": workers}
        with running(tmp_path, *command, **options):
            assert over_unix(path)
            assert f"listening  http://127.0.0.1:{number}\n" in (tmp_path / "out.txt").read_text()
        waiting = socket.create_connection(("127.0.0.1", number))  # between two lives
        waiting.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        with waiting, running(tmp_path, *command, **options):
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert path.exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sockets_are_taken_as_process_1_of_a_container(tmp_path, workers):
    """podman hands them over so, with LISTEN_PID=1; the server is a child of process 1."""
    unshare = namespace_of_processes()
    with socket.create_server(("127.0.0.1", 0)) as port:
        given, number = port.fileno(), port.getsockname()[1]
        script = f'export LISTEN_PID=1 LISTEN_FDS=1; exec "$@" 3<&{given}'
        command = ["bash", "-c", script, "bash", *unshare, *SERVE, "--port", str(free_port())]
        options = {"ready": answers(number), "pass_fds": [given], "WORKERS": workers}
        with running(tmp_path, *command, **options) as outer:
            (one,) = children(outer.pid)
            os.kill(one, signal.SIGTERM)
            assert outer.wait(15) == 0


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_a_host_that_no_name_can_be_is_an_error_and_no_traceback(tmp_path, host):
    done = failed_start(tmp_path, "--host", host)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: cannot listen on {host}:8000: ")


def test_what_is_no_listening_socket_is_refused(tmp_path):
    with socket.socket() as not_listening:
        given = not_listening.fileno()
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{given}'
        done = subprocess.run(
            ["bash", "-c", script, "bash", *SERVE],
            cwd=tmp_path,
            env=clean_environment(tmp_path, **AWS),
            pass_fds=[given],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert "Accept=no" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_has_the_mode_that_is_asked_for(tmp_path, workers):
    path = tmp_path / "p.sock"
    options = {"HOST": f"unix://{path}", "UNIX_SOCKET_MODE": "0660", "WORKERS": workers}
    with running(tmp_path, *SERVE, ready=lambda: path.exists() and over_unix(path), **options):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_a_socket_whose_owner_hangs_is_in_the_way_and_is_not_waited_for(tmp_path):
    path = tmp_path / "p.sock"
    with socket.socket(socket.AF_UNIX) as owner, contextlib.ExitStack() as clients:
        owner.bind(str(path))
        owner.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        done = failed_start(tmp_path, "--host", f"unix://{path}")
    assert done.returncode == 1
    assert f"cannot listen on unix://{path}: Address already in use" in done.stderr


def test_the_socket_of_the_next_process_stays(tmp_path):
    """An old process that still ends its answers has removed its own file, and no other."""
    path = tmp_path / "p.sock"
    ready = lambda: path.exists() and over_unix(path)  # noqa: E731
    options = {"ready": ready, "HOST": f"unix://{path}"}
    with running(tmp_path, *SERVE, **options) as old:
        held = socket.socket(socket.AF_UNIX)
        held.connect(str(path))
        held.sendall(b"GET /health")  # a request that has begun
        time.sleep(0.2)
        old.send_signal(signal.SIGTERM)
        wait_for(lambda: not path.exists(), "the file is removed before the end")
        with running(tmp_path, *SERVE, **options):
            held.sendall(b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert held.recv(65536).startswith(b"HTTP/1.1 200 ")
            held.close()
            old.wait(10)
            assert over_unix(path)


@needs_ipv6
def test_both_families_on_one_port_and_addresses_as_people_write_them(tmp_path):
    port = free_port()
    options = {"HOST": "[::]", "PORT": str(port), "LOG_FORMAT": "json"}
    with running(tmp_path, *SERVE, ready=answers(port), **options):
        assert status(f"http://[::1]:{port}/nothing") == 404
        logged = tmp_path / "err.txt"
        wait_for(lambda: "/nothing" in logged.read_text(), "the log is written")
        clients = set(re.findall(r'"client":"([^"]*)"', logged.read_text()))
        assert clients == {"127.0.0.1", "::1"}
        assert f"listening  http://[::]:{port}\n" in (tmp_path / "out.txt").read_text()
        taken = failed_start(tmp_path, "--host", "::1", "--port", str(port))
        assert f"cannot listen on [::1]:{port}: " in taken.stderr
        assert "another port: --port, or PORT" in taken.stderr


@needs_ipv6
def test_an_address_may_have_a_zone(tmp_path):
    port = free_port()
    found = Path("/proc/net/if_inet6").read_text() if Path("/proc/net/if_inet6").exists() else ""
    links = re.findall(r"^(fe80\w+) \w+ \w+ \w+ \w+ +(\S+)$", found, re.MULTILINE)
    if not links:
        # Where no interface has an address of its own link, an interface's name still counts.
        done = failed_start(tmp_path, "--host", "fe80::1%lo", "--port", str(port))
        assert f"cannot listen on [fe80::1%lo]:{port}: Cannot assign" in done.stderr
        return
    address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(links[0][0]))
    host = f"{address}%{links[0][1]}"

    def ready():
        with contextlib.suppress(OSError), socket.create_connection((host, port), 5) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            return client.recv(65536).startswith(b"HTTP/1.1 200 ")

    with running(tmp_path, *SERVE, ready=ready, HOST=host, PORT=str(port)):
        assert f"listening  http://[{host}]:{port}\n" in (tmp_path / "out.txt").read_text()


def test_the_simulator_of_a_demonstration_does_not_keep_the_port_open(tmp_path):
    port = free_port()
    command = [*SERVE, "--demo", "--port", str(port)]
    with (
        running(tmp_path, *command, ready=answers(port)) as one,
        socket.create_connection(("127.0.0.1", port)) as held,
    ):
        held.sendall(b"GET /health")  # a request that has begun
        time.sleep(0.2)
        one.send_signal(signal.SIGTERM)
        wait_for(lambda: refused(port), "the port is closed")
        held.sendall(b" HTTP/1.1\r\nhost: x\r\n\r\n")
        assert held.recv(65536).startswith(b"HTTP/1.1 200 ")


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


# Signals


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_reads_the_certificate_again_and_keeps_it_if_the_new_one_is_bad(tmp_path, workers):
    port, made = free_port(), program("openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(TLS / "server.pem", certificate)
    shutil.copy(TLS / "server.key", key)
    context = ssl.create_default_context(cafile=certificate)
    trusted = lambda: status(f"https://localhost:{port}/health", context) == 200  # noqa: E731
    options = {"TLS_CERT_FILE": str(certificate), "TLS_KEY_FILE": str(key), "WORKERS": workers}

    def seen():
        return {ssl.get_server_certificate(("127.0.0.1", port)) for _ in range(8)}

    logged = tmp_path / "err.txt"
    with running(tmp_path, *SERVE, "--port", str(port), ready=trusted, **options) as one:
        (first,) = seen()
        # Of another kind of key: OpenSSL would keep one of each in a context.
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        files = ["-keyout", key, "-out", certificate]
        make = [made, "req", "-x509", "-nodes", *kind, "-subj", "/CN=localhost", *files]
        subprocess.run(make, check=True, capture_output=True)
        plain = socket.create_connection(("localhost", port))
        with context.wrap_socket(plain, server_hostname="localhost") as kept:
            one.send_signal(signal.SIGHUP)
            renewed = wait_for(lambda: len(s := seen()) == 1 and s != {first} and s, "renewal")
            assert renewed == {certificate.read_text()}
            kept.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        certificate.write_text("nonsense")
        one.send_signal(signal.SIGHUP)
        count = int(workers)
        wait_for(lambda: logged.read_text().count("stays as it was") == count, "it is logged")
        assert seen() == renewed


def test_a_worker_that_dies_is_replaced_though_the_certificate_is_bad_by_now(tmp_path):
    port, certificate = free_port(), tmp_path / "cert.pem"
    shutil.copy(TLS / "server.pem", certificate)
    context = ssl.create_default_context(cafile=certificate)
    serves = lambda: status(f"https://localhost:{port}/health", context) == 200  # noqa: E731
    options = {"TLS_CERT_FILE": str(certificate), "TLS_KEY_FILE": str(TLS / "server.key")}
    command = [*SERVE, "--port", str(port), "--workers", "2"]
    with running(tmp_path, *command, ready=serves, **options) as one:
        before = wait_for(lambda: len(c := children(one.pid)) == 2 and c, "two workers")
        certificate.write_text("half of")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        logged = tmp_path / "err.txt"
        wait_for(lambda: logged.read_text().count("as it was at the start") == 2, "two others")
        assert all(serves() for _ in range(8))
        assert len(children(one.pid)) == 2


_AS_A_SHELL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_end_of_its_terminal_is_a_drain(tmp_path, workers):
    port, (master, slave) = free_port(), os.openpty()
    with (tmp_path / "err.txt").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _AS_A_SHELL, *SERVE[1:], "--port", str(port)],
            cwd=tmp_path,
            env=clean_environment(tmp_path, **AWS, STORE_URL="memory://", WORKERS=workers),
            stdin=slave,
            stdout=slave,
            stderr=err,
            start_new_session=True,
        )
    os.close(slave)
    try:
        wait_for(answers(port), "it serves", 20)
        with socket.create_connection(("127.0.0.1", port)) as held:
            held.sendall(b"GET /health")  # a request that has begun
            time.sleep(0.2)
            os.close(master)
            wait_for(lambda: refused(port), "the port is closed")
            held.sendall(b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert held.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def children(pid):
    text = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return {int(line) for line in text.stdout.split()}


_ORPHANS = """
import os, sys, time
# A grandchild whose parent goes first becomes the child of process 1.
for _ in range(5):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.2)
        os._exit(0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_as_process_1_it_reaps_and_passes_signals_on(tmp_path, workers):
    port = free_port()
    unshare = namespace_of_processes()
    (tmp_path / "orphans.py").write_text(_ORPHANS)
    first = [*unshare, sys.executable, tmp_path / "orphans.py", *SERVE[1:], "--port", str(port)]
    with running(tmp_path, *first, ready=answers(port), WORKERS=workers) as outer:
        (one,) = children(outer.pid)
        wait_for(lambda: len(children(one)) == 1 and "Z" not in states(children(one)), "no zombies")
        os.kill(one, signal.SIGHUP)
        wait_for(lambda: "SIGHUP" in (tmp_path / "err.txt").read_text(), "it is passed on")
        os.kill(one, signal.SIGTERM)
        assert outer.wait(15) == 0


_NO_ROOM = """
import errno, os, runpy
fork, asked = os.fork, 0
def sometimes_refused():
    global asked
    asked += 1
    if asked in (2, 4, 5):  # as a limit of processes does; root has none
        raise BlockingIOError(errno.EAGAIN, "no room")
    return fork()
os.fork = sometimes_refused
runpy.run_module("anthropic_bedrock_proxy", run_name="__main__", alter_sys=True)
"""


def test_a_worker_that_cannot_be_forked_is_tried_again_and_the_others_go_on(tmp_path):
    port = free_port()
    (tmp_path / "no_room.py").write_text(_NO_ROOM)
    command = [PYTHON, tmp_path / "no_room.py", "serve", "--port", str(port), "--workers", "2"]
    with running(tmp_path, *command, ready=answers(port)) as one:
        before = wait_for(lambda: len(c := children(one.pid)) == 2 and c, "two, one of them later")
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len(children(one.pid) - {min(before)}) == 2, "another worker")
        assert one.poll() is None
        logged = (tmp_path / "err.txt").read_text()
    assert logged.count("no worker could be started, trying again: no room") == 2


def namespace_of_processes():
    """A command that runs another as process 1: as root, or as one of a namespace of its own."""
    command = [program("unshare"), "--pid", "--fork", "--kill-child"]
    for more in ([], ["--user", "--map-root-user"]):
        if not subprocess.run(
            [*command, *more, "true"], check=False, capture_output=True
        ).returncode:
            return [*command, *more]
    return pytest.skip("namespaces of process ids are needed")


def states(pids):
    return {Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] for pid in pids}
