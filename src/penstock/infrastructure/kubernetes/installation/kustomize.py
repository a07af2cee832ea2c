"""The same manifests as folders for `kubectl apply -k`: without Secrets, so that they can lie in a repository. Pure."""

from penstock.infrastructure.images import default_image
from penstock.infrastructure.kubernetes.installation import objects
from penstock.infrastructure.kubernetes.installation.agent import AgentOptions, agent_objects
from penstock.infrastructure.kubernetes.installation.objects import DATABASE_URL
from penstock.infrastructure.kubernetes.installation.server import NAME, PORT, ServerOptions, server_objects
from penstock.model.base import JSONObject

#: The Python of the images that the folders name.
PYTHON = (3, 11)
NAMESPACE = "penstock"
DATABASE_SECRET = "penstock-database"
_HEAD = "# Made by scripts/kustomize.py from what `penstock kubernetes manifest` prints. Change it in an overlay of yours.\n"


def files() -> dict[str, str]:
    """Path below ``deploy/kustomize`` -> text."""
    found: dict[str, str] = {}
    for name, parts in _bases().items():
        found[f"base/{name}/{name}.yaml"] = _HEAD + objects.to_yaml(objects.without_secrets(parts))
        found[f"base/{name}/kustomization.yaml"] = _HEAD + objects.to_yaml([_kustomization([f"{name}.yaml"])])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    for name in _bases():
        if name != "agent":
            folder = f"overlays/{name.removeprefix('server-')}"
            resources = ["namespace.yaml", f"../../base/{name}", "../../base/agent"]
            found[f"{folder}/namespace.yaml"] = _HEAD + objects.to_yaml([namespace])
            kustomization = {**_kustomization(resources), "namespace": NAMESPACE}
            found[f"{folder}/kustomization.yaml"] = _HEAD + objects.to_yaml([kustomization])
    return found


def _bases() -> dict[str, list[JSONObject]]:
    image = default_image(python=PYTHON)
    api_url = f"http://{NAME}:{PORT}/api"
    return {
        "server-sqlite": server_objects(ServerOptions(image, NAMESPACE)),
        "server-postgresql": server_objects(ServerOptions(image, NAMESPACE, replicas=2, postgres_password="")),
        "server-external-database": server_objects(
            ServerOptions(image, NAMESPACE, replicas=2, database_secret=(DATABASE_SECRET, DATABASE_URL))
        ),
        "agent": agent_objects(AgentOptions(image, api_url, NAMESPACE, secret_name=NAME)),
    }


def _kustomization(resources: list[str]) -> JSONObject:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
