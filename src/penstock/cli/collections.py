"""Packages of blocks that were apart in Prefect 2 and come with Penstock: their modules' names go on meaning something."""

_AWS, _GCP, _AZURE = (
    "penstock.blocks.credentials.aws",
    "penstock.blocks.credentials.gcp",
    "penstock.blocks.credentials.azure",
)
#: What follows ``prefect_`` or ``penstock_`` -> our modules with these blocks.
_OURS = {
    "aws": (_AWS, "penstock.infrastructure.ecs", "penstock.storage.s3"),
    "aws.credentials": (_AWS,),
    "aws.ecs": (_AWS, "penstock.infrastructure.ecs"),
    "aws.s3": (_AWS, "penstock.storage.s3"),
    "gcp": (_GCP, "penstock.infrastructure.cloud_run", "penstock.storage.gcs"),
    "gcp.cloud_run": (_GCP, "penstock.infrastructure.cloud_run"),
    "gcp.cloud_storage": (_GCP, "penstock.storage.gcs"),
    "gcp.credentials": (_GCP,),
    "azure": (_AZURE, "penstock.infrastructure.aci", "penstock.storage.azure"),
    "azure.container_instance": (_AZURE, "penstock.infrastructure.aci"),
    "azure.credentials": (_AZURE,),
    "bitbucket": ("penstock.blocks.credentials.code_hosts", "penstock.storage.git_hosts"),
    "github": ("penstock.storage.git",),
    "gitlab": ("penstock.blocks.credentials.code_hosts", "penstock.storage.git_hosts"),
}


def modules_meant(module: str) -> tuple[str, ...]:
    """Our modules with the blocks of ``prefect_aws.ecs`` and the like; the module itself if it is none of those."""
    for prefix in ("prefect_", "penstock_"):
        if module.startswith(prefix) and module.removeprefix(prefix) in _OURS:
            return _OURS[module.removeprefix(prefix)]
    return (module,)
