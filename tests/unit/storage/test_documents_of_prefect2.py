"""Storage blocks load from the data that Prefect 2 and its collections have saved."""

from typing import Any

import pytest

from penstock.blocks.reading import read_claimed
from penstock.model.attempts import InfrastructureDocument
from penstock.storage.fsspec_storage import FsspecStorage

_CLIENT = {
    "api_version": None,
    "use_ssl": True,
    "verify": True,
    "verify_cert_path": None,
    "endpoint_url": "http://minio:9000",
    "config": None,
}
_AWS = {
    "aws_access_key_id": "AKIA",
    "aws_secret_access_key": "secret",
    "aws_session_token": None,
    "profile_name": None,
    "region_name": "eu-central-1",
    "aws_client_parameters": _CLIENT,
}
_MINIO = {
    "minio_root_user": "root",
    "minio_root_password": "secret",
    "region_name": None,
    "aws_client_parameters": _CLIENT,
}
_GCP = {"service_account_file": None, "service_account_info": None, "project": "p"}
_AZURE = {
    "bucket_path": "container/flows",
    "azure_storage_connection_string": "AccountName=a;AccountKey=k",
    "azure_storage_account_name": None,
    "azure_storage_account_key": None,
    "azure_storage_tenant_id": None,
    "azure_storage_client_id": None,
    "azure_storage_client_secret": None,
}
_SMB = {"share_path": "/share/flows", "smb_username": "me", "smb_password": "secret", "smb_host": "h", "smb_port": None}


@pytest.mark.parametrize(
    ("slug", "data", "location"),
    [
        ("s3", {"bucket_path": "b-1/x/", "aws_access_key_id": "a", "aws_secret_access_key": "s"}, "s3://b-1/x"),
        ("s3", {"bucket_path": "b-1", "aws_access_key_id": None, "aws_secret_access_key": None}, "s3://b-1"),
        ("s3-bucket", {"bucket_name": "b-1", "credentials": _AWS, "bucket_folder": "x/"}, "s3://b-1/x"),
        ("s3-bucket", {"bucket_name": "b-1", "credentials": _MINIO, "bucket_folder": ""}, "s3://b-1"),
        (
            "s3-bucket",
            {"bucket_name": "b-1", "credentials": {**_MINIO, "block_type_slug": "minio-credentials"}},
            "s3://b-1",
        ),
        ("gcs", {"bucket_path": "b-1/x", "service_account_info": None, "project": None}, "gs://b-1/x"),
        ("gcs-bucket", {"bucket": "b-1", "gcp_credentials": _GCP, "bucket_folder": "x/"}, "gs://b-1/x"),
        ("azure", _AZURE, "az://container/flows"),
        ("azure", {**_AZURE, "azure_storage_anon": True, "azure_storage_container": None}, "az://container/flows"),
        ("smb", _SMB, "smb://h/share/flows"),
        ("remote-file-system", {"basepath": "s3://b-1/x/", "settings": {"key": "k"}}, "s3://b-1/x/"),
    ],
)
def test_a_storage_block_of_prefect_2_is_loaded(slug: str, data: dict[str, Any], location: str) -> None:
    block = read_claimed(InfrastructureDocument(slug=slug, name="old", data=data, version="0.4.1"))
    assert isinstance(block, FsspecStorage)
    assert block.location() == location


def test_the_keys_of_a_bucket_of_prefect_2_are_used() -> None:
    for credentials, names in ((_AWS, ("AKIA", "secret")), (_MINIO, ("root", "secret"))):
        data = {"bucket_name": "b-1", "credentials": credentials, "bucket_folder": ""}
        block: Any = read_claimed(InfrastructureDocument(slug="s3-bucket", name="old", data=data))
        options = block.options()
        assert (options["key"], options["secret"]) == names
        assert options["client_kwargs"]["endpoint_url"] == "http://minio:9000"


def test_a_local_folder_and_a_repository_of_prefect_2_are_loaded() -> None:
    for slug, data in (
        ("local-file-system", {"basepath": "/srv/flows"}),
        ("local-file-system", {"basepath": None}),
        (
            "github",
            {
                "repository": "https://github.com/a/b",
                "reference": None,
                "access_token": None,
                "include_git_objects": True,
            },
        ),
    ):
        block = read_claimed(InfrastructureDocument(slug=slug, name="old", data=data))
        assert {name: getattr(block, name) for name in data} == data
