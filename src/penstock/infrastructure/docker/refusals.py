"""Why an image could not be fetched, from the words of the engine and of the registry behind it. Pure.

Engines pass the registry's words on as text, with a status that says little: 404, or 500 for all the rest.
"""

from dataclasses import dataclass

from penstock.errors import JobRejected
from penstock.infrastructure.docker.logins import Login, without_secrets
from penstock.infrastructure.images import split_reference
from penstock.model.reasons import Reason

#: Parts of what engines and registries say, in the order in which they are looked for; the first that is there decides.
_HIDDEN = ("pull access denied", "repository does not exist or may require", "does not exist or no pull access")
_MALFORMED = ("invalid reference format", "invalid tag format", "repository name must be", "invalid repository name")
_OTHER_PLATFORM = (
    "no matching manifest for",
    "does not match the specified platform",
    "no match for platform",
    "cannot be used on this platform",
    "no image found in image index for architecture",
    "choosing an image from manifest list",
)
_TOO_OFTEN = ("toomanyrequests", "too many requests", "rate limit")
_NOT_PERMITTED = (
    "unauthorized",
    "no basic auth credentials",
    "authentication required",
    "access to the resource is denied",
    "insufficient_scope",
    "authorization failed",
    "invalid username/password",
    "access forbidden",
    "permission_denied",
    "denied:",
    "403 forbidden",
    "401 unauthorized",
)
_NOT_FOUND = (
    "manifest unknown",
    "manifest_unknown",
    "name unknown",
    "name_unknown",
    "repository name not known",
    "not found",
    "no such image",
)
_NO_ROOM = ("no space left on device", "disk quota exceeded")
_TLS = ("x509:", "tls:", "server gave http response to https client", "certificate")
_NO_NAME = ("no such host",)
_UNREACHABLE = (*_NO_NAME, "connection refused", "i/o timeout", "network is unreachable", "dial tcp", "deadline")


#: Reasons that may be others with another login.
_OF_THE_LOGIN = frozenset({Reason.IMAGE_NOT_PERMITTED, Reason.IMAGE_NOT_FOUND})


@dataclass(frozen=True)
class Refusal:
    """Why an image is not to be had, and what to do about it."""

    reason: Reason
    message: str
    hint: str

    def error(self) -> JobRejected:
        """As a driver's `start` raises it: nothing of the job exists."""
        return JobRejected(self.message, reason=self.reason.value, hint=self.hint)


def refusal(image: str, words: str, login: Login, status: int | None = None) -> Refusal:
    """What `words`, said when `image` was asked for with `login`, mean. `status` is the engine's, where it sent one."""
    said = without_secrets(" ".join(words.split()), login)[:600]
    # a name may hold any of the words that are looked for
    plain = said.lower().replace(image.lower(), "").replace(split_reference(image).repository, "")
    reason, why, hint = _judge(plain, login, status)
    # who asked matters to a registry that answers, and to nobody else
    who = f" {login}" if reason in _OF_THE_LOGIN else ""
    message = f"The image {image} cannot be fetched{who}: {why}: {said}" if why else ""
    message = message or f"The image {image} could not be fetched {login}: {said}"
    if login.trouble and reason is Reason.IMAGE_NOT_PERMITTED:
        message += f". There is no login because {login.trouble}"
        reason = Reason.IMAGE_PULL_FAILED if login.passing else reason
    return Refusal(reason, message, hint)


def _judge(plain: str, login: Login, status: int | None) -> tuple[Reason, str, str]:
    """Reason, our words for it ("" where the registry's suffice), and what to do."""

    def has(parts: tuple[str, ...]) -> bool:
        return any(part in plain for part in parts)

    registry = login.registry
    if has(_MALFORMED):
        return Reason.CONFIGURATION_INVALID, "that names no image", "Write [registry[:port]/]repository[:tag][@digest]."
    if has(_OTHER_PLATFORM):
        hint = "Build the image for the engine's platform, or for several, or use an engine of the image's platform."
        return Reason.IMAGE_NOT_FOUND, "there is none for that platform", hint
    if has(_TOO_OFTEN):
        hint = f"{registry} lets pull less often than that. Log in there, or keep the image on the engine (IF_NOT_PRESENT)."
        return Reason.IMAGE_PULL_FAILED, "the registry was asked too often", hint
    if has(_HIDDEN):
        return (
            Reason.IMAGE_NOT_PERMITTED,
            "there is none of that name, or it may not be seen; the registry does not say which",
            (f"Look at the name first; if it is right, the image is private. {_other_login(login)}"),
        )
    if has(_NOT_PERMITTED) or status in {401, 403}:
        why = (
            "the registry wants a login"
            if login.anonymous
            else "the registry refused that login, or it may not pull this"
        )
        return Reason.IMAGE_NOT_PERMITTED, why, _other_login(login)
    if has(_NO_ROOM):
        return (
            Reason.IMAGE_PULL_FAILED,
            "the engine's disk is full",
            "Make room there, e.g. remove images that nobody uses.",
        )
    if has(_TLS):
        hint = f"Let the engine trust {registry}: put its certificate into /etc/docker/certs.d/{registry}/ca.crt there."
        return Reason.IMAGE_PULL_FAILED, "the registry's certificate is not trusted, or it speaks no TLS", hint
    if has(_NOT_FOUND) and not has(_UNREACHABLE):
        return (
            Reason.IMAGE_NOT_FOUND,
            "the registry has no such image or tag",
            ("Correct the name and the tag, or push the image; a registry may also hide what this login may not see."),
        )
    if has(_NO_NAME):
        hint = f"Correct {registry} in the image's name, or look at the DNS and the proxy of the engine's machine."
        return Reason.IMAGE_PULL_FAILED, "the engine's machine knows no host with the registry's name", hint
    if has(_UNREACHABLE):
        hint = f"The engine's machine has to reach {registry}: look at its network, DNS and proxy settings."
        return Reason.IMAGE_PULL_FAILED, "the engine does not reach the registry", hint
    return Reason.IMAGE_PULL_FAILED, "", f"Look whether {registry} works; the pull is tried again with a new launch."


def _other_login(login: Login) -> str:
    if login.anonymous:
        return f"Give image_registry a docker-registry block with a login to {login.registry}."
    return f"Correct the login ({login.source}), or what it may do at {login.registry}."
