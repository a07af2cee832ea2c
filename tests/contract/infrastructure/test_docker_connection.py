"""The line to a real engine: over its socket, with mutual TLS, over ssh, by contexts of the docker program; and broken."""

import asyncio
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import docker_daemon
import docker_engine
import pytest
import sshd
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock import clock
from penstock.blocks.docker_address import EngineAddress, engine_address
from penstock.errors import ConfigurationError, NotReachable
from penstock.infrastructure.docker import connection
from penstock.infrastructure.docker.connection import THREADS, Engine
from penstock.testing import Fault, FaultProxy, wait_until


@pytest.fixture(scope="module")
def engine() -> docker_engine.Engine:
    return docker_engine.engine()


def with_engine(address: EngineAddress | str, story: Callable[[Engine], Awaitable[Any]]) -> Any:
    """What `story` returns of a connection that is closed afterwards."""

    async def told() -> Any:
        line = Engine(address if isinstance(address, EngineAddress) else EngineAddress(address, "DOCKER_HOST"))
        try:
            return await asyncio.wait_for(story(line), 240)
        finally:
            await line.close()

    return asyncio.run(told())


def identity(address: EngineAddress | str) -> Any:
    return with_engine(address, lambda line: line.id())


def unreachable(address: EngineAddress | str) -> NotReachable:
    with pytest.raises(NotReachable) as caught:
        identity(address)
    return caught.value


