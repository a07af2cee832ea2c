"""The fields of the Docker Engine API's Config and HostConfig, as data: what may be set there beside the block's own fields.

An engine drops a field that it does not know without a word. What is listed is in the API since 1.41 (Docker 20.10) at the
latest, but for what `SINCE` says. Pure.
"""

from penstock.model.base import JSONObject

_TEXT: JSONObject = {"type": "string"}
_NUMBER: JSONObject = {"type": "integer"}
_SWITCH: JSONObject = {"type": "boolean"}
_MAP: JSONObject = {"type": "object", "additionalProperties": _TEXT}
_TEXTS: JSONObject = {"type": "array", "items": _TEXT}


def _closed(**fields: JSONObject) -> JSONObject:
    return {"type": "object", "properties": fields}


def _list_of(items: JSONObject) -> JSONObject:
    return {"type": "array", "items": items}


def _between(least: int, most: int) -> JSONObject:
    return {**_NUMBER, "minimum": least, "maximum": most}


def _at_least(least: int) -> JSONObject:
    return {**_NUMBER, "minimum": least}


def _one_of(*words: str) -> JSONObject:
    return {**_TEXT, "enum": [*words]}


_RATES = _list_of(_closed(Path=_TEXT, Rate=_at_least(0)))

#: The place of the API's HostConfig that the block's `host_config` stands for.
HOST_CONFIG: JSONObject = _closed(
    Annotations=_MAP,
    BlkioDeviceReadBps=_RATES,
    BlkioDeviceReadIOps=_RATES,
    BlkioDeviceWriteBps=_RATES,
    BlkioDeviceWriteIOps=_RATES,
    BlkioWeight=_between(0, 1000),
    BlkioWeightDevice=_list_of(_closed(Path=_TEXT, Weight=_between(0, 1000))),
    Cgroup=_TEXT,
    CgroupParent=_TEXT,
    CgroupnsMode=_one_of("private", "host"),
    ConsoleSize=_list_of(_at_least(0)),
    CpuCount=_at_least(0),
    CpuPercent=_between(0, 100),
    CpuPeriod=_at_least(0),
    CpuQuota=_at_least(-1),
    CpuRealtimePeriod=_at_least(0),
    CpuRealtimeRuntime=_at_least(0),
    CpuShares=_at_least(0),
    CpusetCpus=_TEXT,
    CpusetMems=_TEXT,
    DeviceCgroupRules=_TEXTS,
    DeviceRequests=_list_of(
        _closed(Driver=_TEXT, Count=_at_least(-1), DeviceIDs=_TEXTS, Capabilities=_list_of(_TEXTS), Options=_MAP)
    ),
    DnsOptions=_TEXTS,
    DnsSearch=_TEXTS,
    GroupAdd=_TEXTS,
    IOMaximumBandwidth=_at_least(0),
    IOMaximumIOps=_at_least(0),
    IpcMode=_TEXT,
    Isolation=_one_of("default", "process", "hyperv"),
    Links=_TEXTS,
    LogConfig=_closed(Type=_TEXT, Config=_MAP),
    MaskedPaths=_TEXTS,
    MemoryReservation=_at_least(0),
    MemorySwappiness=_between(0, 100),
    OomKillDisable=_SWITCH,
    OomScoreAdj=_between(-1000, 1000),
    PidMode=_TEXT,
    PublishAllPorts=_SWITCH,
    ReadonlyPaths=_TEXTS,
    SecurityOpt=_TEXTS,
    StorageOpt=_MAP,
    Sysctls=_MAP,
    UTSMode=_TEXT,
    UsernsMode=_TEXT,
    VolumeDriver=_TEXT,
    VolumesFrom=_TEXTS,
)

#: The place of the API's Config that the block's `config` stands for.
CONFIG: JSONObject = _closed(
    ArgsEscaped=_SWITCH,
    Domainname=_TEXT,
    Healthcheck=_closed(
        Test=_TEXTS,
        Interval=_at_least(0),
        Timeout=_at_least(0),
        Retries=_at_least(0),
        StartPeriod=_at_least(0),
        StartInterval=_at_least(0),
    ),
    Hostname=_TEXT,
    MacAddress=_TEXT,
    OnBuild=_TEXTS,
    Shell=_TEXTS,
    StopSignal=_TEXT,
)

_READS_OUTPUT = "Penstock reads what the container says, which is not attached to anybody's terminal"
#: field of the API -> the block's own field that says it, or why nothing does
OWNED: dict[str, dict[str, str]] = {
    "host_config": {
        "AutoRemove": "auto_remove",
        "Binds": "volumes",
        "CapAdd": "cap_add",
        "CapDrop": "cap_drop",
        "Devices": "devices",
        "Dns": "dns",
        "ExtraHosts": "extra_hosts",
        "Init": "init",
        "Memory": "mem_limit",
        "MemorySwap": "memswap_limit",
        "Mounts": "mounts",
        "NanoCpus": "cpus",
        "NetworkMode": "network_mode",
        "PidsLimit": "pids_limit",
        "PortBindings": "ports",
        "Privileged": "privileged",
        "ReadonlyRootfs": "read_only",
        "RestartPolicy": "whether a run is tried again is decided by who knows what it did: use the flow's retries",
        "Runtime": "runtime",
        "ShmSize": "shm_size",
        "Tmpfs": "tmpfs",
        "Ulimits": "ulimits",
    },
    "config": {
        "AttachStderr": _READS_OUTPUT,
        "AttachStdin": _READS_OUTPUT,
        "AttachStdout": _READS_OUTPUT,
        "Cmd": "command",
        "Entrypoint": "entrypoint",
        "Env": "env",
        "ExposedPorts": "ports",
        "Image": "image",
        "Labels": "labels",
        "Name": "containers are called after their attempts, so that they are found again; the field 'name' is a label",
        "NetworkDisabled": "network_mode",
        "OpenStdin": _READS_OUTPUT,
        "StdinOnce": _READS_OUTPUT,
        "StopTimeout": "grace_seconds",
        "Tty": _READS_OUTPUT,
        "User": "user",
        "Volumes": "volumes",
        "WorkingDir": "working_dir",
    },
}

#: What came after 1.41: path in the body of the request -> version of the API.
SINCE: dict[tuple[str, ...], tuple[int, int]] = {
    ("HostConfig", "Annotations"): (1, 43),
    ("HostConfig", "ConsoleSize"): (1, 42),
    ("Healthcheck", "StartInterval"): (1, 44),
}
