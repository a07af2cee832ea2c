"""Settings: one table, read from the environment, the active profile, or the default, in that order.

Standard library only, because every command pays for this import. A setting is read when it is asked for, so that a test
or a flow that changes the environment is obeyed.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from penstock.errors import ConfigurationError, did_you_mean

PREFIX = "PENSTOCK_"


def _line_size(text: str) -> int:
    size = int(text)
    if not 200 <= size <= 1_000_000:
        raise ValueError("expected 200 to 1000000 bytes")
    return size


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("expected at least 1")
    return count


def _choice(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return read


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on", "t", "y"}:
        return True
    if word in {"0", "false", "no", "off", "f", "n", ""}:
        return False
    raise ValueError("expected true or false")


@dataclass(frozen=True)
class Setting:
    """One setting. `read` turns text into the value; `secret` values are masked wherever settings are shown.

    `for_jobs`: the job that runs a flow gets it from its agent. Everything else stays with the agent.
    """

    name: str
    read: Callable[[str], Any]
    default: Any
    meaning: str
    secret: bool = False
    for_jobs: bool = False


_TABLE = [
    Setting("PENSTOCK_HOME", str, "~/.penstock", "Folder of everything that Penstock keeps on this machine."),
    Setting("PENSTOCK_PROFILES_PATH", str, None, "File of the profiles; by default profiles.toml in PENSTOCK_HOME."),
    Setting("PENSTOCK_PROFILE", str, None, "Name of the active profile; by default the one chosen by `profile use`."),
    Setting(
        "PENSTOCK_API_URL",
        str,
        None,
        "The server's API, e.g. http://127.0.0.1:4200/api. Unset: a local server is started when one is needed.",
        for_jobs=True,
    ),
    Setting("PENSTOCK_API_KEY", str, None, "Key sent to the server.", secret=True),
    Setting(
        "PENSTOCK_API_REQUEST_TIMEOUT",
        float,
        60.0,
        "Seconds after which an unanswered request is given up and tried again.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_CLIENT_MAX_RETRIES",
        int,
        5,
        "How often a request is tried again after a connection error, 408, 429 or 5xx.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_CLIENT_RETRY_SECONDS",
        float,
        30.0,
        "Longest wait in seconds between two tries of a request.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_API_LOSS_SECONDS",
        float,
        3600.0,
        "How long a run goes on and keeps its reports when the API cannot be reached, in seconds.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_EPHEMERAL_IDLE_SECONDS",
        float,
        60.0,
        "Seconds without a request after which the local server that was started by itself leaves.",
    ),
    Setting("PENSTOCK_SERVER_API_HOST", str, "127.0.0.1", "Address that the server listens on."),
    Setting("PENSTOCK_SERVER_API_PORT", int, 4200, "Port that the server listens on."),
    Setting(
        "PENSTOCK_SERVER_API_KEY",
        str,
        None,
        "Key that the server demands. On loopback none is needed; elsewhere one is made at the first start if this is unset.",
        secret=True,
    ),
    Setting(
        "PENSTOCK_SERVER_KEY_FILE",
        str,
        None,
        "File of the server's own keys, which seal secrets of blocks and make attempt tokens; made at the first start, by default server.key in PENSTOCK_HOME.",
    ),
    Setting(
        "PENSTOCK_SERVER_KEYS",
        str,
        None,
        "The server's keys themselves instead of a file: Fernet keys with commas between them, the one that seals first.",
        secret=True,
    ),
    Setting(
        "PENSTOCK_SERVER_KEY_COMMAND",
        str,
        None,
        "Program that prints the server's keys, instead of a file: run once when the server starts, for at most 60 s.",
    ),
    Setting(
        "PENSTOCK_API_DATABASE_CONNECTION_URL",
        str,
        None,
        "Database: sqlite:///PATH or postgresql://…; by default penstock.db in PENSTOCK_HOME.",
        secret=True,
    ),
    Setting("PENSTOCK_API_DATABASE_POOL_SIZE", int, 8, "Connections to PostgreSQL that one server keeps."),
    Setting(
        "PENSTOCK_API_DATABASE_MIGRATE_ON_START",
        _boolean,
        True,
        "Whether the server brings its database to the newest schema when it starts.",
    ),
    Setting("PENSTOCK_API_SERVICES_SCHEDULER_ENABLED", _boolean, True, "Whether this server plans scheduled runs."),
    Setting("PENSTOCK_API_SERVICES_LATE_RUNS_ENABLED", _boolean, True, "Whether this server marks late runs."),
    Setting(
        "PENSTOCK_API_SERVICES_LATE_RUNS_AFTER_SECONDS",
        float,
        15.0,
        "Seconds past its time after which a scheduled run is called Late.",
    ),
    Setting(
        "PENSTOCK_API_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS",
        float,
        5.0,
        "Seconds between two looks at paused and suspended runs that nobody has resumed in time.",
    ),
    Setting(
        "PENSTOCK_API_SERVICES_FLOW_RUN_NOTIFICATIONS_ENABLED",
        _boolean,
        True,
        "Whether this server sends the messages of notification policies.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_LIMIT",
        _at_least_one,
        10,
        "Most messages that one notification policy sends within PENSTOCK_NOTIFICATIONS_LIMIT_SECONDS, repeated tries "
        "included. What is over it is gathered into one message.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_LIMIT_SECONDS", float, 60.0, "The seconds that PENSTOCK_NOTIFICATIONS_LIMIT counts in."
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_TRIES",
        _at_least_one,
        12,
        "How often a message that cannot be delivered is tried before it is given up; after a day it is in any case.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_RETRY_SECONDS",
        float,
        10.0,
        "First wait in seconds before such a message is tried again; it doubles each time, up to an hour.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_LEASE_SECONDS",
        float,
        30.0,
        "Seconds after which a message that was being sent by a server which is gone is sent by another, or after a restart.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_IDLE_SECONDS",
        float,
        30.0,
        "Seconds without a message after which the process that sends them leaves.",
    ),
    Setting(
        "PENSTOCK_NOTIFICATIONS_REFERENCES",
        _boolean,
        False,
        "Whether ${env:…} and ${file:…} in notifiers stand for variables and files of the server's machine when a "
        "notification policy uses them. Whoever may save blocks can then read these.",
    ),
    Setting("PENSTOCK_UI_URL", str, None, "Address of the user interface, for links to runs in messages."),
    Setting(
        "PENSTOCK_API_SERVICES_LIMITS_INTERVAL",
        float,
        1.0,
        "Seconds between two looks at start, run and cancel limits and leases.",
    ),
    Setting(
        "PENSTOCK_AGENT_LEASE_SECONDS",
        float,
        15.0,
        "Seconds that an agent's claim on its attempts holds without a sign of life.",
    ),
    Setting(
        "PENSTOCK_ATTEMPT_LOST_SECONDS",
        float,
        1200.0,
        "Seconds after which a running attempt that neither an agent nor its engine has spoken for is called lost. "
        "A network that is down for less costs no run.",
    ),
    Setting(
        "PENSTOCK_RUN_LOST_SECONDS",
        float,
        3900.0,
        "Seconds of silence after which a run that a program of its own executes is called lost. Keep it above "
        "PENSTOCK_API_LOSS_SECONDS, for which such a program goes on without the server.",
    ),
    Setting(
        "PENSTOCK_CONCURRENCY_LEASE_SECONDS",
        float,
        60.0,
        "Seconds for which the server keeps a concurrency slot for a holder that gives no sign of life; a run gives "
        "one every 10 s. A run that an agent started needs none: it holds its slots until it is over.",
    ),
    Setting(
        "PENSTOCK_TASK_RUN_TAG_CONCURRENCY_SLOT_WAIT_SECONDS",
        float,
        30.0,
        "Seconds after which a task run of a client of Prefect 2 asks again for a slot of a tag's limit.",
    ),
    Setting("PENSTOCK_ATTEMPT_START_LIMIT", float, 600.0, "Default start limit of attempts, in seconds."),
    Setting(
        "PENSTOCK_INFRA_RETRIES",
        int,
        3,
        "How often a run is launched again after its infrastructure failed: before user code ran, or because the platform took it away (Evicted, Preempted, NodeLost).",
    ),
    Setting(
        "PENSTOCK_INFRA_RETRY_DELAY_SECONDS", float, 2.0, "First delay before such a relaunch; it doubles each time."
    ),
    Setting("PENSTOCK_AGENT_NAME", str, None, "Name of the agent; by default made from the host's name."),
    Setting(
        "PENSTOCK_AGENT_DRAIN_SECONDS",
        float,
        0.0,
        "How long an agent that was asked to stop waits for its running attempts. They run on without it.",
    ),
    Setting(
        "PENSTOCK_AGENT_RAMP_UP",
        _at_least_one,
        None,
        "Most runs of an agent that may be on their way from its claim to user code at once. Unset: 32 may be launched at "
        "once, however many load their code.",
    ),
    Setting("PENSTOCK_AGENT_PREFETCH_SECONDS", float, 0.0, "How long before its time an agent may take a run."),
    Setting(
        "PENSTOCK_AGENT_WATCHDOG_SECONDS",
        float,
        120.0,
        "Seconds without progress of its loop after which an agent ends itself with an error.",
    ),
    Setting(
        "PENSTOCK_KUBERNETES_CLUSTER_ID",
        str,
        None,
        "What the agent calls the Kubernetes cluster; by default a hash of its API's address and certificate authority. "
        "Agents that reach one cluster by different addresses can take over each other's runs if they share it.",
    ),
    Setting(
        "PENSTOCK_LAUNCHER_HOME",
        str,
        None,
        "Folder of the launcher of local processes; by default launcher in PENSTOCK_HOME.",
    ),
    Setting(
        "PENSTOCK_LAUNCHER_IDLE_SECONDS",
        float,
        600.0,
        "Seconds without jobs and agents after which the launcher leaves.",
    ),
    Setting("PENSTOCK_LAUNCHER_WARM", _boolean, True, "Whether local processes may start from a warm interpreter."),
    Setting(
        "PENSTOCK_LOGGING_LEVEL",
        str,
        "INFO",
        "Level of the loggers of flows, tasks and Penstock itself.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_SETTINGS_PATH",
        str,
        None,
        "File that configures logging in the programs that run flows; by default logging.yml in PENSTOCK_HOME, if it is there.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_TO_API", _boolean, True, "Whether the logs of runs are sent to the server.", for_jobs=True
    ),
    Setting(
        "PENSTOCK_LOGGING_TO_API_MAX_LOG_SIZE",
        _line_size,
        16_000,
        "Most bytes of one log line that are sent to the server, 200 to 1000000. A longer one is cut there; whoever looks on "
        "sees all of it.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_TO_API_WHEN_MISSING_FLOW",
        _choice("ignore", "warn", "error"),
        "warn",
        "What happens when a line for the server is written outside of any run: ignore, warn (once for each logger), error.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_SPOOL_LIMIT_MB",
        float,
        256.0,
        "Most megabytes of reports that a run keeps on disk while the API is away; then its code waits where it logs.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_COLORS", _boolean, True, "Whether warnings and errors of runs are coloured on a terminal."
    ),
    Setting(
        "PENSTOCK_LOGGING_EXTRA_LOGGERS",
        str,
        "",
        "Names of further loggers, separated by commas, whose lines belong to the run.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOGGING_LOG_PRINTS",
        _boolean,
        False,
        "Whether print() in flows and tasks becomes a log line by default.",
        for_jobs=True,
    ),
    Setting("PENSTOCK_LOGGING_SERVER_LEVEL", str, "WARNING", "Level of the server's own loggers."),
    Setting(
        "PENSTOCK_BUNDLE_LIMIT_MB",
        float,
        500.0,
        "Most megabytes of files in a bundle of flow code: where it is packed, and on the server that keeps it.",
    ),
    Setting(
        "PENSTOCK_BUNDLE_DAYS",
        float,
        14.0,
        "Days after which the server removes a bundle that no deployment and no run uses.",
    ),
    Setting(
        "PENSTOCK_BUNDLE_CACHE_MB",
        float,
        2000.0,
        "Most megabytes of bundles that are kept in PENSTOCK_HOME where they are packed and where jobs run; the least recently used go first.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_LOCAL_STORAGE_PATH",
        str,
        None,
        "Folder for persisted results; by default storage in PENSTOCK_HOME.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_RESULTS_PERSIST_BY_DEFAULT",
        _boolean,
        False,
        "Whether flows and tasks that do not say write their results to storage.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_RESULTS_DEFAULT_SERIALIZER",
        str,
        "pickle",
        "Serializer of results: pickle, json, compressed/pickle, compressed/json, or the type of one of your own.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_DEFAULT_RESULT_STORAGE_BLOCK",
        str,
        None,
        "Storage block for results, as TYPE-SLUG/NAME; by default a folder, see PENSTOCK_LOCAL_STORAGE_PATH.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_TASKS_REFRESH_CACHE",
        _boolean,
        False,
        "Whether cached task results are ignored and made anew.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_RUN_ON_COMPLETION_HOOKS_ON_CACHED",
        _boolean,
        False,
        "Whether on_completion hooks of tasks are called for results that were taken from the cache.",
        for_jobs=True,
    ),
    Setting("PENSTOCK_TASK_DEFAULT_RETRIES", int, 0, "Retries of tasks that say nothing else.", for_jobs=True),
    Setting("PENSTOCK_FLOW_DEFAULT_RETRIES", int, 0, "Retries of flows that say nothing else.", for_jobs=True),
    Setting(
        "PENSTOCK_JOB_EXIT_SECONDS",
        float,
        60.0,
        "Seconds that threads which a flow has left behind may keep its job after the run's end.",
        for_jobs=True,
    ),
    Setting(
        "PENSTOCK_TASK_RUNNER_THREADS",
        int,
        64,
        "Most threads that the concurrent task runner uses at once.",
        for_jobs=True,
    ),
    Setting("PENSTOCK_CLI_COLORS", _boolean, True, "Whether the command line may use colours on a terminal."),
]
SETTINGS: dict[str, Setting] = {s.name: s for s in _TABLE}

#: Where a value came from.
ENVIRONMENT, PROFILE, DEFAULT = "env", "profile", "default"


def lookup(name: str) -> Setting:
    """The setting called `name`. Raises ConfigurationError with the nearest name if there is none."""
    setting = SETTINGS.get(name)
    if setting is None:
        raise ConfigurationError(f"There is no setting {name!r}.{did_you_mean(name, SETTINGS)}", code="unknown_setting")
    return setting


def parse(setting: Setting, text: str, source: str) -> Any:
    """`text` as the setting's value. Raises ConfigurationError that names the setting and `source`."""
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "the value" if setting.secret else repr(text)
        raise ConfigurationError(f"{setting.name} ({source}): {shown} cannot be used: {error}") from None


