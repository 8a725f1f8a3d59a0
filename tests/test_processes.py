"Two processes on the CPU, started as a user would, train what one process trains."
import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import torch
from accelerate import PartialState
from paramrel.data.sets import load
from paramrel.channel.flows import BinaryFlow
from paramrel.models.paramrel import ParamReL
from paramrel.settings import TrainConfig
from paramrel.training.fit import fit

out, options, weights = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
torch.manual_seed(0)
model = ParamReL(BinaryFlow(9.), (1, 8, 8), 8, 8, (1, 2), dropout=.1, **weights)
config = TrainConfig(steps=30, batch_size=64, lr=2e-3, warmup=5, log_every=1, save_every=10, **options)
fit(model, load("digits"), config, out, progress=False)
state, total = PartialState(), sum(p.double().sum() for p in model.parameters()).item()
print(json.dumps({"rank": state.process_index, "processes": state.num_processes,
                  "device": state.device.type, "sum": total}))
"""


def train(tmp_path, name, processes, options, weights):
    "What the processes said, and the log they left."
    script = tmp_path/"script.py"
    script.write_text(SCRIPT)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    start = [sys.executable, *(torchrun if processes > 1 else []), str(script), str(tmp_path/name)]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*start, json.dumps(options), json.dumps(weights)],
                          capture_output=True, text=True, env=env, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    log = (tmp_path/name/"log.jsonl").read_text().splitlines()
    return said, [json.loads(line) for line in log]


NO_MMD = {"gamma": 0., "lam": 1.}  # no weight for the MMD: micro-batches are other crowds


@pytest.mark.parametrize("options, weights, tolerance", [
    pytest.param({}, {}, 1e-4, id="float32"),
    pytest.param({"precision": "bf16"}, {}, 2e-2, id="bf16"),
    pytest.param({"accumulate": 2}, NO_MMD, 1e-4, id="micro-batches"),
])
def test_two_processes_are_one(tmp_path, options, weights, tolerance):
    (alone,), one = train(tmp_path, "one", 1, options, weights)
    said, two = train(tmp_path, "two", 2, options, weights)
    assert alone["processes"] == 1 and [s["processes"] for s in said] == [2, 2]
    assert {s["rank"] for s in said} == {0, 1} and {s["device"] for s in said} == {"cpu"}
    assert said[0]["sum"] == said[1]["sum"]  # both hold the same weights
    assert len(two) == 30  # and only one wrote
    for a, b in zip(one, two, strict=True):
        assert b["flow"] == pytest.approx(a["flow"], rel=tolerance), a["step"]
        assert b["kl"] == pytest.approx(a["kl"], rel=tolerance), a["step"]
        assert b["total"] == pytest.approx(a["total"], rel=tolerance), a["step"]
        if weights is not NO_MMD:
            assert b["mmd"] == pytest.approx(a["mmd"], rel=tolerance, abs=tolerance), a["step"]
