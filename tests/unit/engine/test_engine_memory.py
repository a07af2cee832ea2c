from pathlib import Path

import pytest

from penstock.engine.memory import Killed, killed

V2 = "low 0\nhigh 12\nmax 340\noom 3\noom_kill 2\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"memory.events": V2, "memory.max": "67108864\n"}, Killed(2, 2**26)),
        ({"memory.events": V2, "memory.max": "max\n"}, Killed(2, None)),
        ({"memory.events": V2}, Killed(2, None)),
        ({"memory/memory.oom_control": V1, "memory/memory.limit_in_bytes": "67108864\n"}, Killed(2, 2**26)),
        ({"memory/memory.oom_control": V1, "memory/memory.limit_in_bytes": "9223372036854771712\n"}, Killed(2, None)),
        ({"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}, Killed(0, None)),
        ({}, Killed(0, None)),
    ],
)
def test_the_count_of_either_version_of_control_groups_is_read(
    tmp_path: Path, files: dict[str, str], found: Killed
) -> None:
    assert killed(_tree(tmp_path, files)) == found


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Killed(2), Killed(2), None),
        (Killed(2), Killed(0), None),
        (Killed(2), Killed(3), "The kernel killed a process of this container for lack of memory"),
        (
            Killed(0, 2**26),
            Killed(4, 2**26),
            "The kernel killed 4 processes of this container for lack of memory, whose limit is 64 MiB",
        ),
    ],
)
def test_only_what_was_killed_since_is_told(before: Killed, after: Killed, told: str | None) -> None:
    assert after.since(before) == told
