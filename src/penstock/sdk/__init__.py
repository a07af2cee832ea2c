"""What you write: flows, tasks, deployments. Light to import; the engine is loaded by the first call."""