class TestOneEngine:
    def test_it_says_who_it_is_and_what_it_speaks(self, engine: docker_engine.Engine) -> None:
        async def story(line: Engine) -> None:
            with engine.client() as client:
                info = client.info()
            assert await line.id() == info["ID"]
            assert line.host == info["Name"]
            assert line.local == (info["Name"] == os.uname().nodename)
            assert await line.api_version() >= (1, 24)

        with_engine(engine.address, story)

    def test_calls_run_at_once(self, engine: docker_engine.Engine) -> None:
        meeting = threading.Barrier(8)

        async def story(line: Engine) -> list[Any]:
            return await asyncio.gather(*(line.call(lambda _: meeting.wait(90), seconds=120) for _ in range(8)))

        assert sorted(with_engine(engine.address, story)) == list(range(8))

    def test_many_calls_wait_for_their_turn_without_being_given_up(
        self, engine: docker_engine.Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        turns = threading.Event()

        async def story(line: Engine) -> list[Any]:
            await line.id()
            first = [asyncio.create_task(line.call(lambda _: turns.wait(120), seconds=150)) for _ in range(THREADS)]
            await asyncio.sleep(0)
            monkeypatch.setattr(connection, "_SLACK", 0.0)
            others = [asyncio.create_task(line.call(lambda _: True, seconds=0.2)) for _ in range(20 * THREADS)]
            await asyncio.sleep(0.5)  # longer than a call may take that has its turn
            monkeypatch.setattr(connection, "_SLACK", 120.0)  # and now it may take its time
            turns.set()
            return await asyncio.gather(*first, *others)

        assert all(with_engine(engine.address, story))

    def test_what_the_engine_judges_stays_its_own_error(self, engine: docker_engine.Engine) -> None:
        async def story(line: Engine) -> None:
            with pytest.raises(line.APIError) as caught:
                await line.call(lambda client: client.inspect_container("no-such-one"), seconds=10)
            assert caught.value.status_code == 404

        with_engine(engine.address, story)

    def test_a_closed_line_is_not_reachable(self, engine: docker_engine.Engine) -> None:
        async def story(line: Engine) -> None:
            await line.close()
            with pytest.raises(NotReachable):
                await line.ask_id()

        with_engine(engine.address, story)


class TestWhatBreaks:
    def test_a_socket_that_is_not_there_is_named_with_the_cure(self, tmp_path: Path) -> None:
        error = unreachable(f"unix://{tmp_path}/docker.sock")
        assert f"{tmp_path}/docker.sock" in error.message
        assert "no such file" in error.message
        assert "DOCKER_HOST" in str(error.hint)

    def test_a_port_where_nobody_listens_is_named(self) -> None:
        error = unreachable("tcp://127.0.0.1:1")
        assert "tcp://127.0.0.1:1" in error.message
        assert "connection refused" in error.message

    def test_what_is_no_engine_is_not_taken_for_one(self) -> None:
        with docker_engine.registry() as registry:
            assert "does not answer" in unreachable(f"tcp://{registry.address}").message

    def test_an_engine_that_says_nothing_is_given_up_in_time(self, engine: docker_engine.Engine) -> None:
        with FaultProxy(engine.address) as proxy:

            async def story(line: Engine) -> None:
                await line.id()
                proxy.partition()
                with pytest.raises(NotReachable, match=r"in time|within"):
                    await line.call(lambda client: client.info(), seconds=0.3)
                proxy.partition(False)
                await line.ask_id()

            with_engine(f"tcp://127.0.0.1:{proxy.port}", story)

    def test_an_engine_that_comes_back_is_spoken_to_again(self, engine: docker_engine.Engine) -> None:
        with FaultProxy(engine.address) as proxy:

            async def story(line: Engine) -> None:
                before = await line.id()
                proxy.refuse()
                with pytest.raises(NotReachable, match="refused"):
                    await line.ask_id()
                proxy.refuse(False)
                assert await line.ask_id() == before

            with_engine(f"tcp://127.0.0.1:{proxy.port}", story)

    @pytest.mark.parametrize("kind", ["cut", "drop_answer", "cut_answer", "status"])
    def test_faults_of_the_way_are_not_the_engines_word(self, engine: docker_engine.Engine, kind: Any) -> None:
        with FaultProxy(engine.address) as proxy:

            async def story(line: Engine) -> None:
                await line.id()
                proxy.add(Fault(kind, times=1))
                with pytest.raises(NotReachable):
                    await line.call(lambda client: client.info(), seconds=10)
                await line.call(lambda client: client.info(), seconds=10)

            with_engine(f"tcp://127.0.0.1:{proxy.port}", story)

    def test_an_engine_that_was_exchanged_for_an_older_one_is_asked_anew(self, engine: docker_engine.Engine) -> None:
        with FaultProxy(engine.address) as proxy:
            body = b'{"message": "client version 1.99 is too new. Maximum supported API version is 1.41"}'

            async def story(line: Engine) -> None:
                await line.id()
                proxy.add(Fault("status", status=400, body=body, times=1))
                await line.call(lambda client: client.info(), seconds=10)
                assert proxy.injected["status"] == 1

            with_engine(f"tcp://127.0.0.1:{proxy.port}", story)


class TestTLS:
    def test_both_sides_prove_who_they_are(self, engine: docker_engine.Engine, tmp_path: Path) -> None:
        make_certificates(tmp_path)
        with tls_before(engine.address, tmp_path) as port:
            environ = {
                "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": str(tmp_path),
            }
            assert identity(engine_address(environ, tmp_path)) == identity(engine.address)

    def test_an_engine_whose_certificate_nobody_knows_is_not_spoken_to(
        self, engine: docker_engine.Engine, tmp_path: Path
    ) -> None:
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        make_certificates(ours)
        make_certificates(theirs)
        shutil.copy(theirs / "ca.pem", ours / "ca.pem")
        with tls_before(engine.address, ours) as port:
            environ = {
                "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": str(ours),
            }
            (ours / "ca.pem").write_bytes((theirs / "ca.pem").read_bytes())
            error = unreachable(engine_address(environ, tmp_path))
        assert "certificate verify failed" in error.message.lower()

    def test_without_a_certificate_of_ours_it_does_not_let_us_in(
        self, engine: docker_engine.Engine, tmp_path: Path
    ) -> None:
        make_certificates(tmp_path)
        with tls_before(engine.address, tmp_path) as port:
            (tmp_path / "cert.pem").unlink()
            (tmp_path / "key.pem").unlink()
            environ = {
                "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": str(tmp_path),
            }
            assert "certificate" in str(unreachable(engine_address(environ, tmp_path)).hint)


class TestSSH:
    @pytest.fixture
    def server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
        """One that this user's ssh trusts and has a key for."""
        if shutil.which("docker") is None or sshd.find_sshd() is None:
            pytest.skip("needs the docker program and OpenSSH's server")
        with sshd.sshd() as running:
            known = tmp_path / "known_hosts"
            known.write_text(f"[127.0.0.1]:{running.port} {running.host_key}\n")
            config = f"IdentityFile {running.key_file}\nIdentitiesOnly yes\nUserKnownHostsFile {known}\n"
            (tmp_path / "ssh_config").write_text(config)
            wrapper = tmp_path / "ssh"
            wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"\n')
            wrapper.chmod(0o755)
            monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
            yield running

    def test_the_docker_program_of_the_other_side_passes_us_on(
        self, engine: docker_engine.Engine, server: sshd.Server
    ) -> None:
        if not engine.address.startswith("unix:///var/run/"):
            pytest.skip("the docker program of the other side has no engine by itself")
        address = f"ssh://{server.username}@127.0.0.1:{server.port}"

        async def story(line: Engine) -> list[Any]:
            return [await line.id(), *await asyncio.gather(*(line.call(len_images, seconds=20) for _ in range(3)))]

        assert with_engine(address, story)[0] == identity(engine.address)
        assert not ssh_children(), "no ssh goes on after the line was closed"

    def test_a_path_names_another_socket_over_there(self, engine: docker_engine.Engine, server: sshd.Server) -> None:
        socket = engine.address.removeprefix("unix://")
        assert identity(f"ssh://{server.username}@127.0.0.1:{server.port}{socket}") == identity(engine.address)

    def test_what_ssh_says_is_told(self, server: sshd.Server, tmp_path: Path) -> None:
        (tmp_path / "known_hosts").write_text("")
        error = unreachable(f"ssh://{server.username}@127.0.0.1:{server.port}")
        assert "Host key verification failed" in error.message
        assert "ssh 127.0.0.1" in str(error.hint)


class TestContexts:
    @pytest.fixture
    def environ(self, tmp_path: Path) -> dict[str, str]:
        if shutil.which("docker") is None:
            pytest.skip("needs the docker program")
        return {"DOCKER_CONFIG": str(tmp_path / "config"), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def docker(self, environ: dict[str, str], *arguments: str) -> None:
        subprocess.run(["docker", *arguments], env=environ, check=True, capture_output=True)

    def test_those_of_the_docker_program_are_found(
        self, engine: docker_engine.Engine, environ: dict[str, str], tmp_path: Path
    ) -> None:
        self.docker(environ, "context", "create", "work", "--docker", f"host={engine.address}")
        assert identity(engine_address({**environ, "DOCKER_CONTEXT": "work"}, tmp_path)) == identity(engine.address)
        assert engine_address(environ, tmp_path).source == "the machine's own socket"
        self.docker(environ, "context", "use", "work")
        assert engine_address(environ, tmp_path).url == engine.address
        assert engine_address({**environ, "DOCKER_CONTEXT": "default"}, tmp_path).source == "the machine's own socket"

    def test_their_certificates_are_used(
        self, engine: docker_engine.Engine, environ: dict[str, str], tmp_path: Path
    ) -> None:
        make_certificates(tmp_path)
        files = ",".join(f"{word}={tmp_path}/{word}.pem" for word in ("ca", "cert", "key"))
        with tls_before(engine.address, tmp_path) as port:
            self.docker(environ, "context", "create", "far", "--docker", f"host=tcp://127.0.0.1:{port},{files}")
            assert identity(engine_address({**environ, "DOCKER_CONTEXT": "far"}, tmp_path)) == identity(engine.address)

    def test_one_that_is_not_there_is_an_error_with_the_nearest(self, environ: dict[str, str], tmp_path: Path) -> None:
        self.docker(environ, "context", "create", "staging", "--docker", "host=tcp://10.0.0.1:2376")
        with pytest.raises(ConfigurationError, match="Did you mean 'staging'"):
            engine_address({**environ, "DOCKER_CONTEXT": "stagin"}, tmp_path)


def test_podman_is_an_engine_with_an_identity_that_stays() -> None:
    podman = shutil.which("podman")
    if podman is None or os.geteuid() != 0:
        pytest.skip("needs podman and root")
    with tempfile.TemporaryDirectory(
        prefix="penstock-", ignore_cleanup_errors=True
    ) as folder:  # it takes short paths only
        storage = [f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/tmp", "--storage-driver=vfs"]
        address = f"unix://{folder}/podman.sock"
        with (Path(folder) / "output").open("wb") as output:
            service = subprocess.Popen(
                [podman, *storage, "system", "service", "--time=0", address], stdin=subprocess.DEVNULL, stderr=output
            )
        try:
            wait_until(lambda: docker_daemon.answers(address), timeout=120, message="podman did not start")
            first, second = identity(address), identity(address)
            assert first == second
            assert f"{folder}/root" in first
        finally:
            service.terminate()
            with suppress(subprocess.TimeoutExpired):
                service.wait(60)
            service.kill()
            service.wait()


def len_images(client: Any) -> int:
    return len(client.images())


def ssh_children() -> list[int]:
    """The pids of our children that are an ssh."""
    import psutil

    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == "ssh":
                found.append(child.pid)
    return found


def make_certificates(folder: Path) -> None:
    """An authority, and what it has signed for 127.0.0.1 and for a client, as the docker program names its files."""
    folder.mkdir(exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penstock test authority")])

    def sign(name: x509.Name, key: Any, *, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(clock.now() - timedelta(days=1))
            .not_valid_after(clock.now() + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(authority, hashes.SHA256())
        )

    (folder / "ca.pem").write_bytes(sign(issuer, authority, ca=True).public_bytes(serialization.Encoding.PEM))
    for certificate, key_file in (("cert.pem", "key.pem"), ("server.pem", "server-key.pem")):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, certificate)])
        (folder / certificate).write_bytes(sign(name, key, ca=False).public_bytes(serialization.Encoding.PEM))
        (folder / key_file).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@contextmanager
def tls_before(address: str, folder: Path) -> Iterator[int]:
    """A port where TLS, which wants a certificate of the folder's authority, ends before the engine at `address`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    ready, loop = threading.Event(), asyncio.new_event_loop()
    ports: list[int] = []
    stop = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [writer]
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(address.removeprefix("unix://"))
            lines.append(inner_writer)
            await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))
        finally:
            for line in lines:
                line.transport.abort()

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.01)  # what was aborted is closed in the turns that follow

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
