"A disk that is full, or a folder that may not be written: one clear line, and the last checkpoint stays."
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import victims
from victims import Victim, outside, same, saved, train

from paramrel.training.checkpoints import checkpoints, last_checkpoint, load_checkpoint

NOBODY = 65534  # root writes through permissions


# ---- what runs in a process that has imported everything, and forks its victims

def fill(disk, left):
    "Leave so many bytes."
    stat = os.statvfs(disk)
    with open(disk/"ballast", "wb") as f:
        f.write(bytes(max(0, stat.f_bavail*stat.f_frsize - left)))


def full(disk, left, at, options):
    "A run whose disk fills up after so many steps, and that is resumed when there is room again."
    disk, out = Path(disk), Path(disk)/"run"
    for old in disk.glob("run*"): shutil.rmtree(old)

    def callback(state):
        if state.step == at: fill(disk, left)
    if at == 0: fill(disk, left)
    end, step = Victim(train, out, callback=callback, **options).end(), saved(out)
    whole = [load_checkpoint(f, victims.shapes())[1]["step"] for f in checkpoints(out)]
    (disk/"ballast").unlink()
    again = [Victim(train, disk/part, **options).end() for part in ("run", "run alone")]
    return {"end": end, "step": step, "whole": whole, "again": again, "same": same(out, disk/"run alone")}


def unprivileged(call, *args, **kwargs):
    "The call as somebody whom permissions bind."
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    call(*args, **kwargs)


def read_only(folder):
    "Runs in folders that may not be written: from the beginning, from step 6 on, and when resumed."
    folder, run, ends, kept = Path(folder), Path(folder)/"run", {}, {}
    if Victim(unprivileged, print).end()[0]: return "root for ever"
    folder.chmod(0o555)
    ends["new"] = Victim(unprivileged, train, folder/"new").end()
    ends["empty"] = Victim(unprivileged, train, folder).end()
    folder.chmod(0o777)

    def callback(state):
        if state.step == 6: (run/"checkpoints").chmod(0o555)
    ends["midway"] = Victim(unprivileged, train, run, save_every=4, callback=callback).end()
    kept["midway"] = load_checkpoint(last_checkpoint(run), victims.shapes())[1]["step"]
    for path in (run, *run.iterdir()): path.chmod(0o555)
    ends["resumed"] = Victim(unprivileged, train, run, save_every=4).end()
    kept["resumed"] = load_checkpoint(last_checkpoint(run), victims.shapes())[1]["step"]
    for path in (run, *run.iterdir()): path.chmod(0o777)
    return ends | {"saved": kept}


if __name__ == "__main__":
    victims.answer(globals())
    sys.exit()


# ---- the tests

def small_disk(path):
    "What a command is put behind to see 2 MB at this path; the disk ends with the command."
    mount = 'mount -t tmpfs -o size=2m paramrel "$0" && exec "$@"'
    for options in (["--mount"], ["--mount", "--map-root-user"]):  # as root; as anybody, where it is allowed
        inside = ["unshare", *options, "sh", "-c", mount, str(path)]
        try: done = subprocess.run([*inside, "true"], capture_output=True, timeout=60)
        except OSError: break
        if done.returncode == 0: return inside
    pytest.skip("neither root nor user namespaces: no small disk can be mounted")


PAGE = 4096
OFTEN, SELDOM = {"save_every": 4, "steps": 12}, {"save_every": 20, "steps": 40}  # both log every step
FULL = {  # bytes left, after how many steps, of what run, what the line says, the checkpoint that stays
    "at the beginning": (0, 0, OFTEN, r"/run/config\.json: could not be written", 0),
    "no checkpoint fits": (0, 5, OFTEN, r"-00000008: could not be written .*step-00000004$", 4),
    "half a checkpoint fits": (8*PAGE, 5, OFTEN, r"-00000008: could not be written .*step-00000004$", 4),
    "its state does not fit": (16*PAGE, 5, OFTEN, r"-00000008: could not be written .*step-00000004$", 4),
    "no line of the log fits": (0, 21, SELDOM, r"/log\.jsonl: could not be written", 20),
    "the model does not fit": (19*PAGE, 11, {**OFTEN, "keep": 9}, r"/run/model: could not be written", 12),
}


@pytest.fixture(scope="module")
def starved(tmp_path_factory):
    "What became of every run above."
    disk = tmp_path_factory.mktemp("disk")
    calls = [("full", str(disk), left, at, options) for left, at, options, *_ in FULL.values()]
    return dict(zip(FULL, outside(__file__, *calls, within=small_disk(disk)), strict=True))


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(starved, name):
    (status, said), *_, line, step = starved[name]["end"], *FULL[name]
    assert status == 2 and "\n" not in said and re.search(line, said) and "No space left on device" in said
    assert starved[name]["step"] == step and starved[name]["whole"][-1:] == [step][:step]
    assert starved[name]["again"] == [[0, ""], [0, ""]] and starved[name]["same"]  # with room it goes on


@pytest.fixture
def open_folder():
    "One that everybody can reach, which pytest's are not."
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_a_folder_that_may_not_be_written_is_one_line_and_the_last_checkpoint_stays(open_folder):
    done, = outside(__file__, ("read_only", str(open_folder)))
    if done == "root for ever": pytest.skip("root that cannot become somebody else")
    for case, folder in (("new", "new"), ("empty", ""), ("resumed", "run")):
        assert done[case] == [2, f"out={open_folder/folder} cannot be written: Permission denied"]
    (status, said), here = done["midway"], open_folder/"run"/"checkpoints"
    assert status == 2
    assert said.startswith(f"{here/'step-00000008'}: could not be written (Permission denied); ")
    assert said.endswith(f"; last whole checkpoint: {here/'step-00000004'}")
    assert done["saved"] == {"midway": 4, "resumed": 4}
    assert not (open_folder/"new").exists()
