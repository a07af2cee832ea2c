"""Words of Docker and Linux that settings of containers are made of, and how they are read. Pure."""

from collections.abc import Iterable

from penstock.blocks.extras import holds_reference
from penstock.errors import did_you_mean

CAPABILITIES = (
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE",
    "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
    "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
    "sigpending", "stack",
)  # fmt: skip
SYSTEMS = ("linux", "windows")
ARCHITECTURES = (
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x",
)  # fmt: skip
#: Names that machines have for architectures, and Docker's for the same.
_ALSO = {"x86_64": "amd64", "aarch64": "arm64", "x86": "386", "i386": "386", "armhf": "arm"}


def one_of(word: str, known: Iterable[str], what: str) -> str:
    """`word` if it is one of `known`. Raises ValueError with the nearest of them."""
    words = [*known]
    if word not in words:
        raise ValueError(f"there is no {what} {word!r}.{did_you_mean(word, words)} There are {', '.join(words)}.")
    return word


def read_capabilities(names: list[str]) -> list[str]:
    """Capabilities of Linux as the engine spells them, from any case and with or without ``CAP_``. Raises ValueError."""
    return [
        name if holds_reference(name) else one_of(name.upper().removeprefix("CAP_"), CAPABILITIES, "capability")
        for name in names
    ]


def read_platform(text: str) -> str:
    """``os/architecture[/variant]`` in Docker's words. Raises ValueError."""
    if holds_reference(text):
        return text
    system, slash, rest = text.strip().lower().partition("/")
    architecture, second, variant = rest.partition("/")
    if not slash or not architecture or (second and not variant) or "/" in variant:
        raise ValueError(f"platform is {text!r}; write os/architecture, e.g. linux/amd64 or linux/arm/v7.")
    one_of(system, SYSTEMS, "operating system")
    architecture = one_of(_ALSO.get(architecture, architecture), ARCHITECTURES, "architecture")
    return "/".join(part for part in (system, architecture, variant) if part)
