"""An agent on Kubernetes that starts Jobs in one or more namespaces, and may do there what it needs and no more. Pure."""

from dataclasses import dataclass

from penstock.infrastructure.kubernetes.installation import objects
from penstock.infrastructure.kubernetes.installation.objects import API_KEY
from penstock.infrastructure.kubernetes.permissions import rules
from penstock.model.base import JSONObject

NAME = "penstock-agent"
_COMPONENT = "agent"
_HEALTH_PORT = 8080
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class AgentOptions:
    """What can be chosen of an agent.

    `secret_name` holds the key that it shows the server, as ``api-key``; None: the server wants none. `api_key` None: that
    Secret is there already. `job_namespaces` are those that it starts Jobs in. `service_account` names one that there is;
    it is bound to the roles. None: one is made.
    """

    image: str
    api_url: str
    namespace: str = "default"
    work_queues: tuple[str, ...] = ("kubernetes",)
    pools: tuple[str, ...] = ()
    limit: int | None = None
    replicas: int = 1
    secret_name: str | None = None
    api_key: str | None = None
    service_account: str | None = None
    job_namespaces: tuple[str, ...] = ()


def agent_objects(options: AgentOptions) -> list[JSONObject]:
    """Everything that an agent needs, in the order in which it is applied."""
    found: list[JSONObject] = []
    meta = objects.metadata(NAME, options.namespace, _COMPONENT)
    if options.service_account is None:
        found.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    for namespace in options.job_namespaces or (options.namespace,):
        found += _roles(options, namespace)
    if options.secret_name is not None and options.api_key is not None:
        found.append(objects.secret({**meta, "name": options.secret_name}, {API_KEY: options.api_key}))
    return [*found, _deployment(options, meta)]


def _roles(options: AgentOptions, namespace: str) -> list[JSONObject]:
    meta = objects.metadata(NAME, namespace, _COMPONENT)
    account = {"kind": "ServiceAccount", "name": options.service_account or NAME, "namespace": options.namespace}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": meta, "rules": rules()},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [account],
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": NAME},
        },
    ]


def _deployment(options: AgentOptions, meta: JSONObject) -> JSONObject:
    env = [objects.variable("PENSTOCK_API_URL", options.api_url)]
    if options.secret_name is not None:
        env.append(objects.secret_variable("PENSTOCK_API_KEY", options.secret_name, API_KEY))
    main = objects.container(
        "agent",
        options.image,
        _arguments(options),
        env,
        ports=[{"name": "main", "containerPort": _HEALTH_PORT}],
        resources={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        startupProbe=objects.http_probe("/live", periodSeconds=2, failureThreshold=60),
        livenessProbe=objects.http_probe("/live", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        readinessProbe=objects.http_probe("/ready", periodSeconds=10, timeoutSeconds=5),
    )
    labels = objects.names_of(_COMPONENT, NAME)
    account = options.service_account or NAME
    spec: JSONObject = {
        "replicas": options.replicas,
        "selector": {"matchLabels": labels},
        "template": objects.pod(main, {"emptyDir": {}}, labels, serviceAccountName=account),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _arguments(options: AgentOptions) -> list[str]:
    words = ["penstock", "agent", "start"]
    words += [word for queue in options.work_queues for word in ("-q", queue)]
    words += [word for pool in options.pools for word in ("-p", pool)]
    if options.limit is not None:
        words += ["--limit", str(options.limit)]
    return [*words, "--wait", "--health-host", "0.0.0.0", "--health-port", str(_HEALTH_PORT)]
