"""Trials as Ray tasks: on this machine, or on a cluster that `RAY_ADDRESS` names. Same form as the local runner."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator

from ..claim import Outcome, Trial
from ..errors import MissingPackage
from .local import GIGABYTE, SECONDS, confine


class RayRunner:
    """Runs trials as Ray tasks, `jobs` at a time.

    Args:
        jobs: how many trials run side by side.
        seconds: time limit of a trial; by default it depends on the budget (`local.SECONDS`).
        memory: bytes a worker may allocate; by default 6 GiB.
    """

    def __init__(self, jobs: int = 1, *, seconds: float | None = None, memory: int = 6 * GIGABYTE):
        self.jobs, self.seconds, self.memory = jobs, seconds, memory
        self._task = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Leave Ray."""
        if self._task is not None:
            import ray
            ray.shutdown()
            self._task = None

    def run(self, trials: Iterable[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Yield (trial, outcome) as they finish; the next trial is asked for only when a place is free.

        Leaving the loop early stops the trials under way. An error that is no trial's own (a wrong data file,
        a missing package) is raised here.
        """
        ray, todo, busy = self._start(), iter(trials), {}
        try:
            while True:
                while len(busy) < self.jobs and (trial := next(todo, None)) is not None:
                    limit = self.seconds or SECONDS[trial.budget]
                    busy[self._task.remote(trial, self.memory)] = (trial, time.monotonic(), limit)
                if not busy:
                    return
                patience = min(started + limit for _, started, limit in busy.values()) - time.monotonic()
                ready, _ = ray.wait(list(busy), num_returns=1, timeout=max(0.0, patience))
                late = [one for one, (_, started, limit) in busy.items() if one not in ready and time.monotonic() - started >= limit]
                for one in (*ready, *late):
                    trial, started, limit = busy.pop(one)
                    if one in late:
                        ray.cancel(one, force=True)
                        yield trial, Outcome("timeout", seconds=time.monotonic() - started,
                                             error=f"stopped after {limit:g} s, the time limit of a trial")
                    else:
                        yield trial, self._answer(ray, one, started)
        finally:
            for one in busy:
                ray.cancel(one, force=True)

    def _answer(self, ray, one, started: float) -> Outcome:
        try:
            answer = ray.get(one)
        except ray.exceptions.RayError as problem:
            return Outcome("error", seconds=time.monotonic() - started, error=f"the worker process died: {str(problem).splitlines()[0]}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _start(self):
        try:
            import ray
        except ImportError:
            raise MissingPackage("ray", "ray") from None
        if self._task is None:
            where = {"address": os.environ["RAY_ADDRESS"]} if "RAY_ADDRESS" in os.environ else {"num_cpus": self.jobs}
            ray.init(include_dashboard=False if "num_cpus" in where else None, log_to_driver=False, logging_level="error",
                     ignore_reinit_error=True, **where)
            self._task = ray.remote(num_cpus=1, max_retries=0)(_work)
        return ray


def _work(trial: Trial, memory: int) -> Outcome | Exception:
    from .. import trials
    confine(memory)
    try:
        return trials.run(trial)
    except Exception as problem:
        return problem
