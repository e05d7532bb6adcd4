"""A code location whose runs say what they see of each other."""

import os
import time

import dagster as dg

runs_seen = []


@dg.op
def remember(context: dg.OpExecutionContext):
    runs_seen.append(context.run_id)
    os.write(1, b"written to the compute log\n")
    seen = {"seen": " ".join(runs_seen), "pid": str(os.getpid()), "session": str(os.getsid(0))}
    context.instance.add_run_tags(context.run_id, seen)


@dg.op
def wait():
    while True:
        time.sleep(0.1)


@dg.job(executor_def=dg.in_process_executor)
def remembering():
    remember()


@dg.job(executor_def=dg.in_process_executor)
def waiting():
    wait()


defs = dg.Definitions(jobs=[remembering, waiting])
