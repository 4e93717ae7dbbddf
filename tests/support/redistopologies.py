"""Several real Redis servers: a primary and a replica with a Sentinel, and a cluster of three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ports import free_port
from redisprocess import CA, RedisProcess

SLOTS = 16_384


class Clustered:
    """Three primaries, in the order of their hash slots, and a replica of each."""

    def __init__(self, nodes: list[RedisProcess], *, tls: bool):
        self.nodes, self.primaries = nodes, nodes[:3]
        first, *_ = (node.tls_port if tls else node.port for node in nodes)
        if tls:
            self.url = f"rediss+cluster://localhost:{first}?ssl_ca_certs={CA}"
        else:
            self.url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{first}"

    def owner_of(self, key: str) -> int:
        """The primary that has the key's slot, by its number."""
        slot = int(self.primaries[0].tell("CLUSTER", "KEYSLOT", key)[1:])
        return slot * 3 // SLOTS


class Watched:
    """A primary, its replica, and the Sentinel that makes it the primary when the first is gone."""

    def __init__(
        self, primary: RedisProcess, replica: RedisProcess, sentinel: RedisProcess, *, tls: bool
    ) -> None:
        self.primary, self.replica, self.sentinel = primary, replica, sentinel
        port = sentinel.tls_port if tls else sentinel.port
        # Nobody answers at the first address: the next one is asked.
        self.url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/mymaster/0"
        if tls:
            self.url = f"{self.url.replace('redis', 'rediss', 1)}?ssl_ca_certs={CA}"


@contextmanager
def watched(
    folder: Path, *, tls: bool = False, password: str = "", sentinel_password: str = ""
) -> Iterator[Watched]:
    """Starts them; the Sentinel takes half a second to believe that the primary is gone."""
    options = ["--tls-replication", "yes"] if tls else []
    with RedisProcess(*options, tls=tls) as primary:
        port = primary.tls_port if tls else primary.port
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor mymaster 127.0.0.1 {port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        with (
            RedisProcess(*options, "--replicaof", f"127.0.0.1 {port}", tls=tls) as replica,
            RedisProcess(*options, "--sentinel", tls=tls, config=config) as sentinel,
        ):
            replica.wait_until("INFO replication", b"master_link_status:up")
            sentinel.wait_until("INFO sentinel", b"slaves=1")
            if password:
                primary.tell("CONFIG", "SET", "requirepass", password)
                sentinel.tell("SENTINEL", "SET", "mymaster", "auth-pass", password)
            if sentinel_password:
                sentinel.tell("ACL", "SETUSER", "default", f">{sentinel_password}")
            yield Watched(primary, replica, sentinel, tls=tls)


@contextmanager
def clustered(folder: Path, *, tls: bool = False) -> Iterator[Clustered]:
    """Starts three primaries that share the hash slots, then a replica of each."""
    with ExitStack() as stack:
        nodes, buses = [], []
        for number in range(6):
            bus = free_port()
            buses.append(bus)
            options = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
            options += ["--cluster-node-timeout", "1000", "--dir", str(folder)]
            options += ["--cluster-config-file", f"nodes-{number}.conf"]
            if tls:
                options += ["--tls-cluster", "yes", "--tls-replication", "yes"]
            nodes.append(stack.enter_context(RedisProcess(*options, tls=tls)))
        primaries, replicas = nodes[:3], nodes[3:]
        for number, node in enumerate(primaries):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            assert node.tell("CLUSTER", "ADDSLOTSRANGE", str(first), str(last)) == b"+OK"
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            port = node.tls_port if tls else node.port
            assert nodes[0].tell("CLUSTER", "MEET", "127.0.0.1", str(port), str(bus)) == b"+OK"
        for node in nodes:
            node.wait_until("CLUSTER INFO", b"cluster_known_nodes:6")
            node.wait_until("CLUSTER INFO", b"cluster_state:ok")
        for primary, replica in zip(primaries, replicas, strict=True):
            name = primary.tell_all("CLUSTER", "MYID").split()[1].decode()
            assert replica.tell("CLUSTER", "REPLICATE", name) == b"+OK"
            replica.wait_until("INFO replication", b"master_link_status:up")
        yield Clustered(nodes, tls=tls)
