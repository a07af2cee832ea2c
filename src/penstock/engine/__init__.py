"""Runs inside every job and every `python flow.py`: loads the code, runs flow and tasks, reports every state home.

Layers inside, each file importing only what stands above it: annotations, interruption, moments → wire, outcomes →
outbox, reporter, session → context → run_logs, futures, inputs → steps, loop, task_runners → task_runs, task_calls,
flow_runs, flow_calls → code → job. It knows nothing of the infrastructure that started it, and of flows and tasks
only what `protocols` says.
"""

from penstock.lazy import public_names

_PUBLIC = dict.fromkeys(("pause_flow_run", "resume_flow_run", "suspend_flow_run"), "penstock.engine.run_control")
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
