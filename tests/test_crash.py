"A training that is killed, stopped or started twice loses nothing; what is not its checkpoint is refused."
import importlib
import json
import os
import pickle
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
import victims
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm as progress
from victims import Victim, logged, outside, same, saved, train

from paramrel.training.checkpoints import checkpoints, load_checkpoint
from paramrel.apps.cli import main
from paramrel.channel.flows import BinaryFlow, DiscreteFlow
from paramrel.apps.runs import open_run

KILLS = 8  # within each of these runs, beside some at its beginning and end
RUNS = {"every step": {"save_every": 1}, "every second": {"save_every": 2, "accumulate": 2},
        "every third": {"save_every": 3, "log_every": 2, "seed": 1}}


# ---- what runs in a process that has imported everything, and forks its victims

def kill_again_and_again(out, name, seed):
    "A run that is killed until it has had enough, beside one that is left alone."
    options, moments, story, kills, torn = dict(RUNS[name]), random.Random(f"{name} {seed}"), [], 0, 0
    alone, out, shapes, every = Path(out)/"alone", Path(out)/"killed", victims.shapes(), options["save_every"]
    options["steps"] = (KILLS + 10)*(every + 1)  # it is far from finished when the last of them comes
    assert Victim(train, alone, keep=10**6, **options).end() == (0, "")

    def writing(): return any(out.glob("checkpoints/.part-*"))

    def kill(moment, condition, pause, ends=(-signal.SIGKILL,)):
        nonlocal kills, torn
        begun, victim = saved(out), Victim(train, out, **options).until(condition)
        time.sleep(pause)
        victim.send(signal.SIGKILL)
        status, said = victim.end()
        story.append(f"from step {begun}, killed {1000*pause:.2f} ms after {moment}: "
                     f"{saved(out)} saved, {logged(out)} logged")
        assert status in ends, said
        kills, torn = kills + (status != 0), torn + writing()
        for folder in checkpoints(out):
            tensors, state = load_checkpoint(folder, shapes)
            whole, _ = load_checkpoint(alone/"checkpoints"/folder.name, shapes)
            assert folder.name == f"step-{state['step']:08d}"
            assert all(tensors[k].equal(whole[k]) for k in shapes)
        assert logged(out) > saved(out) - options.get("log_every", 1)
        if (out/"model").exists(): open_run(out)

    try:
        for _ in range(2): kill("the fork", lambda: True, moments.uniform(0, .15))
        for i in range(KILLS):
            step = i*(every + 1) + moments.randint(1, every + 1)
            if i % 2: kill(f"step {step}", lambda k=step: logged(out) >= k, moments.uniform(0, .05))
            else: kill(f"step {step}, in a checkpoint", lambda k=step: logged(out) >= k and writing(),
                       moments.uniform(0, .01))
        for _ in range(2):  # the second comes too late when the first left a model behind, and that is fine
            kill("the model was begun", lambda: any(out.glob("*model")), 0, (-signal.SIGKILL, 0))
        assert Victim(train, out, **options).end() == (0, "")
        assert same(alone, out)
        assert not list(out.rglob(".part-*"))
    except Exception as error: raise AssertionError("\n".join(story)) from error
    return {"kills": kills, "torn": torn}


def stop(out):
    "Runs that get a signal, or more while they act on it, and are resumed, beside one that is left alone."
    out, options, results = Path(out), {"steps": 100, "save_every": 0}, {}
    alone = Victim(train, out/"alone", **options).end()
    sent = {"int": [signal.SIGINT], "term": [signal.SIGTERM], "hasty": [signal.SIGINT]*3}
    for name, signals in sent.items():
        run = out/name
        stopped = Victim(train, run, **options).until(lambda run=run: logged(run) >= 5)
        for signum in signals:
            stopped.send(signum)
            time.sleep(.002)
        end, steps = stopped.end(), [saved(run), logged(run)]
        again = Victim(train, run, **options).end()
        results[name] = {"end": end, "steps": steps, "again": [again, alone], "same": same(run, out/"alone")}
    return results


def start_twice(out):
    "A second training in the folder of the first, before and after the first is killed."
    first = Victim(train, out, steps=2000, save_every=1).until(lambda: logged(out) >= 5)
    before = Victim(train, out, steps=2000).end(), Victim(train, out, resume=False).end()
    going = first.running()
    first.send(signal.SIGKILL)
    first.end()
    return {"before": before, "going": going, "after": Victim(train, out, resume=False).end()}


def command(out):
    "The same of what users type: two signals, two kills, and the end, beside a run that is left alone."
    for name in "matplotlib.pyplot", "sklearn.datasets", "tyro", "paramrel.apps.runs", "paramrel.apps.report":
        importlib.import_module(name)
    out, small = Path(out), ("--steps 40 --batch-size 8 --warmup 5 --channels 4 --mult 1 2 --latent-dim 2 "
                             "--log-every 1 --save-every 3").split()
    run, alone, said, steps = str(out/"run"), str(out/"alone"), [], []
    for name, where in (("SIGINT", 5), ("SIGTERM", 10), ("SIGKILL", 15), ("SIGKILL", 20)):
        args = ["train", run, "--resume"] if said else ["train", "digits", *small, "--out", run]
        victim = Victim(main, args).until(lambda k=where: logged(run) >= k)
        victim.send(signal.Signals[name])
        said.append(victim.end())
        steps.append(saved(run))
    last = ["train", run, "--resume"], ["train", "digits", *small, "--out", alone]
    ends = [Victim(main, args).end() for args in last]
    return {"said": said, "steps": steps, "ends": ends, "same": same(run, alone)}


