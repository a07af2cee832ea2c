"""How far a pull is, in words, from the lines that the engine writes while it pulls. Pure."""

from collections.abc import Mapping
from typing import Any

#: What a line says of a layer that is on its way; other lines with an id are about the tag.
_OF_LAYERS = frozenset(
    {
        "Pulling fs layer",
        "Waiting",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
        "Already exists",
    }
)
_FETCHED = frozenset({"Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists"})
_DONE = frozenset({"Pull complete", "Already exists"})
_MEGABYTE = 1_000_000


class Progress:
    """What the lines of one pull have said so far."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._status: dict[str, str] = {}
        self._bytes: dict[str, tuple[int, int]] = {}
        self._waits = False
        #: What went wrong, in the engine's words; empty while nothing has.
        self.error = ""

    def take(self, line: Mapping[str, Any]) -> None:
        """One line, as the engine's JSON has it."""
        detail = line.get("errorDetail")
        if detail or line.get("error"):
            said = detail.get("message") if isinstance(detail, Mapping) else None
            self.error = str(said or line.get("error"))
            return
        layer, status = str(line.get("id") or ""), str(line.get("status") or "")
        self._waits = status.startswith("Retrying in")
        if not layer or status not in _OF_LAYERS:
            return
        self._status[layer] = status
        amounts = line.get("progressDetail")
        if status == "Downloading" and isinstance(amounts, Mapping) and amounts.get("total"):
            self._bytes[layer] = int(amounts.get("current") or 0), int(amounts["total"])
        elif status in _FETCHED and layer in self._bytes:
            self._bytes[layer] = self._bytes[layer][1], self._bytes[layer][1]

    def words(self) -> str:
        """What is waited for: ``the image IMAGE (3 of 7 layers, 41 of 120 MB)``, as far as it is known."""
        parts = []
        if self._status:
            done = sum(status in _DONE for status in self._status.values())
            parts.append(f"{done} of {len(self._status)} layers")
        if self._bytes:
            current = sum(so_far for so_far, _ in self._bytes.values())
            total = sum(whole for _, whole in self._bytes.values())
            parts.append(f"{_megabytes(current)} of {_megabytes(total)} MB")
        if self._waits:
            parts.append("the registry broke off, and is asked again")
        return f"the image {self._image}" + (f" ({', '.join(parts)})" if parts else "")


def _megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:.1f}" if count < 10 * _MEGABYTE else f"{count / _MEGABYTE:.0f}"
