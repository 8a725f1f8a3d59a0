"""Each command with each of the eight models: it works, or refuses in a line what the model has not got."""

from dataclasses import replace

import pytest

from paramrel.apps.cli import main
from paramrel.apps.runs import train
from paramrel.settings import MODELS, starting_point

FEW = ["--steps", "2"]
COMMANDS = { # command → its options
    "generate": ["--n", "4", *FEW],
    "beliefs": ["--n", "1", "--columns", "2", *FEW],
    "flow": ["--n", "2", *FEW],
    "reconstruct": ["--n", "2", *FEW],
    "condition": ["--n", "1", "--variations", "2", *FEW],
    "timevary": ["--n", "1", "--times", "0.5", "1", *FEW],
    "interpolate": ["--n", "1", "--points", "3", *FEW],
    "traverse": ["--points", "3", "--dims", "0", "1", *FEW],
    "manipulate": ["3", "--n", "1", "--points", "2", *FEW],
    "encode": [],
    "report": [],
}
NO_PATH = {"beliefs", "flow", "condition", "timevary"} # what needs more than a latent
NO_LATENT = {"condition", "timevary", "traverse", "manipulate", "encode"}
REFUSED = dict.fromkeys(("ae", "vae", "beta-vae", "infovae"), NO_PATH) | {"bfn": NO_LATENT}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    "A short run of every model on digits."
    setup, config = starting_point("digits")
    folder = tmp_path_factory.mktemp("models")
    small = replace(setup, channels=4, latent_dim=3)
    short = replace(config, steps=2, batch_size=16, warmup=1, log_every=1)
    for name in MODELS: train(replace(small, model=name), short, folder/name, progress=False)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_command_works_or_is_refused_in_a_line(runs, name, command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("paramrel.apps.gallery.with_latent_flow", with_short_latent_flow)
    out = tmp_path/("latents.npz" if command == "encode" else "page.html" if command == "report" else "a.png")
    line = [command, str(runs/name), *COMMANDS[command], "--out", str(out)]
    if command not in REFUSED.get(name, ()):
        main(line)
        assert out.stat().st_size > 500
        return
    with pytest.raises(SystemExit) as left: main(line)
    said = capsys.readouterr().err
    assert left.value.code == 2 and not out.exists()
    assert said.count("\n") == 1 and f"({name}) has none" in said, said


def with_short_latent_flow(run):
    "A prior of latents after few steps, in place of 2,000."
    from paramrel.apps.runs import with_latent_flow
    return with_latent_flow(run, steps=2)


def test_measured_runs_are_compared(runs, tmp_path, capsys):
    for name in ("vae", "bfn"): main(["evaluate", str(runs/name), "--n", "60"])
    main(["compare", str(runs/"vae"), str(runs/"bfn"), "--out", str(tmp_path/"a.html"), str(tmp_path/"a.md")])
    said = capsys.readouterr().out
    assert "vae" in said and "bfn" in said
    assert "<html" in (tmp_path/"a.html").read_text() and "|" in (tmp_path/"a.md").read_text()


def test_a_run_is_resumed_as_the_model_it_was(runs, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["train", "digits", "--model", "ae", "--out", str(runs/"vae"), "--resume"])
    assert left.value.code == 2 and "was begun with another setup" in capsys.readouterr().err
    for option in (["--reads", "self"], ["--gamma", "0.5"], ["--switch", "0.5"]):
        with pytest.raises(SystemExit) as left: main(["train", "digits", "--model", "vae", *option])
        assert left.value.code == 2 and "has no meaning for the model 'vae'" in capsys.readouterr().err
