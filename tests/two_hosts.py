"""Two hosts on one machine: network namespaces with a cable between them (Linux, iproute2, root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def ip(*arguments: str) -> None:
    """iproute2's command."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    """One of the two.

    Attributes:
        address: at which the other one reaches it.
    """

    def __init__(self, name: str, interface: str, address: str) -> None:
        self.name, self.interface, self.address = name, interface, address

    def start(self, command: list[Any], log: Path, **environment: str) -> subprocess.Popen[str]:
        """A process there, in a group of its own."""
        # (A host's name may stand for its loopback, to which the other one cannot connect.)
        own = {"GLOO_SOCKET_IFNAME": self.interface, "OMP_NUM_THREADS": "1", **environment}
        with log.open("w") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *map(str, command)],
                stdout=file, stderr=file, text=True, start_new_session=True, env={**os.environ, **own},
            )  # fmt: skip

    def cut(self) -> None:
        """Pull the cable out."""
        ip("-n", self.name, "link", "set", self.interface, "down")

    def mend(self) -> None:
        """Put it in again."""
        ip("-n", self.name, "link", "set", self.interface, "up")

    def die(self) -> None:
        """Kill whatever runs there."""
        done = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        for number in done.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(number), 9)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Both, while they are needed.

    Raises:
        OSError: there is no iproute2.
        subprocess.CalledProcessError: namespaces cannot be made here.
    """
    if shutil.which("ip") is None:
        raise OSError("iproute2 is not installed")
    own = os.getpid() % 10_000
    hosts = [Host(f"calib{own}{x}", f"v{own}{x}", f"10.78.0.{i}") for i, x in enumerate("ab", 1)]
    try:
        for host in hosts:
            ip("netns", "add", host.name)
        a, b = hosts
        ip("link", "add", a.interface, "netns", a.name, "type", "veth", "peer", "name", b.interface,
           "netns", b.name)  # fmt: skip
        for host in hosts:
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", host.interface)
            for link in ("lo", host.interface):
                ip("-n", host.name, "link", "set", link, "up")
        yield a, b
    finally:
        for host in hosts:
            host.die()
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
