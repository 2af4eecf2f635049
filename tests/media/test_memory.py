"""What is freed is kept for the next picture where that is asked for."""

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
        np.ones(8 << 20, np.uint8)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep memory in other ways")
def test_pages_are_not_cleared_anew_for_every_picture():
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", SCRIPT.format(kept=kept)], capture_output=True, check=True
            ).stdout
        )
        for kept in (False, True)
    ]
    # Without it, allocators may or may not keep what is freed; with it, they do.
    assert faults[1] <= min(faults[0], 2000)
