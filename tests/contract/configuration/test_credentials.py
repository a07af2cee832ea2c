"""Credentials blocks: what they refuse, the clients they make, what their checks say; against real servers."""

import asyncio
import base64
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydantic
import pytest

from penstock.blocks.credentials import (
    ACRManagedIdentity,
    AwsCredentials,
    AzureBlobStorageCredentials,
    AzureContainerInstanceCredentials,
    DockerRegistry,
    GcpCredentials,
    KubernetesClusterConfig,
    MinIOCredentials,
)
from penstock.blocks.extras import import_extra
from penstock.errors import ConfigurationError

SECRET = "wJalrXUtnFEMI/K7MDENG"


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed")


def test_importing_credentials_imports_no_platforms_package() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from penstock.blocks.credentials import aws, azure, gcp, docker_registry, kubernetes_cluster; "
        "from penstock.storage import remote, s3, git; "
        "print({'boto3', 'botocore', 'google.auth', 'azure', 'docker', 'kubernetes_asyncio', 'fsspec', 's3fs'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_package_that_is_missing_is_named_with_its_cure() -> None:
    with pytest.raises(ConfigurationError, match="AwsCredentials needs") as caught:
        import_extra("no_such_package_at_all", extra="aws", user="AwsCredentials")
    assert caught.value.hint == "pip install 'penstock[aws]'"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"aws_access_key_id": "AKIA"}, "aws_secret_access_key is missing"),
        ({"aws_secret_access_key": SECRET}, "aws_access_key_id is missing"),
        ({"aws_session_token": SECRET}, "together with the access key"),
        ({"region_name": "us-east1"}, "no region of AWS"),
        ({"aws_client_parameters": {"endpont_url": "x"}}, "Did you mean 'endpoint_url'"),
        ({"aws_client_parameters": {"endpoint_url": "minio:9000"}}, "has to look like https://"),
        ({"aws_client_parameters": {"verify": False, "verify_cert_path": "/ca"}}, "two things of one"),
    ],
)
def test_credentials_of_aws_that_cannot_work_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words) as caught:
        AwsCredentials(**fields)
    assert SECRET not in str(caught.value)


def test_a_store_that_is_not_amazons_may_name_its_regions_as_it_likes() -> None:
    assert AwsCredentials(region_name="garage", aws_client_parameters={"endpoint_url": "http://s3:9000"})


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    need("moto")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def aws_credentials(url: str, **parameters: Any) -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=SECRET,
        region_name="eu-central-1",
        aws_client_parameters={"endpoint_url": url, **parameters},
    )


def test_clients_of_aws_are_made_as_the_block_says(aws: str) -> None:
    block = aws_credentials(aws, config={"retries": {"max_attempts": 2}})
    client = block.get_s3_client()
    assert (client.meta.endpoint_url, client.meta.region_name) == (aws, "eu-central-1")
    client.create_bucket(Bucket="b-one", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert "b-one" in [bucket["Name"] for bucket in block.get_client("s3").list_buckets()["Buckets"]]
    with pytest.raises(ConfigurationError, match="Did you mean 'secretsmanager'"):
        block.get_client("secretmanager")
    with pytest.raises(ConfigurationError, match="Did you mean 'retries'"):
        aws_credentials(aws, config={"retry": {}}).get_s3_client()


def test_a_check_of_aws_says_who_one_is_or_what_is_wrong(aws: str) -> None:
    good = aws_credentials(aws).check()[-1]
    assert good.ok
    assert good.said.startswith("arn:aws:sts::")
    bad = aws_credentials("http://127.0.0.1:1").check()[-1]
    assert not bad.ok
    assert SECRET not in bad.said


def test_minio_needs_an_address(aws: str) -> None:
    block = MinIOCredentials(minio_root_user="m", minio_root_password=SECRET)
    with pytest.raises(ConfigurationError, match="where the store is"):
        block.get_s3_client()
    reached = MinIOCredentials(
        minio_root_user="m", minio_root_password=SECRET, aws_client_parameters={"endpoint_url": aws}
    )
    assert reached.check()[-1].ok


def service_account(token_uri: str) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": "p-1",
        "private_key": text,
        "client_email": "a@example.com",
        "token_uri": token_uri,
    }