def kill_while_drawing(out):
    "A victim that is killed while it draws its bar, and what becomes of the next that draws one."
    drawing = Path(out)/"drawing"

    def draw():
        with progress.get_lock():
            drawing.touch()
            time.sleep(100)

    first = Victim(draw).until(drawing.exists)
    first.send(signal.SIGKILL)
    first.end()
    deadline = time.monotonic() + 20
    second = Victim(lambda: progress(total=1, disable=True)).until(lambda: time.monotonic() > deadline)
    second.send(signal.SIGKILL)
    return second.end()[0]


if __name__ == "__main__":
    victims.answer(globals())
    sys.exit()


# ---- the tests

def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(tmp_path):
    done = outside(__file__, *(("kill_again_and_again", str(tmp_path/name), name, 0) for name in RUNS))
    assert sum(d["kills"] for d in done) >= 20
    assert sum(d["torn"] for d in done) > 0  # some of them in the middle of a checkpoint


def test_signals_save_and_end_it_and_it_can_be_resumed(tmp_path):
    done, = outside(__file__, ("stop", str(tmp_path)))
    for run, name, status in ("int", "SIGINT", 130), ("term", "SIGTERM", 143):
        step, last = done[run]["steps"]
        assert done[run]["end"] == [status, f"stopped by {name} at step {step} of 100; saved, "
                                            f"resume with --resume: {tmp_path/run}"]
        assert 5 <= step == last < 100
    assert done["hasty"]["end"][0] in (130, 1, -signal.SIGINT)  # it may not have had the time to save
    for run in done.values(): assert run["again"] == [[0, ""], [0, ""]] and run["same"]


def test_a_folder_is_trained_in_by_one_process(tmp_path):
    done, = outside(__file__, ("start_twice", str(tmp_path/"run")))
    line = f"out={tmp_path/'run'} is being trained by another process"
    assert done["before"] == [[2, line]]*2 and done["going"]
    status, said = done["after"]  # nobody has to remove a lock by hand
    assert status == 2 and said.startswith(f"out={tmp_path/'run'} holds a run already")


def test_the_command_is_stopped_and_killed_and_resumed(tmp_path):
    done, = outside(__file__, ("command", str(tmp_path)))
    names = {"SIGINT": 130, "SIGTERM": 143}
    for (name, status), (end, said), step in zip(names.items(), done["said"], done["steps"]):
        assert end == status
        assert re.split(r"[\r\n]", said)[-1] == (f"paramrel: stopped by {name} at step {step} of 40; saved, "
                                                 f"resume with --resume: {tmp_path/'run'}")
    assert [status for status, _ in done["said"][2:]] == [-9, -9]
    assert [status for status, _ in done["ends"]] == [0, 0] and done["same"]


def test_a_victim_locks_no_other_out(tmp_path):
    assert outside(__file__, ("kill_while_drawing", str(tmp_path))) == [0]


# ---- files that are not what they should be

