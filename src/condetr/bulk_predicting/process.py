"""A worker process: `python -m condetr.bulk_predicting.process`, which talks to the process that started it.

Standard input has one line of JSON with the task, then one line for each shard, a list of images. The reply to each
line, on standard output, is a line of JSON: {"size": N}, followed by N bytes, or {"error": text}. At the end of
standard input, which also comes when the other process is killed, this process ends at once.
"""

import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # and so is the end of the terminal
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, lines), daemon=True).start()

    from ..errors import CondetrError
    from .images import Image
    from .task import Shards, Task

    try:
        shards = Shards(Task(**json.loads(lines.get())))
        _reply(replies, {"size": 0})
        while True:
            _reply(replies, {}, shards.predict([Image(*fields) for fields in json.loads(lines.get())]))
    except CondetrError as error:
        _reply(replies, {"error": str(error)})


def _listen(commands: Any, lines: "SimpleQueue[bytes]") -> None:
    for line in commands:
        lines.put(line)
    os._exit(0)


def _reply(replies: BinaryIO, header: dict[str, Any], content: bytes = b"") -> None:
    replies.write(json.dumps({"size": len(content), **header}).encode() + b"\n" + content)
    replies.flush()


if __name__ == "__main__":
    main()
