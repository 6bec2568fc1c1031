"""Stands in for the interpreter of a program that a warm process has started.

What such a program starts by `sys.executable -m MODULE` then comes from the warm process as well: this asks it, passes
signals on, and ends as the program ends. It uses no library, as it is to start at once.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Runs a program as the interpreter would."""
    interpreter, _, address = os.environ["GEODS_WARM"].partition("|")
    if sys.argv[1] != "-m":
        os.execv(interpreter, [interpreter, *sys.argv[1:]])  # noqa: S606 - as a shell would start it
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as warm:
        warm.connect(address)
        order = {"arguments": sys.argv[2:], "environment": dict(os.environ), "repo": os.getcwd(), "absent": []}  # noqa: PTH109
        socket.send_fds(warm, [json.dumps(order).encode()], [0, 1, 2])
        child = int(warm.recv(64))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(child, number))
        status = int(warm.recv(64))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
