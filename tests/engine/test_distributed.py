"""What processes send each other arrives exactly."""

import json
import os
import socket
import subprocess
import sys

GATHER = """
import json, numpy as np, torch
from condetr.engine.distributed import process_group
with process_group(cuda=False) as processes:
    mine = np.array([2**53 + 1, -(2**62)][: 1 + processes.rank])
    print(json.dumps([part.tolist() for part in processes.gather(mine, torch.device("cpu"))]))
"""


def test_gathered_integers_keep_all_64_bits() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", GATHER], env={**place, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE
        )
        for rank in ("0", "1")
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [json.loads(output) for output in outputs] == [[[2**53 + 1], [2**53 + 1, -(2**62)]]] * 2
