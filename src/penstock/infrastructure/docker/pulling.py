"""Images are on the engine before their containers are made: one pull for all who want the same image with the same login.

A pull goes on in a thread of its own; whoever starts a job waits for it a moment, and asks again. What nobody asks for any
more is given up. Each read is bounded, so that an engine or a registry that has gone silent ends a pull with that.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from penstock.clock import monotonic
from penstock.errors import JobRejected, PenstockError, StillPreparing
from penstock.infrastructure.docker.config import ImagePullPolicy
from penstock.infrastructure.docker.connection import Engine, inspect_image, stream
from penstock.infrastructure.docker.fitness import machine_of
from penstock.infrastructure.docker.logins import Login, login_for
from penstock.infrastructure.docker.progress import Progress
from penstock.infrastructure.docker.refusals import Refusal, refusal
from penstock.infrastructure.images import split_reference
from penstock.model.reasons import Reason

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger("penstock.docker")

#: Seconds for the question whether the engine has an image.
INSPECT_SECONDS = 15.0
#: Seconds that a caller waits for a pull before it is told to ask again.
PATIENCE_SECONDS = 1.0
#: Seconds after the last question after which nobody wants an image any more.
UNWANTED_SECONDS = 30.0
#: Seconds without a line from the engine after which a pull is given up: unpacking a large layer takes its time.
SILENCE_SECONDS = 300.0
#: Seconds for which an image counts as fetched for others who want it fetched always, so that a burst asks once.
FRESH_SECONDS = 5.0
#: Seconds for which the end of a pull is kept for those who asked for it and have not come back.
_KEPT_SECONDS = 600.0
#: Pulls at once; others wait for their turn.
_AT_ONCE = 6


class Pulls:
    """The pulls of one engine. For one event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        patience: float = PATIENCE_SECONDS,
        unwanted: float = UNWANTED_SECONDS,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._engine = engine
        self._patience, self._unwanted, self._silence = patience, unwanted, silence
        self._fetches: dict[str, _Fetch] = {}
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._salt = secrets.token_bytes(16)

    async def ensure(self, pull: Mapping[str, Any], asker: str = "") -> None:
        """Return when the engine has the image of `pull`, as its policy wants it: ``image``, ``policy``, and where they are
        set ``platform`` and ``login``. `asker` is the job's name: its pull counts for it, however late it asks again.

        Raises StillPreparing while it is fetched: ask again. Raises JobRejected with the reason and the registry's words if
        it cannot be had, ConfigurationError if the login is for another registry, NotReachable if the engine does not
        answer.
        """
        image, platform = str(pull["image"]), str(pull.get("platform") or "")
        policy, key = ImagePullPolicy(pull["policy"]), self._key(pull)
        self._forget_old()
        fetch = self._fetches.get(key)
        if fetch is None or not fetch.counts_for(asker, policy):
            if policy is not ImagePullPolicy.ALWAYS:
                missing = _unfit(await self._inspect(image), image, platform)
                if missing is None:
                    return
                if policy is ImagePullPolicy.NEVER:
                    raise _never(image, missing).error()
            fetch = self._join_or_begin(key, image, platform, pull.get("login"))
        await fetch.ask(asker, self._patience)

    async def close(self) -> None:
        """Give up what is under way."""
        under_way = [fetch for fetch in self._fetches.values() if not fetch.over]
        for fetch in under_way:
            fetch.give_up()
        self._fetches.clear()
        if under_way:
            await asyncio.wait([asyncio.wrap_future(fetch.ended) for fetch in under_way], timeout=1)

    def _join_or_begin(self, key: str, image: str, platform: str, given: Any) -> "_Fetch":
        fetch = self._fetches.get(key)
        if fetch is None or fetch.over or fetch.given_up:
            fetch = _Fetch(self._engine, image, platform, given, self._unwanted, self._silence)
            self._fetches[key] = fetch
            threading.Thread(target=fetch.run, args=(self._turns,), name=f"pull {image}", daemon=True).start()
        return fetch

    async def _inspect(self, image: str) -> dict[str, Any] | None:
        return await self._engine.call(lambda client: inspect_image(client, image), seconds=INSPECT_SECONDS)

    def _forget_old(self) -> None:
        now = monotonic()
        for key, fetch in list(self._fetches.items()):
            if fetch.over and now - fetch.ended_at > _KEPT_SECONDS:
                del self._fetches[key]

    def _key(self, pull: Mapping[str, Any]) -> str:
        """Equal for what may share a pull. Holds no secret."""
        login = pull.get("login")
        parts = [pull["image"], pull.get("platform") or ""]
        if login is not None:
            password = login["password"]
            shown = password.get_secret_value() if hasattr(password, "get_secret_value") else password
            parts += [login["registry"], login["username"], shown]
        return hashlib.sha256(self._salt + json.dumps(parts).encode()).hexdigest()


