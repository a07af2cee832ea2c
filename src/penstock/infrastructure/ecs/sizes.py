"""How much CPU and memory a task on Fargate can have, as AWS documents it. Pure."""

import re
from typing import Any

DEFAULT_CPU, DEFAULT_MEMORY = 1024, 2048

#: CPU units (1024 are one vCPU) -> MiB of memory that go with them. As of 2025; what is larger than all of it is left to
#: AWS to judge, which has grown the table before.
FARGATE: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
_AMOUNT = re.compile(r"(\d*\.?\d+)\s*(vcpu|gb)?", re.IGNORECASE)


def fargate_size(cpu: int | None, memory: int | None) -> tuple[int, int]:
    """CPU units and MiB of a task on Fargate; what is None becomes the default, or the least that goes with the other.

    Raises ValueError with what is possible if Fargate has no task of that size.
    """
    if cpu is None:
        fitting = [size for size, memories in FARGATE.items() if memory in memories]
        cpu = DEFAULT_CPU if memory is None or DEFAULT_CPU in fitting or not fitting else fitting[0]
    if cpu not in FARGATE and cpu < max(FARGATE):
        near = min(FARGATE, key=lambda known: abs(known - cpu))
        raise ValueError(f"cpu is {cpu}; Fargate has {_in_words(tuple(FARGATE))} CPU units, the nearest is {near}.")
    memories = FARGATE.get(cpu, ())
    if memory is None:
        memory = next((size for size in memories if size >= DEFAULT_MEMORY), DEFAULT_MEMORY)
    if memories and memory not in memories:
        others = [size for size, those in FARGATE.items() if memory in those]
        hint = f" {memory} MiB go with cpu {', '.join(map(str, others))}." if others else ""
        raise ValueError(f"memory is {memory}; with cpu {cpu} Fargate gives {_in_words(memories)} MiB.{hint}")
    return cpu, memory


def amount(value: Any) -> int | None:
    """CPU units or MiB of a task definition's cpu or memory: a number, its text, or e.g. ``1 vCPU``, ``4 GB``.

    None if it is nothing of the kind.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _AMOUNT.fullmatch(str(value).strip())
    return round(float(match[1]) * (1024 if match[2] else 1)) if match else None


def _in_words(sizes: tuple[int, ...]) -> str:
    step = sizes[1] - sizes[0]
    if len(sizes) > 3 and sizes == tuple(range(sizes[0], sizes[-1] + 1, step)):
        return f"{sizes[0]} to {sizes[-1]} in steps of {step}"
    return f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}"
