"""The agent as the first process of a container.

The kernel hands every orphan of a container to its process 1, which has to collect it when it has died, and keeps from
process 1 each signal that it has no handler for (pid_namespaces(7)). So an agent that is process 1 forks: the parent
collects and passes signals on, the child is the agent. This is what tini and `docker run --init` do.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

_PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


def leave_pid1() -> None:
    """Return in a process that is not process 1. Anywhere but in a container's first process this does nothing.

    Call it before anything is imported that starts threads. The container ends with the exit code of the agent, or with
    128 and the number of the signal that ended it, as a shell has it.
    """
    if os.getpid() != 1:
        return
    waited_for = {*_PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    child = os.fork()
    if child:
        _keep_watch(child, waited_for)
    os.setpgid(0, 0)  # Ctrl-C at a terminal reaches a group: only the agent's, so that it counts one signal, not two
    _take_terminal()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _keep_watch(child: int, waited_for: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(waited_for)
        if number != signal.SIGCHLD:
            os.kill(child, number)  # it has not been collected, so the number is still its own
            continue
        for pid, status in _dead():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _dead() -> list[tuple[int, int]]:
    """Children that have ended, and orphans that became children; collected."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def _take_terminal() -> None:
    """Become the foreground group of the terminal, where there is one."""
    if not sys.stdin or not sys.stdin.isatty():
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # who asks for it from the background would be stopped
    try:
        os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    finally:
        signal.signal(signal.SIGTTOU, before)
