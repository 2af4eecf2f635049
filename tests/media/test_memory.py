"""What is freed is kept for the next picture where that is asked for."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from vivae.media.memory import keep_freed
if {kept}:
    keep_freed()
def work():
    for _ in range(20):
        features = [np.ones(10 << 20, np.uint8) for _ in range(6)]
        del features
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators keep memory in other ways")
def test_pages_are_not_cleared_anew_for_every_picture():
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", SCRIPT.format(kept=kept)], capture_output=True, check=True
            ).stdout
        )
        for kept in (False, True)
    ]
    # 20 times 60 MB in pages of 4 kB are 307,200.
    assert faults[0] > 20_000
    assert faults[1] < 5_000