def home() -> Path:
    """The folder of everything kept on this machine. Not created here."""
    text = os.environ.get("PENSTOCK_HOME") or str(SETTINGS["PENSTOCK_HOME"].default)
    return Path(text).expanduser()


def profiles_path() -> Path:
    text = os.environ.get("PENSTOCK_PROFILES_PATH")
    return Path(text).expanduser() if text else home() / "profiles.toml"


@lru_cache(maxsize=8)
def _read_profiles(path: str, _stamp: tuple[int, int]) -> dict[str, Any]:
    import tomllib  # only where there are profiles: it costs as much as the rest of this module

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def profiles() -> dict[str, Any]:
    """The profiles file: ``active`` and ``profiles.<name>.<SETTING>``. Empty if there is none."""
    path = profiles_path()
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read_profiles(str(path), (stat.st_mtime_ns, stat.st_size))


def active_profile() -> str:
    """Name of the active profile: PENSTOCK_PROFILE, else the file's ``active``, else "default"."""
    return _active(profiles())


def _active(found: dict[str, Any]) -> str:
    return os.environ.get("PENSTOCK_PROFILE") or found.get("active") or "default"


def profile_values(name: str | None = None) -> Mapping[str, str]:
    """What the profile sets, as text. Raises ConfigurationError if PENSTOCK_PROFILE names a profile that does not exist."""
    found = profiles()
    wanted = name or _active(found)
    known: dict[str, Any] = found.get("profiles", {})
    if wanted not in known:
        if os.environ.get("PENSTOCK_PROFILE") == wanted and wanted != "default":
            raise ConfigurationError(
                f"PENSTOCK_PROFILE names the profile {wanted!r}, which does not exist.{did_you_mean(wanted, known)}"
            )
        return {}
    return {key: str(value) for key, value in known[wanted].items()}


