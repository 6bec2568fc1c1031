"""Contenders for tests of the harness: honest, cheating and failing."""

import subprocess
import sys


class Talker:
    """Does some items at once, and prints where only answers may stand."""

    def __init__(self, items: int = 100) -> None:
        self._items, self._runs = items, 0
        print("a library that talks")

    def run(self) -> int:
        self._runs += 1
        print("and talks")
        return self._items

    def facts(self) -> dict:
        return {"runs": self._runs}


class Fails:
    """Cannot do its work."""

    def run(self) -> int:
        raise ValueError("out of cheese")


class Parent:
    """Lets a child that goes on living do the work and hold the memory."""

    CODE = (
        "import sys, time\n"
        "kept = bytearray(b'x' * (200 << 20))\n"
        "for line in sys.stdin:\n"
        "    end = time.process_time() + 0.3\n"
        "    while time.process_time() < end: pass\n"
        "    print('done', flush=True)\n"
    )

    def __init__(self) -> None:
        command = [sys.executable, "-c", self.CODE]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self) -> int:
        self._child.stdin.write("go\n")
        self._child.stdin.flush()
        self._child.stdout.readline()
        return 30
