"""Real servers in the shapes that production has: replicas with Sentinels, and Clusters."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from service.cli import embedded
from service.cli.children import end, spawn
from tests.harness import PATIENCE, free_port

PASSWORD = "failover"
PRIMARY = "mymaster"
SLOTS = 16_384
_SMALL = [
    "maxmemory 64mb",
    "appendfsync everysec",
    f"masterauth {PASSWORD}",
    "repl-diskless-sync-delay 0",
]


@dataclass(slots=True)
class Node:
    """A server, and a client of it."""

    port: int
    server: embedded.EmbeddedValkey
    client: "Redis" = field(repr=False)

    def ask(self, *parts: str | int) -> Any:
        return self.client.execute_command(*parts)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()


@contextmanager
def running(folder: Path, *extra: str) -> Iterator[Node]:
    port = free_port()
    lines = [*_SMALL, *extra]
    with embedded.start(folder / str(port), password=PASSWORD, port=port, extra=lines) as server:
        server.wait_ready()
        with Redis(port=port, password=PASSWORD, decode_responses=True) as client:
            yield Node(port, server, client)


def until(check: Callable[[], object], patience: float = PATIENCE) -> float:
    """Waits until it is true; gives the seconds that it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() < began + patience, f"not so after {patience} s"
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Watched:
    """A primary with replicas, and the Sentinels that watch it."""

    url: str
    primary: Node
    replicas: list[Node]

    def promoted(self) -> bool:
        return any(replica.ask("ROLE")[0] == "master" for replica in self.replicas)


@contextmanager
def watched(folder: Path, *, replicas: int, sentinels: int = 3) -> Iterator[Watched]:
    with ExitStack() as stack:
        primary = stack.enter_context(running(folder))
        copies = [
            stack.enter_context(running(folder, f"replicaof 127.0.0.1 {primary.port}"))
            for _ in range(replicas)
        ]
        until(lambda: all(_is_synced(copy) for copy in copies))
        ports = [
            stack.enter_context(_sentinel(folder, primary.port, sentinels // 2 + 1))
            for _ in range(sentinels)
        ]
        until(lambda: all(_sees(port, replicas, sentinels - 1) for port in ports))
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        yield Watched(f"redis+sentinel://:{PASSWORD}@{hosts}/{PRIMARY}", primary, copies)


def _is_synced(node: Node) -> bool:
    info: Any = node.client.info("replication")
    return bool(info.get("master_link_status") == "up")


@contextmanager
def _sentinel(folder: Path, primary: int, quorum: int) -> Iterator[int]:
    port = free_port()
    config = folder / f"sentinel{port}.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {PRIMARY} 127.0.0.1 {primary} {quorum}",
        f"sentinel auth-pass {PRIMARY} {PASSWORD}",
        f"sentinel down-after-milliseconds {PRIMARY} 500",
        f"sentinel failover-timeout {PRIMARY} 3000",
    ]
    config.write_text("\n".join(lines) + "\n")
    process = spawn(
        [str(embedded.find_server()), str(config), "--sentinel"],
        env={"LC_ALL": "C"},
        log=folder / f"sentinel{port}.log",
    )
    try:
        until(lambda: _listens(port))
        yield port
    finally:
        end(process, 5)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _sees(sentinel: int, replicas: int, others: int) -> bool:
    with Redis(port=sentinel, decode_responses=True) as client:
        state: Any = client.sentinel_master(PRIMARY)
        return bool(state["num-slaves"] == replicas and state["num-other-sentinels"] == others)


@dataclass(frozen=True, slots=True)
class Cluster:
    """``replicas[i]`` follows ``masters[i]``."""

    url: str
    masters: list[Node]
    replicas: list[Node]

    def holder(self, slot: int) -> Node:
        ranges = self.masters[0].ask("CLUSTER", "SLOTS")
        (port,) = (found[2][1] for found in ranges if found[0] <= slot <= found[1])
        return next(node for node in self.masters if node.port == port)


@contextmanager
def clustered(folder: Path, *, masters: int = 3, replicas: int = 0) -> Iterator[Cluster]:
    """``replicas``: of each master; 0 or 1."""
    with ExitStack() as stack:
        options = ("cluster-enabled yes", "cluster-node-timeout 1000")
        nodes = [
            stack.enter_context(running(folder, *options)) for _ in range(masters * (1 + replicas))
        ]
        first, rest = nodes[:masters], nodes[masters:]
        for number, node in enumerate(nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(nodes):
            node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
            if number < masters:
                start, stop = SLOTS * number // masters, SLOTS * (number + 1) // masters
                node.ask("CLUSTER", "ADDSLOTSRANGE", start, stop - 1)
        # Each must know all slots: redis-py leaks its connections when it finds too few.
        until(lambda: all(_is_whole(node, len(nodes)) for node in nodes))
        for master, replica in zip(first, rest, strict=False):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
        until(lambda: all(_is_synced(replica) for replica in rest))
        until(lambda: all(_knows_replicas(node, len(rest)) for node in nodes))
        url = f"redis+cluster://:{PASSWORD}@127.0.0.1:{nodes[0].port}"
        yield Cluster(url, first, rest)


def _is_whole(node: Node, nodes: int) -> bool:
    covered = sum(last - first + 1 for first, last, *_ in node.ask("CLUSTER", "SLOTS"))
    state = str(node.ask("CLUSTER", "INFO"))
    return f"cluster_known_nodes:{nodes}" in state and covered == SLOTS and _state_ok(state)


def _state_ok(state: str) -> bool:
    return "cluster_state:ok" in state


def _knows_replicas(node: Node, count: int) -> bool:
    return sum(len(found) - 3 for found in node.ask("CLUSTER", "SLOTS")) == count