class Handler(BaseHTTPRequestHandler):
    """Google's token address, and a registry that sends its callers to such a one."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        login = base64.b64encode(b"me:p4ssword").decode()
        status, told, challenge = 200, {"access_token": "ya29", "expires_in": 3600, "token": "t"}, ""
        if self.path == "/refuse":
            status, told = 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature"}
        elif self.path.startswith("/registry-token") and self.headers.get("Authorization") != f"Basic {login}":
            status, told = 401, {"details": "incorrect username or password"}  # type: ignore[dict-item]
        elif self.path == "/v2/" and self.headers.get("Authorization") != "Bearer t":
            host, port = self.server.server_address[:2]
            status, told = 401, {}
            challenge = f'Bearer realm="http://{host!s}:{port}/registry-token",service="registry"'
        body = json.dumps(told).encode()
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def doorman() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_account_of_google_gets_a_token(doorman: str, tmp_path: Path) -> None:
    need("google.auth")
    info = service_account(f"http://{doorman}/token")
    block = GcpCredentials(service_account_info=json.dumps(info))
    assert (block.project, block.get_access_token(), block.check()[-1].ok) == ("p-1", "ya29", True)
    (tmp_path / "key.json").write_text(json.dumps(info))
    assert GcpCredentials(service_account_file=tmp_path / "key.json").get_access_token() == "ya29"


def test_what_google_says_of_a_bad_key_is_told(doorman: str, tmp_path: Path) -> None:
    need("google.auth")
    with pytest.raises(ConfigurationError, match="Invalid JWT Signature"):
        GcpCredentials(service_account_info=service_account(f"http://{doorman}/refuse")).get_access_token()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        GcpCredentials(service_account_file=tmp_path / "none.json").get_access_token()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service_account_info": "{"}, "is no JSON"),
        ({"service_account_info": {"type": "authorized_user"}}, "type 'authorized_user'"),
        ({"service_account_info": {"client_mail": "a", "private_key": "b"}}, "Did you mean 'client_mail'"),
        (
            {
                "service_account_file": "/k",
                "service_account_info": {"client_email": "a", "private_key": "b", "token_uri": "c"},
            },
            "give one of them",
        ),
    ],
)
def test_credentials_of_google_that_cannot_work_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        GcpCredentials(**fields)


@pytest.mark.parametrize(
    ("block", "fields", "words"),
    [
        (AzureContainerInstanceCredentials, {"client_id": "a"}, "tenant_id and client_secret not given"),
        (AzureContainerInstanceCredentials, {"credential_kwargs": {"tenant_id": "a"}}, "into the field of that name"),
        (AzureBlobStorageCredentials, {}, "either connection_string or account_url"),
        (AzureBlobStorageCredentials, {"account_url": "a", "connection_string": "b"}, "has to look like|either"),
        (ACRManagedIdentity, {"registry": "a", "identity": "b"}, "Did you mean 'registry_url'"),
        (DockerRegistry, {"username": "a", "password": "b", "registry_url": "not a host"}, "has to look like"),
    ],
)
def test_credentials_that_cannot_work_are_refused(block: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        block(**fields)


@pytest.mark.parametrize(
    "url",
    ["registry.example.com:5000", "https://index.docker.io/v1/", "gcr.io/project", "localhost:5000", "[::1]:5000"],
)
def test_addresses_of_registries_are_understood(url: str) -> None:
    assert DockerRegistry(username="a", password="b", registry_url=url)


def test_a_check_of_a_registry_logs_in_as_an_engine_would(doorman: str) -> None:
    good = DockerRegistry(username="me", password="p4ssword", registry_url=doorman).check()[-1]
    assert good.ok, good
    bad = DockerRegistry(username="me", password="wr0ng-one", registry_url=doorman).check()[-1]
    assert not bad.ok
    assert "refused me: 401" in bad.said
    assert "wr0ng-one" not in bad.said


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: staging
contexts:
- {name: staging, context: {cluster: one, user: ann}}
- {name: production, context: {cluster: two, user: bob}}
clusters:
- {name: one, cluster: {server: "https://one.example.com:6443", certificate-authority: ca.crt}}
- {name: two, cluster: {server: "https://two.example.com"}}
users:
- {name: ann, user: {token: s3cr3t-of-ann}}
- {name: bob, user: {token: s3cr3t-of-bob}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_text("CERTIFICATE")
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    return path


def test_a_kubeconfig_gives_one_context_with_what_its_files_hold(kubeconfig: Path) -> None:
    block = KubernetesClusterConfig.from_file(kubeconfig)
    held = block.config.get_secret_value()
    assert block.context_name == "staging"
    assert held["clusters"][0]["cluster"] == {
        "server": "https://one.example.com:6443",
        "certificate-authority-data": base64.b64encode(b"CERTIFICATE").decode(),
    }
    assert "s3cr3t-of-bob" not in str(held)
    assert "s3cr3t-of-ann" not in repr(block) + block.model_dump_json()


def test_the_kubeconfig_is_found_as_kubectl_finds_it(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"/no/such/file{os.pathsep}{kubeconfig}")
    assert KubernetesClusterConfig.from_file(context_name="production").context_name == "production"
    monkeypatch.setenv("KUBECONFIG", "/no/such/file")
    with pytest.raises(ConfigurationError, match="/no/such/file cannot be read"):
        KubernetesClusterConfig.from_file()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"config": KUBECONFIG, "context_name": "stagin"}, "no context 'stagin'. Did you mean 'staging'"),
        (
            {"config": KUBECONFIG.replace("cluster: one,", "cluster: oen,"), "context_name": "staging"},
            "no cluster 'oen'",
        ),
        ({"config": KUBECONFIG.replace("current-context: staging", "")}, "one of staging, production"),
        ({"config": "just text"}, "is no kubeconfig"),
        ({"config": "a: [s3cr3t-of-ann"}, "is no YAML"),
    ],
)
def test_a_kubeconfig_that_cannot_work_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words) as caught:
        KubernetesClusterConfig(**fields)
    assert "s3cr3t" not in str(caught.value)


def test_a_client_of_the_cluster_is_made_for_the_context(kubeconfig: Path) -> None:
    need("kubernetes_asyncio")

    async def host_and_token() -> tuple[str, str]:
        client = await KubernetesClusterConfig.from_file(kubeconfig, "production").get_api_client()
        try:
            return client.configuration.host, client.configuration.api_key["BearerToken"]
        finally:
            await client.close()

    assert asyncio.run(host_and_token()) == ("https://two.example.com", "Bearer s3cr3t-of-bob")


def test_keys_may_stand_as_references(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block = AwsCredentials(
        aws_access_key_id="${env:KEY_ID}",
        aws_secret_access_key="${env:KEY_SECRET}",
        region_name="${env:KEY_REGION}",
        aws_client_parameters={"endpoint_url": "${env:KEY_URL}"},
    )
    assert not block.check()[0].ok
    for name, value in (("ID", "AKIA"), ("SECRET", SECRET), ("REGION", "eu-west-1"), ("URL", aws)):
        monkeypatch.setenv(f"KEY_{name}", value)
    assert block.check()[-1].ok
    assert block.get_s3_client().meta.region_name == "eu-west-1"
