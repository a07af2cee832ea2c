"""What runs around the calling code."""

from penstock.engine.context import FlowRunContext, TagsContext, TaskRunContext, get_run_context, tags

__all__ = ["FlowRunContext", "TagsContext", "TaskRunContext", "get_run_context", "tags"]
