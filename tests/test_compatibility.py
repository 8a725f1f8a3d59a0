"""What version 0.1.0 wrote is read: a model's folder, a run's settings, a run that was stopped."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from paramrel.apps.runs import train
from paramrel.models.paramrel import ParamReL
from paramrel.settings import read_settings, starting_point

SAVED = Path(__file__).parent/"saved-0.1.0"


@pytest.fixture(scope="module")
def mixed():
    "A model of mixed records, and what it said in its own time."
    said = json.loads((SAVED/"mixed.json").read_text())
    return ParamReL.from_pretrained(SAVED/"mixed"), {name: torch.tensor(v) for name, v in said.items()}


@pytest.fixture
def run(tmp_path):
    "A copy of the run that was stopped after step 4 of 8."
    return Path(shutil.copytree(SAVED/"run", tmp_path/"run"))


def test_a_model_is_built_from_its_settings(mixed):
    model, _ = mixed
    written = json.loads((SAVED/"mixed/config.json").read_text())
    now = json.loads(json.dumps(model.config()))
    assert {name: now[name] for name in written} == written
    new = {name: v for name, v in now.items() if name not in written}
    assert new == {"gamma": 1., "lam": .1, "mmd_groups": 1}
    assert model.flow.schedule.beta(.15).shape == (6,), "2 real numbers, a bit, 3 classes"


def test_every_weight_of_a_model_is_read(mixed):
    model, _ = mixed
    written = load_file(SAVED/"mixed/model.safetensors")
    assert list(written) == sorted(model.state_dict())
    for name, v in model.state_dict().items(): assert v.equal(written[name]), name


def test_a_model_encodes_as_it_did(mixed):
    model, said = mixed
    assert_close(model.encode(said["x"]), said["z"], rtol=1e-5, atol=1e-6)


def test_a_model_samples_as_it_did(mixed):
    model, said = mixed
    x = model.sample(3, steps=5, generator=torch.Generator().manual_seed(0))
    assert_close(x, said["sample"], rtol=1e-5, atol=1e-6)


def test_weights_of_the_objective_are_read_where_they_stood(run):
    setup, config = read_settings(run/"run.json")
    assert (setup.gamma, setup.lam, setup.mmd_groups) == (.5, .7, 2)
    assert (setup.reads, setup.latent_dim, setup.mult, config.steps) == ("blend", 2, (1, 1), 8)


def test_a_stopped_run_is_taken_up_and_ends_as_it_would_have(run, monkeypatch):
    monkeypatch.setenv("PARAMREL_DATA", str(run.parent))  # the digits come with scikit-learn
    before = (run/"log.jsonl").read_text().splitlines()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="out=.* was begun with")  # other versions than then
        train(*starting_point(str(run)), out=run, resume=True, progress=False)
    finished, weights = load_file(SAVED/"finished.safetensors"), load_file(run/"model/model.safetensors")
    assert weights.keys() == finished.keys()
    for name, v in finished.items(): assert_close(weights[name], v, rtol=1e-5, atol=1e-7, msg=name)
    lines = [json.loads(line) for line in (run/"log.jsonl").read_text().splitlines()]
    begun = [json.loads(line) for line in before]
    assert [line["step"] for line in lines] == [2, 4, 6, 8] and lines[:2] == begun[:2]
    for part in ("flow", "kl", "mmd", "total"):
        assert lines[3][part] == pytest.approx(begun[3][part], rel=1e-5), part
    again = json.loads((run/"run.json").read_text())
    assert (again["setup"]["gamma"], again["setup"]["lam"], again["setup"]["mmd_groups"]) == (.5, .7, 2)
