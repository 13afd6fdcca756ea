"""Serve the stand-in repositories for trying commands by hand: python -m tests.hub [--port 8321] [--all]

Then, in another shell: export HF_ENDPOINT=http://127.0.0.1:8321 HF_HOME=$(mktemp -d)
"""

import argparse
import signal
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from .repositories import DETECTORS, RESNETS, write_detector, write_resnet
from .server import HubServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8321)
    parser.add_argument("--all", action="store_true", help="every repository (2 GB) instead of the R18 and R50 ones")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in RESNETS if given.all else ("resnet18", "resnet50"):
            print("serving", write_resnet(root, name))
        for id in DETECTORS if given.all else ("microsoft/conditional-detr-resnet-50", "facebook/detr-resnet-50"):
            print("serving", write_detector(root, id))
        with HubServer(root, port=given.port) as server:
            print(f"export HF_ENDPOINT={server.url} HF_HOME=$(mktemp -d)", flush=True)
            try:
                input("Enter or Ctrl-C stops the server\n")
            except EOFError:  # in the background, without an input
                threading.Event().wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        main()
