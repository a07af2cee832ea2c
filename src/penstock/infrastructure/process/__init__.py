"""Local processes: jobs that run on the agent's own machine."""
