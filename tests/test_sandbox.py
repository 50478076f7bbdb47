"""The sandbox: each limit is broken for real, and the next call still works."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from service.domain.model import EgressRefused
from service.sandbox import Sandbox, SandboxDied, SandboxTimeout

MIB = 1024 * 1024


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(memory_bytes=256 * MIB, cpu_seconds=0.5, wall_seconds=5)
    yield sandbox
    sandbox.close()


def double(number: int) -> int:
    return 2 * number


def own_pid() -> int:
    return os.getpid()


def burn() -> None:
    while True:
        pass


def wait_forever() -> None:
    signal.pause()


def hoard() -> int:
    return len(bytearray(512 * MIB))


def fail() -> None:
    raise ValueError("a text the caller reads")


def die() -> None:
    os._exit(3)


def connect(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return "connected"


def loaded(*names: str) -> list[str]:
    return [name for name in names if name in sys.modules]


async def test_results_and_errors_come_back(sandbox: Sandbox) -> None:
    assert await sandbox.run(double, 21) == 42
    with pytest.raises(ValueError, match="a text the caller reads"):
        await sandbox.run(fail)
    assert await sandbox.run(own_pid) != os.getpid()


async def test_cpu_limit_is_for_each_call(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxTimeout, match="CPU"):
        await sandbox.run(burn)
    assert await sandbox.run(double, 1) == 2


async def test_wall_limit() -> None:
    sandbox = Sandbox(wall_seconds=0.3)
    try:
        assert await sandbox.run(double, 1) == 2
        with pytest.raises(SandboxTimeout, match=r"0\.3 s"):
            await sandbox.run(wait_forever)
        assert await sandbox.run(double, 2) == 4
    finally:
        sandbox.close()


async def test_memory_limit(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxDied, match="memory"):
        await sandbox.run(hoard)
    assert await sandbox.run(double, 3) == 6


async def test_a_crash_ends_one_call_only() -> None:
    sandbox = Sandbox(workers=2)
    try:
        answers = await asyncio.gather(
            sandbox.run(double, 1), sandbox.run(die), sandbox.run(double, 2), return_exceptions=True
        )
        assert answers[0] == 2
        assert isinstance(answers[1], SandboxDied)
        assert "exit code 3" in str(answers[1])
        assert answers[2] == 4
    finally:
        sandbox.close()


async def test_an_idle_child_that_is_killed_is_replaced(sandbox: Sandbox) -> None:
    pid = await sandbox.run(own_pid)
    os.kill(pid, signal.SIGKILL)
    other = pid
    while other == pid:
        try:
            other = await sandbox.run(own_pid)
        except SandboxDied:  # the call that found the child dead
            continue
    assert other != pid


async def test_a_cancelled_call_frees_its_child(sandbox: Sandbox) -> None:
    assert await sandbox.run(double, 1) == 2
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sandbox.run(wait_forever)
    assert await sandbox.run(double, 4) == 8


async def test_close_is_quick_and_ends_calls_under_way() -> None:
    sandbox = Sandbox()
    pid = await sandbox.run(own_pid)
    call = asyncio.ensure_future(sandbox.run(wait_forever))
    await asyncio.sleep(0)
    started = time.monotonic()
    sandbox.close()
    assert time.monotonic() - started < 1.0
    with pytest.raises(SandboxDied):
        await call
    assert not is_alive(pid)
    with pytest.raises(SandboxDied, match="closed"):
        await sandbox.run(double, 1)


async def test_without_an_allow_list_there_is_no_network(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(EgressRefused, match="no connections"):
        await sandbox.run(connect, server.getsockname()[1])


async def test_with_an_allow_list_the_guard_decides() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        guarded, allowed = Sandbox(egress_allow=[]), Sandbox(egress_allow=[ip_network("127.0.0.0/8")])
        try:
            with pytest.raises(EgressRefused, match=r"egress\.allow"):
                await guarded.run(connect, port)
            assert await allowed.run(connect, port) == "connected"
        finally:
            guarded.close()
            allowed.close()


PARENT = """
import asyncio, feedparser, sqlmodel
from service.sandbox import Sandbox
from tests.test_sandbox import loaded, own_pid, wait_forever

async def main():
    sandbox = Sandbox()
    print(await sandbox.run(loaded, "sqlmodel", "aiohttp", "feedparser"), flush=True)
    print(await sandbox.run(own_pid), flush=True)
    await sandbox.run(wait_forever)

if __name__ == "__main__":
    asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_children_die_with_a_killed_parent_and_do_not_import_its_program(tmp_path: object) -> None:
    script = os.path.join(str(tmp_path), "program.py")
    with open(script, "w") as file:
        file.write(textwrap.dedent(PARENT))
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "[]"
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait(5)
        deadline = time.monotonic() + 5
        while is_alive(child) and time.monotonic() < deadline:
            os.sched_yield()
        assert not is_alive(child)
