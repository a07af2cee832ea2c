"""One PostgreSQL for one server: enough for a team, not a database that nobody has to look after. Pure."""

from urllib.parse import quote

from penstock.infrastructure.kubernetes.installation import objects
from penstock.infrastructure.kubernetes.installation.objects import DATABASE_URL
from penstock.model.base import JSONObject

NAME = "penstock-postgresql"
_COMPONENT, _PORT, _USER = "postgresql", 5432, "penstock"
_PASSWORD, _DATA = "password", "/var/lib/postgresql/data"
#: The user and group `postgres` of the official image.
_UID = 999


def postgresql_objects(
    namespace: str, password: str, image: str, storage_size: str, storage_class: str | None
) -> list[JSONObject]:
    """Secret, Service and StatefulSet. The Secret has the URL that the server connects to."""
    meta = objects.metadata(NAME, namespace, _COMPONENT)
    url = f"postgresql://{_USER}:{quote(password, safe='')}@{NAME}:{_PORT}/{_USER}"
    labels = objects.names_of(_COMPONENT, NAME)
    service = objects.service(meta, _PORT, labels)
    service["spec"]["clusterIP"] = "None"
    claim = objects.claim({"name": "data"}, storage_size, storage_class)
    spec: JSONObject = {
        "serviceName": NAME,
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": _pod(image, labels),
        "volumeClaimTemplates": [{"metadata": claim["metadata"], "spec": claim["spec"]}],
    }
    return [
        objects.secret(meta, {_PASSWORD: password, DATABASE_URL: url}),
        service,
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec},
    ]


def _pod(image: str, labels: dict[str, str]) -> JSONObject:
    ready = {"exec": {"command": ["pg_isready", "-U", _USER, "-d", _USER]}, "periodSeconds": 5, "timeoutSeconds": 5}
    container = {
        "name": "postgresql",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            objects.variable("POSTGRES_USER", _USER),
            objects.variable("POSTGRES_DB", _USER),
            # a volume of its own may have a lost+found at its top
            objects.variable("PGDATA", f"{_DATA}/pgdata"),
            objects.secret_variable("POSTGRES_PASSWORD", NAME, _PASSWORD),
        ],
        "ports": [{"name": "main", "containerPort": _PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": ready,
        "livenessProbe": {**ready, "periodSeconds": 20, "failureThreshold": 6},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return {
        "metadata": {"labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _UID,
                "runAsGroup": _UID,
                "fsGroup": _UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "run", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        },
    }
