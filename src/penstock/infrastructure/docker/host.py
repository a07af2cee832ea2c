"""Where containers will run, seen from the machine where their request is made."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.blocks.docker_address import engine_address
from penstock.errors import ConfigurationError

#: In the path of the socket of an engine that runs in a virtual machine of its own on Linux.
_OWN_MACHINE = "/.docker/desktop/"


@dataclass(frozen=True)
class Host:
    """`engine_here`: the engine is on this machine; `shares_network`: containers can be in this machine's own network."""

    engine_here: bool = True
    shares_network: bool = True


def host_of(environ: Mapping[str, str], home: Path, system: str) -> Host:
    """What the environment and the configuration of the docker program say. An address that cannot be read is taken for
    this machine's: who connects to it says what is wrong."""
    try:
        address = engine_address(environ, home)
    except ConfigurationError:
        return Host(shares_network=system == "linux")
    here = address.on_this_machine
    return Host(here, here and system == "linux" and _OWN_MACHINE not in address.url)


def this_host() -> Host:
    """The host as this process sees it."""
    return host_of(os.environ, Path.home(), sys.platform)
