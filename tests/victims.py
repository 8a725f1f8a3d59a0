"Trainings to be killed, stopped and starved, forked from a process that has imported all: they start fast."
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import torch
from tqdm import tqdm

from paramrel.training.checkpoints import last_checkpoint, read_lines
from paramrel.channel.flows import BinaryFlow
from paramrel.models.paramrel import ParamReL
from paramrel.settings import TrainConfig
from paramrel.training.fit import Stopped, fit
from paramrel.training.state import TrainState

tqdm.monitor_interval = 0  # no second thread: only the one that forks lives on in the child
tqdm.set_lock(threading.RLock())  # forks share the usual one: who is killed while drawing locks out the rest


def data():
    return (torch.rand(20, 6, generator=torch.Generator().manual_seed(0)) > .5).long()


def model(**options):
    torch.manual_seed(0)
    usual = {"flow": BinaryFlow(9.), "shape": (6,), "latent_dim": 2, "channels": 2, "dropout": .1}
    return ParamReL(**usual | options)


def train(out, resume=True, callback=None, net=None, **options):
    "A few milliseconds a step, and more than that for every checkpoint."
    config = TrainConfig(**{"steps": 30, "batch_size": 8, "lr": 1e-2, "warmup": 5, "log_every": 1} | options)
    return fit(net or model(), data(), config, out, resume, progress=False, callback=callback)


def shapes():
    "Of what a checkpoint of `train` holds."
    return TrainState(model(), TrainConfig(steps=1), 1).shapes()


def ready():
    "Import what a first training imports, and be sure that forking is safe."
    with tempfile.TemporaryDirectory() as folder: train(folder, steps=1)
    threads = Path("/proc/self/task")
    assert not threads.exists() or len(list(threads.iterdir())) == 1, "a fork copies one thread only"


def outside(file, *calls, within=()):
    "What functions of a file return when a fresh process calls them: [name, *arguments] each."
    args = [*within, sys.executable, file, json.dumps(calls)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(args, capture_output=True, text=True, timeout=500, env=env)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def answer(functions):
    "The other side of `outside`."
    ready()
    results = []
    for name, *args in json.loads(sys.argv[1]): results.append(functions[name](*args))
    print(json.dumps(results))


class Victim:
    "A call in a process of its own; ends with 0, with 2 for an error that users can cause, else with 1."

    def __init__(self, call, *args, **kwargs):
        self.file = tempfile.TemporaryFile()
        self.pid, self.status = os.fork(), None
        if self.pid: return
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no exception leads back into the parent's code
        signal.alarm(200)  # it cannot outlive the test
        for stream in (1, 2): os.dup2(self.file.fileno(), stream)
        status = 1
        try:
            call(*args, **kwargs)
            status = 0
        except Stopped as stop:
            print(stop, flush=True)
            status = 128 + stop.signum
        except SystemExit as end: status = end.code or 0
        except (ValueError, OSError, FloatingPointError) as error:
            print(error, flush=True)
            status = 2
        except BaseException: traceback.print_exc()
        finally: os._exit(status)

    def running(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid: self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def send(self, signum):
        if self.running(): os.kill(self.pid, signum)

    def until(self, condition):
        "Wait for something to be so, or for the end."
        while self.running() and not condition(): time.sleep(.0005)
        return self

    def end(self):
        "(status, what it said)"
        self.until(lambda: False)
        self.file.seek(0)
        return self.status, self.file.read().decode().strip()


def logged(out):
    "The last step in a run's log."
    lines = read_lines(Path(out)/"log.jsonl")
    return lines[-1]["step"] if lines else 0


def saved(out):
    "The step of the last checkpoint."
    last = last_checkpoint(Path(out))
    return int(last.name.removeprefix("step-")) if last else 0


def same(a, b):
    "Whether two finished runs hold the same weights, bit for bit, and the same log but for speed and memory."
    read = [Path(out)/"model"/"model.safetensors" for out in (a, b)]
    logs = [[{k: v for k, v in line.items() if k not in ("images_per_second", "peak_mb")}
             for line in read_lines(Path(out)/"log.jsonl")] for out in (a, b)]
    if not all(weights.exists() for weights in read): return False
    return read[0].read_bytes() == read[1].read_bytes() and logs[0] == logs[1]
