"""A stand-in for systems other than Linux: `python -m tests.other_system '[["predict", "a.jpg"]]'` runs commands on it.

What Windows lacks is removed from Python's modules, and files that are open or mapped cannot be replaced or removed.
"""

import builtins
import json
import multiprocessing
import os
import signal
import subprocess  # before the functions that it looks up when it is imported are gone
import sys
import tempfile

# libraries choose their functions by sys.platform, which stays what it is: they are imported while all of them are here
import filelock
import numpy
import torch

LIBRARIES = (subprocess, tempfile, filelock, numpy, torch)

MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "syslog", "curses")
FUNCTIONS = (
    "fork", "forkpty", "uname", "sysconf", "setpgrp", "setpgid", "getpgid", "getpgrp", "setsid", "killpg", "getuid",
    "geteuid", "getgid", "getegid", "getgroups", "setuid", "sched_getaffinity", "sched_setaffinity", "nice",
    "fchown", "chown", "lchown", "mkfifo", "mknod", "statvfs", "fstatvfs", "getloadavg", "wait", "wait3", "wait4",
    "waitid", "posix_fadvise", "posix_fallocate", "sync", "fdatasync", "ttyname", "ctermid", "openpty", "pipe2",
)  # fmt: skip
SIGNALS = ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGQUIT", "SIGTSTP", "SIGCONT",
           "alarm", "setitimer", "getitimer", "pthread_sigmask", "sigwait", "pause", "siginterrupt")  # fmt: skip


def in_use() -> set[str]:
    """Files that this process has open or mapped."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    with builtins.open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        found |= {fields[5].strip() for line in maps if len(fields := line.split(maxsplit=5)) == 6}
    return found


def guarded(function, position):
    """`function` of paths, which fails as on Windows where the path at `position` or before it is in use."""

    def guard(*paths, **options):
        for path in paths[: position + 1]:
            real = os.path.realpath(os.fsdecode(path)) if not isinstance(path, int) else ""
            if real and os.path.isfile(real) and real in in_use():
                raise PermissionError(13, "The process cannot access the file because it is being used", real)
        return function(*paths, **options)

    return guard


def become() -> None:
    for name in MODULES:
        sys.modules[name] = None
    for name in FUNCTIONS:
        vars(os).pop(name, None)
    for name in SIGNALS:
        vars(signal).pop(name, None)
    os.replace, os.rename = guarded(os.replace, 1), guarded(os.rename, 1)
    os.unlink = os.remove = guarded(os.unlink, 0)
    multiprocessing.set_start_method("spawn", force=True)


if __name__ == "__main__":
    become()
    from condetr.cli.app import main

    status = 0
    for words in json.loads(sys.argv[1]):
        sys.argv = ["condetr", *words]
        try:
            main()
        except SystemExit as end:
            if end.code:
                status = end.code
                print(f"{words[0]} ends with {end.code}", file=sys.stderr)
    sys.exit(status)