def read(name: str) -> tuple[Any, str]:
    """The value of a setting and where it came from: "env", "profile" or "default"."""
    setting = lookup(name)
    text = os.environ.get(name)
    if text is not None and text != "":
        return parse(setting, text, "environment"), ENVIRONMENT
    if name not in {"PENSTOCK_HOME", "PENSTOCK_PROFILE", "PENSTOCK_PROFILES_PATH"}:
        values = profile_values()
        if name in values:
            return parse(setting, values[name], f"profile {active_profile()!r}"), PROFILE
    return setting.default, DEFAULT


def get(name: str) -> Any:
    """The value of a setting."""
    return read(name)[0]


def database_url() -> str:
    url = get("PENSTOCK_API_DATABASE_CONNECTION_URL")
    return str(url) if url else f"sqlite:///{home() / 'penstock.db'}"


def launcher_home() -> Path:
    path = get("PENSTOCK_LAUNCHER_HOME")
    return Path(path).expanduser() if path else home() / "launcher"


def for_jobs() -> dict[str, str]:
    """The settings that a job gets from its agent, as environment variables: allow-listed, and only where they were set."""
    found: dict[str, str] = {}
    for setting in SETTINGS.values():
        if setting.for_jobs:
            value, source = read(setting.name)
            if source != DEFAULT and value is not None:
                found[setting.name] = str(value)
    return found


#: What is no setting, but no typing error either: a job's assignment, tests, and values of the logging file.
_OTHERS = (
    "PENSTOCK__",
    "PENSTOCK_TEST_",
    *(f"PENSTOCK_LOGGING_{part}_" for part in ("FILTERS", "FORMATTERS", "HANDLERS", "LOGGERS", "ROOT")),
)


def unknown_variables() -> dict[str, str | None]:
    """PENSTOCK_ variables of the environment that are no settings, with the nearest name: typing errors, most likely."""
    from penstock.errors import nearest

    return {
        key: nearest(key, SETTINGS)
        for key in os.environ
        if key.startswith(PREFIX) and not key.startswith(_OTHERS) and key not in SETTINGS
    }
