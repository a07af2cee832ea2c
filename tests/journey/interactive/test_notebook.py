"""A real kernel: cells with flows of every kind, errors, interrupts."""


def test_a_cell_calls_a_flow_with_tasks(notebook, place):
    answer = notebook.run("""
        from penstock import flow, task

        @task
        def double(x):
            return 2 * x

        @flow(log_prints=True)
        def in_a_cell(n):
            print("in the flow")
            return sum(future.result() for future in double.map(range(n)))

        in_a_cell(4)
    """)
    assert answer["error"] == "", answer
    assert answer["result"] == "12"
    assert "in the flow" in answer["stderr"]
    assert place.states("in-a-cell") == ["Completed"]


def test_a_cell_awaits_a_flow(notebook, place):
    answer = notebook.run("""
        import asyncio

        @task
        async def later(x):
            await asyncio.sleep(0)
            return x

        @flow
        async def awaited_below(x):
            return await later(x)

        @flow
        async def awaited(n):
            futures = [later.submit(x) for x in range(n)]
            return sum([await future.result() for future in futures]) + await awaited_below(10) + double(1)

        await awaited(4)
    """)
    assert answer["error"] == "", answer
    assert answer["result"] == "18"
    assert place.states("awaited") == place.states("awaited-below") == ["Completed"]


def test_a_synchronous_flow_may_call_what_is_asynchronous_although_a_loop_runs(notebook):
    answer = notebook.run("""
        @flow
        def mixed():
            return later(1) + later.submit(2).result() + awaited_below(3) + in_a_cell(2)

        mixed()
    """)
    assert answer["error"] == "", answer
    assert answer["result"] == "8"


def test_an_error_shows_the_users_frames(notebook):
    notebook.run("""
        @task
        def breaks(x):
            raise ValueError("no such thing")

        @flow
        def broken():
            return breaks(1)

        @flow
        def broken_beside():
            return breaks.submit(1).result()
    """)
    for flow in ("broken", "broken_beside"):
        answer = notebook.run(f"{flow}()")
        assert answer["name"] == "ValueError"
        assert "no such thing" in answer["error"]
        assert "/penstock/engine/" not in answer["error"], answer["error"]
        assert "/penstock/model/" not in answer["error"], answer["error"]
        assert answer["error"].count("Traceback") == 1
        assert "Traceback" not in answer["stderr"], answer["stderr"]


def test_an_interrupt_stops_the_flow_and_the_next_cell_runs(notebook, place):
    cell = notebook.start("""
        import time

        @task
        def endless():
            print("the task began", flush=True)
            while True:
                time.sleep(0.01)

        @flow
        def interrupted():
            endless.submit().result()

        interrupted()
    """)
    notebook.wait_for_output(cell, "the task began")
    notebook.interrupt()
    answer = notebook.answer(cell)
    assert answer["name"] == "KeyboardInterrupt", answer
    (run,) = place.runs("interrupted")
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", "Signalled")
    (task_run,) = place.client.read_task_runs(flow_run_filter={"id": {"any_": [str(run.id)]}})
    assert task_run.state_name == "Crashed"
    assert notebook.run("in_a_cell(2)")["result"] == "2"


def test_an_interrupt_stops_an_awaited_flow(notebook, place):
    cell = notebook.start("""
        @flow
        async def interrupted_await():
            print("it began", flush=True)
            await asyncio.sleep(1000)

        await interrupted_await()
    """)
    notebook.wait_for_output(cell, "it began")
    notebook.interrupt()
    answer = notebook.answer(cell)
    assert answer["name"] in {"KeyboardInterrupt", "CancelledError"}, answer
    (run,) = place.runs("interrupted-await")
    assert (run.state_name, run.state.state_details.reason) == ("Crashed", "Signalled")
    assert notebook.run("await awaited_below(5)")["result"] == "5"


def test_a_timeout_strikes_in_a_cell(notebook):
    answer = notebook.run("""
        @flow(timeout_seconds=0.2)
        def slow():
            time.sleep(1000)

        slow(return_state=True).name
    """)
    assert answer["result"] == "'TimedOut'", answer


def test_background_flows_of_the_notebooks_loop_run_side_by_side(notebook):
    answer = notebook.run("""
        running = [asyncio.create_task(awaited_below(n)) for n in range(3)]
        await asyncio.gather(*running)
    """)
    assert answer["result"] == "[0, 1, 2]", answer
