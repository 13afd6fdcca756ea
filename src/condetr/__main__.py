"""The program `condetr`, also as `python -m condetr`: Ctrl-C ends it in one line, even while modules are imported."""

import atexit
import gc
import signal
import sys


def main() -> None:
    """Import the command line and run it."""
    # Python's end searches all objects of torch for cycles, which takes a second, and the system frees them anyway.
    # Registered first, it is called last: what libraries do at the end, and files, are not affected.
    atexit.register(gc.freeze)
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("condetr: interrupted\n")
        sys.exit(130)
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's prints a traceback of whatever runs at its end


if __name__ == "__main__":
    main()
