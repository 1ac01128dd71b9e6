"""Peak memory of the running process."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> int:
    """Largest resident memory so far, bytes.

    From the kernel's own book of this program: what ``getrusage`` gives begins with the memory of
    the process that started it, a whole test run's here.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status says nothing of VmHWM")
