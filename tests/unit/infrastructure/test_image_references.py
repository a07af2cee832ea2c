"""What names an image, and where it is fetched from: as engines read it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.infrastructure.images import Reference, check_image, registry_of, split_reference

HEX = "0123456789abcdef" * 4

#: reference -> its registry and repository, its tag, its digest
GOOD = {
    "busybox": ("docker.io", "library/busybox", "", ""),
    "busybox:1": ("docker.io", "library/busybox", "1", ""),
    "busybox:1.36-musl": ("docker.io", "library/busybox", "1.36-musl", ""),
    f"busybox@sha256:{HEX}": ("docker.io", "library/busybox", "", f"sha256:{HEX}"),
    f"busybox:1@sha256:{HEX}": ("docker.io", "library/busybox", "1", f"sha256:{HEX}"),
    f"busybox@sha512:{HEX * 2}": ("docker.io", "library/busybox", "", f"sha512:{HEX * 2}"),
    f"busybox@blake3+b64u:{HEX}": ("docker.io", "library/busybox", "", f"blake3+b64u:{HEX}"),
    "team/flows": ("docker.io", "team/flows", "", ""),
    "team/sub/flows:1": ("docker.io", "team/sub/flows", "1", ""),
    "docker.io/busybox": ("docker.io", "library/busybox", "", ""),
    "docker.io/library/busybox:1": ("docker.io", "library/busybox", "1", ""),
    "index.docker.io/team/flows": ("docker.io", "team/flows", "", ""),
    "index.docker.io/busybox": ("docker.io", "library/busybox", "", ""),
    "ghcr.io/team/flows:1": ("ghcr.io", "team/flows", "1", ""),
    "ghcr.io/flows": ("ghcr.io", "flows", "", ""),
    "localhost/flows": ("localhost", "flows", "", ""),
    "localhost:5000/flows": ("localhost:5000", "flows", "", ""),
    "localhost:5000/flows:2": ("localhost:5000", "flows", "2", ""),
    "localhost:5000": ("docker.io", "library/localhost", "5000", ""),
    "127.0.0.1:5000/a/b:c": ("127.0.0.1:5000", "a/b", "c", ""),
    "10.0.0.1/a": ("10.0.0.1", "a", "", ""),
    "[::1]:5000/a": ("[::1]:5000", "a", "", ""),
    "[fe80::1]/a/b:1": ("[fe80::1]", "a/b", "1", ""),
    "registry:5000/flows": ("registry:5000", "flows", "", ""),
    "registry/flows": ("docker.io", "registry/flows", "", ""),
    "Registry/flows": ("Registry", "flows", "", ""),
    "REGISTRY.example.com:443/flows": ("REGISTRY.example.com:443", "flows", "", ""),
    "my-host.example.com/flows": ("my-host.example.com", "flows", "", ""),
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a:1": (
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "a",
        "1",
        "",
    ),
    "europe-docker.pkg.dev/project/repository/image:1": ("europe-docker.pkg.dev", "project/repository/image", "1", ""),
    "team.azurecr.io/flows@sha256:" + HEX: ("team.azurecr.io", "flows", "", f"sha256:{HEX}"),
    "a.b/c.d_e__f-g--h/i": ("a.b", "c.d_e__f-g--h/i", "", ""),
    "a/b:_": ("docker.io", "a/b", "_", ""),
    "a/b:A.B-C_D": ("docker.io", "a/b", "A.B-C_D", ""),
    "a/b:" + "t" * 128: ("docker.io", "a/b", "t" * 128, ""),
    "0/1": ("docker.io", "0/1", "", ""),
    "penstock/penstock:0.1.0-python3.11": ("docker.io", "penstock/penstock", "0.1.0-python3.11", ""),
}

BAD = [
    "",
    " ",
    "/",
    ":1",
    "@sha256:" + HEX,
    "busybox:",
    "busybox@",
    "busybox:1:2",
    "busybox :1",
    "busybox: 1",
    " busybox",
    "busybox\n",
    "Busybox",
    "team/Flows",
    "ghcr.io/Team/flows",
    "a//b",
    "/a",
    "a/",
    "a/b/",
    "a/-b",
    "a/b-",
    "a/_b",
    "a/b_",
    "a/b___c",
    "a/b._c",
    "a/b..c",
    ".a",
    "a.",
    "a/b:.x",
    "a/b:-x",
    "a/b:x/y:",
    "a/b:" + "t" * 129,
    "a/b:ä",
    "ä/b",
    "a b/c",
    "https://ghcr.io/a",
    "ghcr.io:/a",
    "ghcr.io:x/a",
    "-host.example.com:1/a",
    "host-.example.com:1/a",
    "[::1/a",
    "[::g]/a",
    "a@sha256:" + HEX[:-1],
    "a@sha256:" + HEX + "0",
    "a@sha256:" + HEX.upper(),
    "a@sha512:" + HEX,
    "a@sha256:" + "g" * 64,
    "a@md5:" + "0" * 31,
    "a@1md5:" + "0" * 32,
    "a@" + HEX,
    "a@sha256:" + HEX + "@sha256:" + HEX,
    "a" * 256,
    "host.example.com/" + "a" * 240,
]


@pytest.mark.parametrize("text", GOOD)
def test_a_name_of_an_image_is_taken_and_says_where_it_is_fetched_from(text: str):
    assert check_image(text) == text
    assert split_reference(text) == Reference(*GOOD[text])
    assert registry_of(text) == GOOD[text][0]


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:40]))
def test_what_is_no_name_of_an_image_is_refused(text: str):
    with pytest.raises(ValueError, match="names no image"):
        check_image(text)


_PART = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
_HOST = st.one_of(
    st.from_regex(r"[a-zA-Z0-9]{1,8}(?:-[a-z0-9]{1,4})?\.[a-zA-Z]{2,5}(?::[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"[a-z]{1,8}:[0-9]{1,5}", fullmatch=True),
    st.sampled_from(["localhost", "localhost:5000", "[::1]:5000"]),
)
_TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)
_DIGEST = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@given(
    host=_HOST,
    parts=st.lists(_PART, min_size=1, max_size=4),
    tag=st.one_of(st.just(""), _TAG),
    digest=st.one_of(st.just(""), _DIGEST),
)
def test_the_parts_of_a_name_come_back(host: str, parts: list[str], tag: str, digest: str):
    repository = "/".join(parts)
    text = f"{host}/{repository}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    assert check_image(text) == text
    assert split_reference(text) == Reference(host, repository, tag, digest)


@given(st.text(alphabet="aB0.:/@-_[]#\n ä", max_size=30))
def test_what_is_taken_can_be_put_together_again_from_its_parts(text: str):
    try:
        check_image(text)
    except ValueError:
        return
    found = split_reference(text)
    again = found.repository + (f":{found.tag}" if found.tag else "") + (f"@{found.digest}" if found.digest else "")
    assert text in (f"{found.registry}/{again}", again, again.removeprefix("library/"))