class Bomb:
    "Runs code when it is unpickled."
    def __reduce__(self): return exec, ("raise AssertionError('a pickle was run')",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained")/"run"
    train(run, steps=4, save_every=2)
    return run


@pytest.fixture
def run(trained, tmp_path): return shutil.copytree(trained, tmp_path/"run")


def edit(change):
    "Damage: tensors that were changed."
    def damage(folder):
        tensors = load_file(folder/"state.safetensors")
        save_file(change(tensors) or tensors, folder/"state.safetensors")
    return damage


def cut(name, size): return lambda folder: os.truncate(folder/name, size % (folder/name).stat().st_size)
def put(name, content): return lambda folder: (folder/name).write_bytes(content)
def drop(name): return lambda folder: (folder/name).unlink()


def state(change):
    "Damage: a state that was changed."
    def damage(folder):
        v = json.loads((folder/"state.json").read_text())
        (folder/"state.json").write_text(json.dumps(change(v) or v))
    return damage


KEY = "model.decoder.stem.weight"
DAMAGE = {
    "empty": (cut("state.safetensors", 0), "not a readable checkpoint"),
    "seven bytes": (cut("state.safetensors", 7), "not a readable checkpoint"),
    "half a header": (cut("state.safetensors", 999), "not a readable checkpoint"),
    "tensors cut": (cut("state.safetensors", 30000), "not a readable checkpoint"),
    "last byte lost": (cut("state.safetensors", -1), "not a readable checkpoint"),
    "no tensors": (drop("state.safetensors"), "not a readable checkpoint"),
    "noise": (put("state.safetensors", random.Random(0).randbytes(5000)), "not a readable checkpoint"),
    "a pickle": (put("state.safetensors", pickle.dumps(Bomb())), "not a readable checkpoint"),
    "torch.save": (lambda folder: torch.save({KEY: torch.zeros(2)}, folder/"state.safetensors"),
                   "not a readable checkpoint"),
    "a key lost": (edit(lambda v: {k: v[k] for k in v if k != KEY}), f"another model: lacks {KEY}"),
    "a key too many": (edit(lambda v: v | {"extra": torch.zeros(1)}), "another model: has extra too many"),
    "another shape": (edit(lambda v: v | {KEY: torch.zeros(3, 3)}), f"has {KEY} of shape (3, 3), needs"),
    "no state": (drop("state.json"), "not a readable checkpoint"),
    "state cut": (cut("state.json", 100), "not a readable checkpoint"),
    "state empty": (cut("state.json", 0), "not a readable checkpoint"),
    "state pickled": (put("state.json", pickle.dumps(Bomb())), "not a readable checkpoint"),
    "state a number": (put("state.json", b"3"), "state.json"),
    "state a list": (put("state.json", b"[]"), "state.json"),
    "no step": (state(lambda v: v.pop("step") and None), "state.json"),
    "no config": (state(lambda v: v.pop("config") and None), "state.json"),
    "no versions": (state(lambda v: v.pop("versions") and None), "state.json"),
    "step a word": (state(lambda v: v | {"step": "four"}), "state.json"),
    "another step": (state(lambda v: v | {"step": 3}), "state.json"),
    "config a number": (state(lambda v: v | {"config": 1}), "state.json"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_is_refused_in_one_line_that_names_it(run, name):
    damage, line = DAMAGE[name]
    folder = checkpoints(run)[-1]
    damage(folder)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    with pytest.raises(ValueError) as caught: train(run, steps=4, save_every=2)
    said = str(caught.value)
    assert said.startswith(f"{folder}: ") and line in said and "\n" not in said
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
    shutil.rmtree(folder)  # which is the way back: the one before it is whole
    train(run, steps=4, save_every=2)


OTHERS = {"wider": {"channels": 3}, "larger latent": {"latent_dim": 3}, "more blocks": {"blocks": 2},
          "another flow": {"flow": DiscreteFlow(2, 1.)}, "another accuracy": {"flow": BinaryFlow(8.)},
          "other reading": {"reads": "self"}, "deterministic": {"deterministic": True},
          "other dropout": {"dropout": .2}}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_model_is_refused(run, name):
    with pytest.raises(ValueError, match="another model|differs from") as caught:
        train(run, steps=4, save_every=2, net=victims.model(**OTHERS[name]))
    assert str(run) in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_holds_json_and_safetensors_and_no_pickle(run):
    assert {p.suffix or p.name for p in run.rglob("*") if p.is_file()} <= {".json", ".jsonl", ".safetensors",
                                                                           ".lock", ".md"}
    for path in run.rglob("*.safetensors"): assert path.read_bytes()[8:9] == b"{"  # its header is JSON


# ---- steps that went wrong

def poison(net, *calls):
    "Not a number from the decoder at these calls."
    seen = []

    def spoil(module, inputs, output):
        seen.append(0)
        return output*float("nan") if len(seen) in calls else output
    net.decoder.register_forward_hook(spoil)
    return net


def test_a_loss_that_is_not_finite_stops_training_at_the_last_good_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path/"run", steps=9, save_every=2, log_every=50, net=poison(victims.model(), 6))
    said, last = str(caught.value), checkpoints(tmp_path/"run")[-1]
    assert "not finite" in said and "at step 5 (1 bad" in said
    assert said.endswith(f"last good checkpoint: {last}")
    assert last.name == "step-00000004" and "\n" not in said and not (tmp_path/"run"/"model").exists()
    for part in "run", "alone": train(tmp_path/part, steps=9, save_every=2, log_every=50)
    assert same(tmp_path/"run", tmp_path/"alone")


def test_a_loss_that_is_not_finite_is_skipped_when_told_so(tmp_path):
    net = poison(victims.model(), 3, 6)
    log = train(tmp_path, steps=9, bad_step="skip", net=net)
    assert [line["bad_steps"] for line in log] == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert all(p.isfinite().all() for p in net.parameters())


def test_a_gradient_that_explodes_stops_training_or_is_skipped(tmp_path):
    limit = sorted(line["grad_norm"] for line in train(tmp_path/"tame", steps=12))[-3]
    with pytest.raises(FloatingPointError, match=r"above explode=[\d.]+, at step \d+ .*checkpoint: none$"):
        train(tmp_path/"stop", steps=12, explode=limit)
    log = train(tmp_path/"skip", steps=12, explode=limit, bad_step="skip")
    assert 0 < log[-1]["bad_steps"] < 12 and max(line["grad_norm"] or 0 for line in log) <= limit
    with pytest.raises(FloatingPointError, match=r"explode=1e-09, at step 11 \(12 bad"):
        train(tmp_path/"none", steps=12, explode=1e-9, bad_step="skip", log_every=50)
