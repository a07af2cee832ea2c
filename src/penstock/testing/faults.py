"""What can go wrong with one request."""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["delay", "cut", "drop_answer", "cut_answer", "status"]


@dataclass
class Fault:
    """A fault that may strike requests whose method and path (with query) match the expressions, from their start.

    `kind`:
    delay        wait `seconds` before the request is passed on
    cut          close the connection without passing the request on
    drop_answer  pass it on, wait for its answer, then close the connection without a word: acted on, and nobody told
    cut_answer   pass on the first `after_bytes` bytes of the answer's body, then close the connection
    status       answer with `status`, and `retry_after` if given, without passing it on

    `probability` is the chance that it strikes a request that fits; `times` is how often it strikes at most; `struck`
    how often it did.
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    probability: float = 1.0
    times: int | None = None
    seconds: float = 0.0
    status: int = 503
    retry_after: str | None = None
    body: bytes = b'{"code": "injected", "message": "a fault that was injected", "hint": null}'
    after_bytes: int = 0
    struck: int = field(default=0, init=False)

    def fits(self, method: str, path: str) -> bool:
        """Whether it may strike this request."""
        if self.times is not None and self.struck >= self.times:
            return False
        return re.match(self.method, method, re.IGNORECASE) is not None and re.match(self.path, path) is not None

    def answer(self) -> bytes:
        """The whole HTTP answer of a "status" fault."""
        lines = [
            f"HTTP/1.1 {self.status} Injected",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        ]
        if self.retry_after is not None:
            lines.append(f"Retry-After: {self.retry_after}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body
