"""Concurrency limits, under the module name that users of Prefect 2 know: `sync` for threads, `asyncio` for coroutines."""
