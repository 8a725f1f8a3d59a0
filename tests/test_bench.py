"The bench at its smallest scale: every model, killed in between, and every number finite."
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from paramrel.apps.bench import NOT_DONE
from paramrel.apps.grid import Places, grid
from paramrel.settings import MODELS

MAIN = "from paramrel.apps.cli import main; main()"
COMMAND = [sys.executable, "-c", MAIN, "bench", "table2", "--scale", "smoke"]
ROWS = ["paramrel-ahead-0.1", *(name for name in MODELS if name != "paramrel")]  # one of each model


def start(folder, *options):
    "The command as it is typed, with its results and runs in a folder."
    where = ["--out", str(folder/"results"), "--runs", str(folder/"runs"), "--models", *ROWS]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *where, *options], stdout=pipe, stderr=pipe, text=True, env=env)


def odd_numbers(numbers, path=""):
    "Where a number is not finite; the PSNR of pictures that come back exactly is infinite, and right."
    if isinstance(numbers, dict):
        for key, value in numbers.items():
            if key != "psnr": yield from odd_numbers(value, f"{path}/{key}")
    elif isinstance(numbers, list):
        for i, value in enumerate(numbers): yield from odd_numbers(value, f"{path}/{i}")
    elif isinstance(numbers, float) and not math.isfinite(numbers): yield path


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    "A grid whose bench is killed when the first cell is done, and called again."
    folder = tmp_path_factory.mktemp("bench")
    places, first = Places(folder/"results", folder/"runs"), start(folder)
    while first.poll() is None and not list(places.out.rglob("*.json")): time.sleep(.05)
    assert first.poll() is None, first.communicate()[1]
    first.send_signal(signal.SIGKILL)  # its workers notice, and stop
    first.communicate()
    second = start(folder)
    said, errors = second.communicate()
    for _ in range(5):  # a worker of the first may have held a cell for a moment
        if second.returncode != NOT_DONE: break
        second = start(folder)
        said, errors = second.communicate()
    assert second.returncode == 0, errors
    assert all(row in said for row in ROWS) and "untrained encoder" in said
    return places


@pytest.mark.parametrize("row", ROWS)
def test_every_model_has_finite_numbers(places, row):
    (cell,) = [cell for cell in grid("table2", "smoke") if cell.row == row]
    result = places.result(cell)
    assert result["setup"]["model"] == ("paramrel" if row.startswith("paramrel") else row)
    assert result["steps"] == 20 and result["images_seen"] == 640 and result["core_minutes"] > 0
    assert result["numbers"] and not list(odd_numbers(result["numbers"]))


def test_what_is_done_is_said(places):
    said, errors = start(places.out.parent, "--status").communicate()
    assert f"0 of {len(ROWS)} cells left: {len(ROWS)} done" in said, errors
    assert "| vae | 1 |" in (places.out/"smoke"/"table2.md").read_text()