class _Fetch:
    """One pull, from its beginning to its end. Its thread writes; callers ask."""

    def __init__(self, engine: Engine, image: str, platform: str, given: Any, unwanted: float, silence: float) -> None:
        self._engine, self._image, self._platform, self._given = engine, image, platform, given
        self._unwanted, self._silence = unwanted, silence
        self._progress = Progress(image)
        self._askers: set[str] = set()
        self._lock = threading.Lock()
        self._waiting = 0
        self._wanted_at = monotonic()
        self._begun = False
        self.ended_at = 0.0
        self.given_up = False
        #: Why it failed, None if the image is there. It never raises.
        self.ended: Future[PenstockError | None] = Future()

    @property
    def over(self) -> bool:
        return self.ended.done()

    def counts_for(self, asker: str, policy: ImagePullPolicy) -> bool:
        """Whether its end, which has come, is that for which `asker` waits, or as good."""
        if not self.over or self.given_up:
            return False
        fresh = self.ended.result() is None and monotonic() - self.ended_at < FRESH_SECONDS
        return asker in self._askers or (fresh and policy is ImagePullPolicy.ALWAYS)

    async def ask(self, asker: str, patience: float) -> None:
        """Wait a moment for the end. Raises StillPreparing if that has not come; what the pull failed with if it has."""
        if not self.over:
            self._askers.add(asker)
            with self._wanted():
                await asyncio.wait([asyncio.wrap_future(self.ended)], timeout=patience)
        if not self.over or (
            self.given_up and self.ended.result() is not None
        ):  # given up as this one came: it begins anew
            words = self._progress.words()
            raise StillPreparing(words if self._begun else f"{words}, whose turn comes after others")
        self._askers.discard(asker)
        error = self.ended.result()
        if error is not None:
            raise error.with_traceback(None)

    @contextlib.contextmanager
    def _wanted(self) -> Iterator[None]:
        """Who is in the block waits for it, however late a busy machine wakes him."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                self._wanted_at = monotonic()

    def give_up(self) -> None:
        """Nobody wants it."""
        with self._lock:
            self.given_up = True

    def run(self, turns: threading.BoundedSemaphore) -> None:
        """Pull, in this thread."""
        error: PenstockError | None = None
        try:
            with turns:
                self._begun = True
                error = self._pull()
        except PenstockError as raised:
            error = raised
        except Exception as raised:
            _log.exception("the pull of %s failed in a way that it should not", self._image)
            said = f"The image {self._image} could not be fetched: {type(raised).__name__}"
            error = JobRejected(said, reason=Reason.IMAGE_PULL_FAILED.value)
        self.ended_at = monotonic()
        self.ended.set_result(error)

    def _pull(self) -> PenstockError | None:
        login = login_for(self._image, self._given)
        with self._engine.client(self._silence) as client:
            try:
                self._follow(client, login)
            except self._engine.APIError as error:
                return refusal(self._image, str(error.explanation or error), login, error.status_code).error()
            if self._progress.error:
                return refusal(self._image, self._progress.error, login).error()
            if self.given_up:
                return JobRejected(
                    f"Nobody waits for the image {self._image} any more.", reason=Reason.IMAGE_PULL_FAILED.value
                )
            # what the engine says of the pull is one thing, what it has another
            missing = _unfit(inspect_image(client, self._image), self._image, self._platform)
            return missing.error() if missing is not None else None

    def _follow(self, client: "APIClient", login: Login) -> None:
        """Read what the engine says of the pull until it is over, or nobody wants it; then hang up, which ends it."""
        if self._no_longer_wanted():
            return
        reference = split_reference(self._image)
        params = {"fromImage": _without_tag(self._image), "tag": reference.digest or reference.tag or "latest"}
        if self._platform:
            params["platform"] = self._platform
        _log.info("fetching %s %s", self._image, login)
        with stream(client, "/images/create", params, {"X-Registry-Auth": login.header}) as response:
            for line in response.iter_lines(chunk_size=None):
                if line:
                    self._progress.take(json.loads(line))
                if self._no_longer_wanted():
                    return

    def _no_longer_wanted(self) -> bool:
        with self._lock:
            unwanted = not self._waiting and monotonic() - self._wanted_at > self._unwanted
            self.given_up = self.given_up or unwanted
            return self.given_up


def fits(found: Mapping[str, Any], platform: str) -> bool:
    """Whether an image that the engine has is one for `platform`, e.g. ``linux/arm64/v8``; "" is any."""
    if not platform:
        return True
    system, _, rest = platform.lower().partition("/")
    machine, _, variant = rest.partition("/")
    has = str(found.get("Os") or "").lower(), machine_of(str(found.get("Architecture") or ""))
    own_variant = str(found.get("Variant") or "").lower()
    same = has == (system, machine_of(machine)) if machine else has[0] == system
    return same and (not variant or not own_variant or variant == own_variant)


def _unfit(found: Mapping[str, Any] | None, image: str, platform: str) -> Refusal | None:
    """Why the image that the engine has, or has not, does not do; None if it does."""
    if found is None:
        hint = "Look on its machine whether something removes images, and at the engine's log."
        return Refusal(Reason.IMAGE_PULL_FAILED, f"The engine does not have the image {image}.", hint)
    if not fits(found, platform):
        has = f"{found.get('Os')}/{found.get('Architecture')}"
        hint = f"Build the image for {platform}, or set platform to {has}."
        return Refusal(Reason.IMAGE_NOT_FOUND, f"The image {image} is for {has}, not for {platform}.", hint)
    return None


def _never(image: str, missing: Refusal) -> Refusal:
    """`missing`, where the policy forbids to do something about it."""
    return Refusal(
        Reason.IMAGE_NOT_FOUND,
        f"{missing.message} It is not fetched either: image_pull_policy is NEVER.",
        f"Build or load {image} on the engine's machine, or set image_pull_policy to IF_NOT_PRESENT.",
    )


def _without_tag(image: str) -> str:
    """The name as it was written, registry included, without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
