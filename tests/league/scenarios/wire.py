"""The network between hosts of a scenario: packets in user space, lost and delayed as it is asked to.

`python -m tests.league.scenarios.wire SUBNET DEVICE NAMESPACE…`

Each host is a network namespace with a TUN device; its packets come here and are handed to the host with the
destination's address, or not. Kernels without netem (`CONFIG_NET_SCH_NETEM`) cannot do that by themselves.
What connections make of lost packets is the kernel's own TCP, as on any network.

Host `k` of namespace number `k` (from 1) has the address SUBNET.k; the machine that carries the scenario out
is SUBNET.254, and nothing of it is ever lost. Orders come as JSON lines on standard input, and each is
acknowledged by a line on standard output:

    {"loss": 0.3, "delay_ms": 200, "hosts": [1, 2]}    packets from and to these; others as before
    {"groups": [[1, 2, 3], [4]]}                       packets between groups are lost; [] ends it
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.core.clock import SystemClock

CLOCK: Final = SystemClock()
TUN_SET_INTERFACE: Final = 0x400454CA
TUN_WITHOUT_HEADER: Final = 0x1001
"""`IFF_TUN | IFF_NO_PI` of `if_tun.h`."""
NEW_NETWORK: Final = 0x40000000
"""`CLONE_NEWNET` of `sched.h`."""
MACHINE: Final = 254
PACKET_SIZE_MAX_BYTES: Final = 65_536
DELAYED_MAX: Final = 50_000
READS_MAX: Final = 64
"""Packets of a host that are read before it is another one's turn."""


class Host:
    """The end of a host's TUN device."""

    def __init__(self, number: int, device: int) -> None:
        self.number = number
        self.device = device
        self.loss = 0.0
        self.delay_s = 0.0
        self.group = 0


class Wire:
    """Hands packets from host to host."""

    def __init__(self, hosts: dict[int, Host]) -> None:
        self._hosts = hosts
        self._late: list[tuple[float, int, int, bytes]] = []
        """Packets by the time when they are due: time, order, device, bytes."""
        self._count = 0
        self._draw = random.Random(15)

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out an order."""
        if "groups" in order:
            for host in self._hosts.values():
                host.group = 0
            for number, group in enumerate(order["groups"], 1):
                for one in group:
                    self._hosts[one].group = number
        for one in order.get("hosts", ()):
            self._hosts[one].loss = order["loss"]
            self._hosts[one].delay_s = order["delay_ms"] / 1000

    def read(self, host: Host) -> None:
        """Take what a host sends."""
        for _ in range(READS_MAX):
            try:
                packet = os.read(host.device, PACKET_SIZE_MAX_BYTES)
            except BlockingIOError:
                return
            self._route(host, packet)

    def _route(self, sender: Host, packet: bytes) -> None:
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return
        receiver = self._hosts.get(packet[19])
        if receiver is None:
            return
        if MACHINE in (sender.number, receiver.number):
            write(receiver.device, packet)
            return
        loss = max(sender.loss, receiver.loss)
        if sender.group != receiver.group or (loss and self._draw.random() < loss):
            return
        delay_s = max(sender.delay_s, receiver.delay_s)
        if not delay_s:
            write(receiver.device, packet)
        elif len(self._late) < DELAYED_MAX:
            self._count += 1
            heapq.heappush(self._late, (CLOCK.monotonic() + delay_s, self._count, receiver.device, packet))

    def deliver(self) -> float | None:
        """Deliver what is due; the time until the next is, in seconds."""
        while self._late:
            wait_s = self._late[0][0] - CLOCK.monotonic()
            if wait_s > 0:
                return wait_s
            write(*heapq.heappop(self._late)[2:])
        return None


def write(device: int, packet: bytes) -> None:
    """Hand over a packet; a host whose queue is full loses it, as a network card does."""
    try:
        os.write(device, packet)
    except OSError:
        return


def open_device(name: str, namespace: str | None) -> int:
    """A new TUN device, in a namespace or here."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if namespace is not None:
            other = os.open(Path("/var/run/netns") / namespace, os.O_RDONLY)
            assert libc.setns(other, NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
            os.close(other)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUN_SET_INTERFACE, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
        assert libc.setns(own, NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(own)
    return device


def connect_host(subnet: str, name: str, number: int, namespace: str | None) -> Host:
    """A host with its address."""
    host = Host(number, open_device(name, namespace))
    at = () if namespace is None else ("-n", namespace)
    for command in (("addr", "add", f"{subnet}.{number}/24", "dev", name), ("link", "set", name, "up")):
        subprocess.run(["ip", *at, *command], check=True)  # noqa: S607
    return host


def main(subnet: str, device: str, *namespaces: str) -> None:
    """Serve until standard input ends."""
    hosts = {MACHINE: connect_host(subnet, device, MACHINE, None)}
    for number, namespace in enumerate(namespaces, 1):
        hosts[number] = connect_host(subnet, "wire", number, namespace)
    wire = Wire(hosts)
    with selectors.DefaultSelector() as selector:
        for host in hosts.values():
            selector.register(host.device, selectors.EVENT_READ, host)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
        os.write(sys.stdout.fileno(), b"ready\n")
        while True:
            for key, _ in selector.select(wire.deliver()):
                if key.data is not None:
                    wire.read(key.data)
                    continue
                line = os.read(key.fd, PACKET_SIZE_MAX_BYTES)
                if not line:
                    return
                wire.obey(msgspec.json.decode(line))
                os.write(sys.stdout.fileno(), b"done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
