"""Trials in worker processes of this machine.

Workers are forked from one server process that has torch imported already, and each takes one trial after another: a
further trial costs a message through a pipe. A worker that dies, hangs or asks for too much memory costs its own
trial; another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait

from ..claim import Outcome, Trial

SECONDS = {"smoke": 60.0, "quick": 300.0, "full": 7 * 24 * 3600.0}
GIGABYTE = 2**30


class LocalRunner:
    """Runs trials on `jobs` worker processes, each on one thread.

    Args:
        jobs: how many trials run side by side.
        seconds: time limit of a trial; by default it depends on the budget (`SECONDS`).
        memory: bytes a worker may allocate; by default 6 GiB.
    """

    def __init__(self, jobs: int = 1, *, seconds: float | None = None, memory: int = 6 * GIGABYTE):
        self.jobs, self.seconds, self.memory = jobs, seconds, memory
        self._idle: list[_Worker] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Stop the idle workers."""
        while self._idle:
            self._idle.pop().stop()

    def run(self, trials: Iterable[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Yield (trial, outcome) as they finish; the next trial is asked for only when a worker is free.

        Leaving the loop early stops the trials under way. An error that is no trial's own (a wrong data file,
        a missing package) is raised here.
        """
        todo, busy = iter(trials), []
        try:
            while True:
                while len(busy) < self.jobs and (trial := next(todo, None)) is not None:
                    busy.append(self._started(trial))
                if not busy:
                    return
                patience = min(worker.deadline for worker in busy) - time.monotonic()
                wait([handle for worker in busy for handle in (worker.pipe, worker.process.sentinel)], max(0.0, patience))
                for worker in [worker for worker in busy if worker.settled()]:
                    busy.remove(worker)
                    answer = worker.collect()
                    if worker.process.is_alive():
                        self._idle.append(worker)
                    if isinstance(answer, Exception):
                        raise answer
                    yield worker.trial, answer
        finally:
            for worker in busy:
                worker.kill()

    def _started(self, trial: Trial) -> _Worker:
        """A worker with this trial: an idle one that still lives, else a new one."""
        seconds = self.seconds or SECONDS[trial.budget]
        while self._idle:
            worker = self._idle.pop()
            try:
                return worker.start(trial, seconds)
            except OSError:  # it died while it was idle
                worker.kill()
        return _Worker(self.memory).start(trial, seconds)


class _Worker:
    def __init__(self, memory: int):
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(["torch", "sklearn.datasets", "bakeoff.trials", "bakeoff.runners.local"])
        self.pipe, far_end = server.Pipe()
        far_life, self.life = server.Pipe(duplex=False)
        self.process = server.Process(target=_work, args=(far_end, far_life, memory), daemon=True)
        self.process.start()
        far_end.close()
        far_life.close()

    def start(self, trial: Trial, seconds: float) -> _Worker:
        self.trial, self.seconds = trial, seconds
        self.started = time.monotonic()
        self.deadline = self.started + seconds
        self.pipe.send(trial)
        return self

    def settled(self) -> bool:
        return self.pipe.poll() or not self.process.is_alive() or time.monotonic() >= self.deadline

    def collect(self) -> Outcome | Exception:
        """The worker's answer; for one that has none, what became of it."""
        try:
            if self.pipe.poll():
                return self.pipe.recv()
        except (EOFError, OSError):
            pass  # it died while it was answering: told below
        spent = time.monotonic() - self.started
        hung = spent >= self.seconds
        self.kill()
        if hung:
            return Outcome("timeout", seconds=spent, error=f"stopped after {self.seconds:g} s, the time limit of a trial")
        code = self.process.exitcode
        cause = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        return Outcome("error", seconds=spent, error=f"the worker process died ({cause}); out of memory, or a crash in native code")

    def kill(self) -> None:
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        self.pipe.close()  # an idle worker reads the end of the pipe and leaves
        self.life.close()
        self.process.join()


def confine(memory: int) -> None:
    """Bound what this process may allocate, and let it die without a core file."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _work(pipe, life, memory: int) -> None:
    threading.Thread(target=_die_with, args=(life,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine(memory)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    from .. import trials
    while True:
        try:
            trial = pipe.recv()
        except EOFError:
            return
        try:
            answer = trials.run(trial)
        except Exception as problem:
            answer = problem
        pipe.send(answer)


def _die_with(life) -> None:
    """End this process when the other end of the pipe closes: when the run has ended, even by kill -9."""
    wait([life])
    os._exit(1)
