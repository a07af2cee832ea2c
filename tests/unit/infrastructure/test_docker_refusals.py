"""What engines and registries say of a pull: why it failed, and how far it is."""

import pytest

from penstock.infrastructure.docker.logins import Login
from penstock.infrastructure.docker.progress import Progress
from penstock.infrastructure.docker.refusals import refusal

NOBODY = Login("docker.io", "~/.docker/config.json")
ALICE = Login("r.example.com", "the block image_registry", {"username": "alice", "password": "the-secret"})


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("manifest for r.example.com/team/x:2 not found: manifest unknown: manifest unknown", "ImageNotFound"),
        ("name unknown: repository name not known to registry", "ImageNotFound"),
        ("reading manifest 2 in r.example.com/team/x: manifest unknown", "ImageNotFound"),
        (
            "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access "
            "to the resource is denied",
            "ImageNotPermitted",
        ),
        ("unauthorized: authentication required", "ImageNotPermitted"),
        ('Head "https://r.example.com/v2/team/x/manifests/1": no basic auth credentials', "ImageNotPermitted"),
        ("denied: Your account has no permission", "ImageNotPermitted"),
        ("unable to retrieve auth token: invalid username/password: unauthorized: nope", "ImageNotPermitted"),
        ("toomanyrequests: You have reached your pull rate limit. Retry after 21600 s", "ImagePullFailed"),
        (
            'Get "https://r.example.com/v2/": dial tcp: lookup r.example.com on 10.0.0.2:53: no such host',
            "ImagePullFailed",
        ),
        ('Get "https://r.example.com/v2/": dial tcp 10.0.0.1:443: connect: connection refused', "ImagePullFailed"),
        ('Get "https://r.example.com/v2/": x509: certificate signed by unknown authority', "ImagePullFailed"),
        ("received unexpected HTTP status: 503 Service Unavailable", "ImagePullFailed"),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "ImagePullFailed"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "ImageNotFound"),
        ('image operating system "windows" cannot be used on this platform', "ImageNotFound"),
        ("invalid reference format: repository name must be lowercase", "ConfigurationInvalid"),
        ("something that nobody has seen yet", "ImagePullFailed"),
    ],
)
def test_the_words_decide_and_are_kept(words: str, reason: str) -> None:
    found = refusal("r.example.com/team/x:2", words, ALICE)
    assert found.reason == reason
    assert words in found.message
    assert "r.example.com/team/x:2" in found.message
    assert found.hint


def test_a_registry_that_hides_is_said_not_to_tell() -> None:
    words = "pull access denied for team/x, repository does not exist or may require 'docker login'"
    assert "does not say which" in refusal("team/x:1", words, NOBODY).message


def test_the_hint_depends_on_whether_there_was_a_login() -> None:
    words = "unauthorized: authentication required"
    assert "docker-registry block" in refusal("r.example.com/x:1", words, Login("r.example.com", "x")).hint
    assert "Correct the login" in refusal("r.example.com/x:1", words, ALICE).hint


def test_a_login_is_named_where_it_may_be_what_is_wrong() -> None:
    away = "dial tcp: lookup r.example.com on 10.0.0.2:53: no such host"
    assert "login" not in refusal("r.example.com/x:1", away, NOBODY).message
    assert "without a login" in refusal("r.example.com/x:1", "manifest unknown", NOBODY).message
    assert "as alice" in refusal("r.example.com/x:1", "unauthorized: no", ALICE).message


def test_a_registry_that_nobody_knows_may_be_a_slip_in_the_name() -> None:
    words = 'Get "https://r.example.com/v2/": dial tcp: lookup r.example.com on 10.0.0.2:53: no such host'
    assert "Correct r.example.com in the image's name" in refusal("r.example.com/x:1", words, ALICE).hint


def test_a_name_that_holds_such_words_decides_nothing() -> None:
    image = "r.example.com/unauthorized/not-found-certificate:1"
    words = (
        f'Get "https://r.example.com/v2/unauthorized/not-found-certificate/manifests/1": dial tcp: i/o timeout: {image}'
    )
    assert refusal(image, words, ALICE).reason == "ImagePullFailed"


def test_secrets_are_masked() -> None:
    assert "the-secret" not in refusal("r.example.com/x:1", "unauthorized: bad password the-secret", ALICE).message


def test_trouble_with_a_login_explains_why_there_was_none() -> None:
    stays = Login("r.example.com", "x", trouble="docker-credential-y is missing")
    passes = Login("r.example.com", "x", trouble="the vault is sealed", passing=True)
    words = "no basic auth credentials"
    assert refusal("r.example.com/x:1", words, stays).reason == "ImageNotPermitted"
    assert "docker-credential-y is missing" in refusal("r.example.com/x:1", words, stays).message
    assert refusal("r.example.com/x:1", words, passes).reason == "ImagePullFailed"
    assert refusal("r.example.com/x:1", "manifest unknown", passes).reason == "ImageNotFound"


def layer(name: str, status: str, current: int = 0, total: int = 0) -> dict[str, object]:
    detail = {"current": current, "total": total} if total else {}
    return {"id": name, "status": status, "progressDetail": detail}


def test_progress_counts_layers_and_bytes() -> None:
    progress = Progress("flows:1")
    assert progress.words() == "the image flows:1"
    for line in [
        {"status": "Pulling from team/flows", "id": "1"},
        layer("a", "Already exists"),
        layer("b", "Pulling fs layer"),
        layer("c", "Pulling fs layer"),
        layer("b", "Downloading", 20_000_000, 80_000_000),
        layer("c", "Downloading", 21_000_000, 40_000_000),
    ]:
        progress.take(line)
    assert progress.words() == "the image flows:1 (1 of 3 layers, 41 of 120 MB)"
    progress.take(layer("c", "Download complete"))
    assert "60 of 120 MB" in progress.words()
    progress.take(layer("c", "Pull complete"))
    progress.take(layer("b", "Retrying in 5 seconds"))
    assert (
        progress.words()
        == "the image flows:1 (2 of 3 layers, 60 of 120 MB, the registry broke off, and is asked again)"
    )
    assert not progress.error


def test_progress_keeps_the_engines_error() -> None:
    progress = Progress("flows:1")
    progress.take({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown (short)"})
    assert progress.error == "manifest unknown"
    other = Progress("flows:1")
    other.take({"error": "only this"})
    assert other.error == "only this"
