"""What runs around the calling code, under the module name that users of Prefect 2 know."""

from penstock.sdk.context import FlowRunContext, TagsContext, TaskRunContext, get_run_context, tags

__all__ = ["FlowRunContext", "TagsContext", "TaskRunContext", "get_run_context", "tags"]
