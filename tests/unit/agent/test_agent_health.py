import asyncio
import socket

import pytest

from penstock.agent import health
from penstock.agent.options import parse
from penstock.errors import ConfigurationError


async def _get(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, body = answer.split("\r\n\r\n", 1)
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/live", 200, "alive\n"),
        ("/ready", 503, "no server\n"),
        ("/metrics", 200, "penstock_agent_attempts_live 3\n"),
        ("/elsewhere", 404, "There are /live, /ready and /metrics.\n"),
    ],
)
def test_each_probe_is_answered(path: str, status: int, body: str) -> None:
    async def scenario() -> tuple[int, str]:
        server = await health.serve(
            0, lambda: (True, "alive"), lambda: (False, "no server"), lambda: {"attempts_live": 3.0}
        )
        async with server, asyncio.timeout(120):
            return await _get(server.sockets[0].getsockname()[1], path)

    assert asyncio.run(scenario()) == (status, body)


def test_a_client_that_talks_nonsense_is_sent_away_and_others_are_served() -> None:
    async def scenario() -> int:
        server = await health.serve(0, lambda: (True, "alive"), lambda: (True, ""), dict)
        async with server, asyncio.timeout(120):
            port = server.sockets[0].getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as rude:
                rude.sendall(b"\xff\xfe\r\n\r\n")
            return (await _get(port, "/live"))[0]

    assert asyncio.run(scenario()) == 200


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"
        ) as told:
            asyncio.run(health.serve(port, lambda: (True, ""), lambda: (True, ""), dict))
    assert "--health-port" in (told.value.hint or "")


def test_probes_from_outside_a_pod_are_heard_where_it_is_said_so() -> None:
    async def hosts() -> list[str]:
        found = []
        for host in ("127.0.0.1", "0.0.0.0"):
            server = await health.serve(0, lambda: (True, "alive"), lambda: (True, ""), dict, host)
            found.append(server.sockets[0].getsockname()[0])
            server.close()
            await server.wait_closed()
        return found

    assert asyncio.run(hosts()) == ["127.0.0.1", "0.0.0.0"]
    assert parse(["-q", "a"]).health_host == "127.0.0.1"
    assert parse(["-q", "a", "--health-host", "0.0.0.0"]).health_host == "0.0.0.0"
