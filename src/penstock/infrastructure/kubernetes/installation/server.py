"""A server on Kubernetes, with SQLite on a volume, a PostgreSQL of its own, or a database that there is. Pure."""

from dataclasses import dataclass

from penstock.errors import ConfigurationError
from penstock.infrastructure.kubernetes.installation import objects
from penstock.infrastructure.kubernetes.installation.objects import API_KEY, DATABASE_URL, SERVER_KEYS
from penstock.infrastructure.kubernetes.installation.postgresql import NAME as DATABASE
from penstock.infrastructure.kubernetes.installation.postgresql import postgresql_objects
from penstock.model.base import JSONObject

NAME = "penstock-server"
PORT = 4200
_COMPONENT = "server"


@dataclass(frozen=True)
class ServerOptions:
    """What can be chosen of a server.

    `secret_name` holds its keys: ``api-key``, which clients show, and ``server-keys``, which seal secrets of blocks.
    `api_key` and `server_keys` None: that Secret is there already and is not among the objects. `database_secret` is the
    Secret, and its key, with the URL of a PostgreSQL that there is; `postgres_password` makes one. Neither: SQLite.
    """

    image: str
    namespace: str = "default"
    log_level: str = "WARNING"
    replicas: int = 1
    secret_name: str = NAME
    api_key: str | None = None
    server_keys: str | None = None
    database_secret: tuple[str, str] | None = None
    postgres_password: str | None = None
    postgres_image: str = "postgres:16"
    storage_size: str = "5Gi"
    storage_class: str | None = None
    service_account: str | None = None

    @property
    def uses_sqlite(self) -> bool:
        return self.database_secret is None and self.postgres_password is None


def server_objects(options: ServerOptions) -> list[JSONObject]:
    """Everything that a server needs, in the order in which it is applied.

    Raises ConfigurationError for choices that exclude each other.
    """
    _check(options)
    found: list[JSONObject] = []
    if options.api_key is not None and options.server_keys is not None:
        contents = {API_KEY: options.api_key, SERVER_KEYS: options.server_keys}
        found.append(objects.secret(_metadata(options, options.secret_name), contents))
    if options.postgres_password is not None:
        found += postgresql_objects(
            options.namespace,
            options.postgres_password,
            options.postgres_image,
            options.storage_size,
            options.storage_class,
        )
    if options.uses_sqlite:
        found.append(objects.claim(_metadata(options, NAME), options.storage_size, options.storage_class))
    labels = objects.names_of(_COMPONENT, NAME)
    return [*found, _deployment(options, labels), objects.service(_metadata(options, NAME), PORT, labels)]


def _check(options: ServerOptions) -> None:
    if options.database_secret is not None and options.postgres_password is not None:
        raise ConfigurationError("A database of its own and one that there is exclude each other.")
    if options.uses_sqlite and options.replicas != 1:
        raise ConfigurationError(
            f"SQLite is one file of one server; {options.replicas} servers need a PostgreSQL.",
            hint="Give --with-postgres, or --database-url-secret NAME.",
        )


def _metadata(options: ServerOptions, name: str) -> JSONObject:
    return objects.metadata(name, options.namespace, _COMPONENT, NAME)


def _environment(options: ServerOptions) -> list[JSONObject]:
    env = [
        objects.secret_variable("PENSTOCK_SERVER_API_KEY", options.secret_name, API_KEY),
        objects.secret_variable("PENSTOCK_SERVER_KEYS", options.secret_name, SERVER_KEYS),
    ]
    database = options.database_secret
    if options.postgres_password is not None:
        database = (DATABASE, DATABASE_URL)
    if database is not None:
        env.append(objects.secret_variable("PENSTOCK_API_DATABASE_CONNECTION_URL", *database))
    return env


def _deployment(options: ServerOptions, labels: dict[str, str]) -> JSONObject:
    main = objects.container(
        "server",
        options.image,
        ["penstock", "server", "start", "--host", "0.0.0.0", "--port", str(PORT), "--log-level", options.log_level],
        _environment(options),
        ports=[{"name": "main", "containerPort": PORT}],
        resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        # the first start makes the database, which may take a while
        startupProbe=objects.http_probe("/api/health", periodSeconds=2, failureThreshold=90),
        livenessProbe=objects.http_probe("/api/health", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        readinessProbe=objects.http_probe("/api/ready", periodSeconds=5, timeoutSeconds=5),
    )
    more: JSONObject = {"automountServiceAccountToken": False}
    if options.service_account is not None:
        more["serviceAccountName"] = options.service_account
    home: JSONObject = {"emptyDir": {}}
    if options.uses_sqlite:
        home = {"persistentVolumeClaim": {"claimName": NAME}}
    spec: JSONObject = {
        "replicas": options.replicas,
        # one file, one server: the old one has to be gone before the new one opens it
        "strategy": {"type": "Recreate" if options.uses_sqlite else "RollingUpdate"},
        "selector": {"matchLabels": labels},
        "template": objects.pod(main, home, labels, **more),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(options, NAME), "spec": spec}
