"""A person at a terminal: the interpreter's prompt, IPython's, the debugger's."""

DEFINE = "from penstock import flow, task"


def test_ctrl_c_in_the_interpreter_stops_the_flow_and_the_next_call_works(place):
    with place.terminal("-i", "-q") as repl:
        repl.expect(">>> ")
        repl.type("import time; " + DEFINE)
        repl.send("@flow\ndef typed(seconds):\n    time.sleep(seconds)\n    return 42\n")
        repl.expect("... ")
        repl.expect(">>> ")
        repl.send("typed(1000)")
        place.wait_for_states("typed", "Running")
        repl.ctrl_c()
        said = repl.expect(">>> ")
        assert "KeyboardInterrupt" in said
        assert place.states("typed") == ["Crashed"]
        assert "42" in repl.type("typed(0)")
        assert place.states("typed") == ["Crashed", "Completed"]
        (crashed, completed) = place.runs("typed")
        assert crashed.state.state_details.reason == "Signalled"
        assert completed.flow_version is None


def test_ctrl_c_in_ipython_stops_the_flow_and_the_next_call_works(place):
    with place.terminal("-m", "IPython", "--simple-prompt", "--no-banner", prompt="In [") as shell:
        shell.expect("In [")
        shell.type("import asyncio, time; " + DEFINE)
        shell.type("in_shell = flow(name='in-shell')(lambda seconds: time.sleep(seconds) or 42)")
        shell.send("in_shell(1000)")
        place.wait_for_states("in-shell", "Running")
        shell.ctrl_c()
        assert "KeyboardInterrupt" in shell.expect("In [")
        assert "42" in shell.type("in_shell(0)")
        assert place.states("in-shell") == ["Crashed", "Completed"]
        shell.type("exec('async def f(seconds):\\n await asyncio.sleep(seconds)\\n return 43')")
        shell.type("awaited_shell = flow(name='awaited-shell')(f)")
        assert "43" in shell.type("await awaited_shell(0)")
        shell.send("await awaited_shell(1000)")
        place.wait_for_states("awaited-shell", "Completed", "Running")
        shell.ctrl_c()
        shell.expect("In [")
        assert place.states("awaited-shell") == ["Completed", "Crashed"]
        assert place.runs("awaited-shell")[-1].state.state_details.reason == "Signalled"


def test_the_asyncio_prompt_awaits_flows(place):
    with place.terminal("-m", "asyncio") as repl:
        repl.expect(">>> ")
        repl.type("import asyncio; " + DEFINE)
        repl.send("@flow\nasync def at_prompt(n):\n    await asyncio.sleep(0)\n    return n + 1\n")
        repl.expect("... ")
        repl.expect(">>> ")
        assert "42" in repl.type("await at_prompt(41)")
        assert place.states("at-prompt") == ["Completed"]


DEBUGGED = """
    import pdb  # which takes its time, and the task shall have no part in that
    import time
    from penstock import flow, task

    @task(timeout_seconds=4)
    def looked_at(x):
        secret = x + 1
        breakpoint()
        print("after", secret)
        return secret

    @flow(log_prints=True)
    def debugged():
        return {call}

    print("returned", debugged())
"""


def debug(place, call):
    path = place.file("debugged.py", DEBUGGED.format(call=call))
    with place.terminal(path, prompt="(Pdb) ") as debugger:
        debugger.expect("(Pdb) ")
        assert "42" in debugger.type("p secret")
        lines = debugger.type("list")
        assert "secret = x + 1" in lines
        assert "| INFO" not in lines
        # longer than the task's timeout: it does not run out while somebody looks
        assert "slept" in debugger.type("!time.sleep(4.5) or 'slept'")
        debugger.send("c")
        said = debugger.expect("returned 42")
        assert "after 42" in said


def test_breakpoint_in_a_task_of_the_main_thread(place):
    debug(place, "looked_at(41)")


def test_breakpoint_in_a_submitted_task(place):
    debug(place, "looked_at.submit(41).result()")


def test_post_mortem_starts_in_the_users_code(place):
    path = place.file(
        "postmortem.py",
        """
        import pdb, sys
        from penstock import flow, task

        @task
        def breaks(secret):
            raise ValueError(secret)

        @flow
        def broken():
            breaks(41)

        try:
            broken()
        except ValueError:
            pdb.post_mortem()
    """,
    )
    with place.terminal(path, prompt="(Pdb) ") as debugger:
        debugger.expect("(Pdb) ")
        assert "41" in debugger.type("p secret")
        assert "breaks(41)" in debugger.type("up") + debugger.type("up")
