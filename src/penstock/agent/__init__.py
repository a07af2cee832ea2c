"""The agent: takes due runs from queues, starts their jobs, and keeps the server's picture of them true.

It is started as a process (`python -m penstock.agent`) and holds nothing that matters: attempts live on the server,
jobs on their platform. An agent that is killed and started again gets its attempts back with its first poll.
"""
