"""The table of commands: what `penstock --help` prints, and where each noun's commands are found.

Standard library only and nothing computed at import, because `penstock --help` is printed from here without Click. A
test keeps the summaries equal to those of the commands themselves.
"""

#: noun or verb -> (module in penstock.cli, summary), in groups as the help shows them.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start here": {
        "up": ("up", "Start a server and an agent in this terminal."),
        "run": ("run", "Run a flow of a file on infrastructure and follow it."),
        "doctor": ("doctor", "Check this machine, the server and the agents."),
    },
    "What runs": {
        "deployment": ("deployment", "Build, apply, run and manage deployments."),
        "flow": ("flow", "List flows."),
        "flow-run": ("flow_run", "List, inspect, follow, pause, cancel and delete flow runs."),
        "task-run": ("task_run", "List and inspect task runs, and print their logs."),
        "work-queue": ("work_queue", "Manage work queues."),
        "work-pool": ("work_pool", "Manage work pools."),
        "concurrency-limit": ("concurrency_limit", "Limit how many task runs with a tag run at once."),
        "global-concurrency-limit": ("global_concurrency_limit", "Manage limits that have a name."),
        "infrastructure": ("infrastructure", "Show what is sent to a platform, and check whether it would work."),
        "block": ("block", "Create, list, inspect, check and delete blocks and their types."),
        "notification": ("notification", "Have states of runs told by chat, mail or webhook."),
        "image": ("image", "Print the image that jobs use, and build images with your packages and flows."),
        "bundle": ("bundle", "List, inspect and delete the code that deployments brought along."),
        "variable": ("variable", "List, read, set and delete variables."),
        "artifact": ("artifact", "List, inspect and delete artifacts of runs."),
    },
    "What runs it": {
        "server": ("server", "Start the server and manage its database."),
        "agent": ("agent", "Start and list agents."),
        "kubernetes": ("kubernetes", "Print manifests of a server, an agent and flow runs for Kubernetes."),
    },
    "This command line": {
        "config": ("config", "View and change settings of the active profile."),
        "profile": ("profile", "Manage profiles, which are named sets of settings."),
        "api": ("api", "Send a request to the server's API."),
        "version": ("version", "Show the versions of Penstock and of what it stands on."),
        "help": ("help", "Show help on a command or a topic."),
    },
}

#: Other names of nouns; accepted, not shown.
ALIASES = {
    "agents": "agent",
    "artifacts": "artifact",
    "blocks": "block",
    "bundles": "bundle",
    "concurrency-limits": "concurrency-limit",
    "deployments": "deployment",
    "flow-runs": "flow-run",
    "flows": "flow",
    "gcl": "global-concurrency-limit",
    "images": "image",
    "infra": "infrastructure",
    "notifications": "notification",
    "profiles": "profile",
    "task-runs": "task-run",
    "variables": "variable",
    "work-pools": "work-pool",
    "work-queues": "work-queue",
}

#: Commands of Prefect 2 that there are not: what does the same here.
FORMER = {
    "deploy": "`penstock deployment build FILE.py:FLOW -n NAME --apply` deploys a flow.",
    "init": "Nothing has to be set up in a folder: `penstock deployment build FILE.py:FLOW -n NAME` deploys a flow.",
    "orion": "`penstock server start` starts the server.",
    "worker": "Agents take runs, from work pools too: `penstock agent start -p POOL`.",
    "automation": "`penstock notification create` has states of runs told.",
    "cloud": "`penstock config set PENSTOCK_API_URL=URL` says which server is meant.",
}

#: Options of `penstock` itself, as (flags, meaning).
ROOT_OPTIONS = (
    ("-p, --profile NAME", "Use this profile instead of the active one."),
    ("-q, --quiet", "Print data and errors only, no messages."),
    ("-v, --verbose", "Print each request to the server; -vv: tracebacks too."),
    ("--color WHEN", "Colours: auto, always or never."),
    ("--version", "Print the version and leave."),
    ("-h, --help", "Print this and leave."),
)


def commands() -> dict[str, tuple[str, str]]:
    """Every command in the order of the help."""
    return {name: entry for section in SECTIONS.values() for name, entry in section.items()}


def help_text() -> str:
    """What `penstock --help` prints."""
    lines = ["Usage: penstock [OPTIONS] COMMAND [ARGS]...", "", "  Penstock runs Python flows on infrastructure.", ""]
    width = max(map(len, commands()))
    for title, entries in SECTIONS.items():
        lines.append(f"{title}:")
        lines.extend(f"  {name:<{width}}  {summary}" for name, (_, summary) in entries.items())
        lines.append("")
    lines.append("Options:")
    lines.extend(f"  {flags:<20}  {meaning}" for flags, meaning in ROOT_OPTIONS)
    lines += ["", "Topics: `penstock help exit-codes`, `penstock help references`, `penstock help output`."]
    return "\n".join(lines) + "\n"
