"""Local processes: jobs that run on the agent's own machine.

`Process` is found here too, lazily: what runs jobs imports this package without ever needing the block.
"""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

if TYPE_CHECKING:
    from penstock.infrastructure.process.config import Process as Process

__all__ = ["Process"]
__getattr__, __dir__ = public_names(__name__, {"Process": "penstock.infrastructure.process.config"})
