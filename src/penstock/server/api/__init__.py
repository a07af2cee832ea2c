"""HTTP: a route parses its request, calls one operation and serializes the answer. Nothing else happens here."""

#: The modules whose `router` is part of the API, in the order in which their routes are matched:
#: what every run asks for comes first.
ROUTERS = (
    "penstock.server.api.reports",
    "penstock.server.api.attempts",
    "penstock.server.api.flow_runs",
    "penstock.server.api.agents",
    "penstock.server.api.deployments",
    "penstock.server.api.root",
    "penstock.server.api.admin",
    "penstock.server.api.flows",
    "penstock.server.api.task_runs",
    "penstock.server.api.bundles",
    "penstock.server.api.flow_run_inputs",
    "penstock.server.api.flow_run_graphs",
    "penstock.server.api.flow_run_waits",
    "penstock.server.api.flow_run_states",
    "penstock.server.api.task_run_states",
    "penstock.server.api.logs",
    "penstock.server.api.concurrency_slots",
    "penstock.server.api.concurrency_limits",
    "penstock.server.api.global_concurrency_limits",
    "penstock.server.api.variables",
    "penstock.server.api.artifacts",
    "penstock.server.api.saved_searches",
    "penstock.server.api.work_queues",
    "penstock.server.api.work_pools",
    "penstock.server.api.block_types",
    "penstock.server.api.block_schemas",
    "penstock.server.api.block_documents",
    "penstock.server.api.flow_run_notification_policies",
)
