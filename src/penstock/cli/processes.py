"""Starting the server and agents: as processes of their own, by `python -m`."""

import errno
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from types import FrameType

from penstock.cli.errors import UsageProblem
from penstock.errors import Conflict


def module_command(module: str, arguments: Sequence[str]) -> list[str]:
    """The command line that runs `module` with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def become(module: str, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Turn this process into `python -m module`: signals, exit code and pid are the module's own. Does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, module_command(module, arguments), dict(environ))


def as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A signal handler that makes of its signal what Ctrl-C is."""
    raise KeyboardInterrupt


def check_port(host: str, port: int) -> None:
    """Raise Conflict if something listens on `port` of `host`, UsageProblem if `host` is no address of this machine."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError) as error:
        raise UsageProblem(f"Cannot listen on {host}:{port}: {error}.") from None
    with closing(socket.socket(family, kind)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageProblem(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
            raise Conflict(
                f"Port {port} of {host} is in use.",
                hint="If a server runs there already, use that one; else choose another --port (0: any free one).",
            ) from None


def announce(tell: Callable[[str], None]) -> int:
    """A descriptor for --ready-fd: when a line arrives there, `tell` is called with it, in a small process of its own.

    That process is no child of this one, so that nothing has to be reaped after `become`. It leaves silently if the
    other end is closed without a line, as it is when the start fails.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        if os.fork() == 0:
            with os.fdopen(reading) as lines:
                line = lines.readline().strip()
            if line:
                tell(line)
                sys.stderr.flush()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(reading)
    os.set_inheritable(writing, True)
    return writing
