"What only shows from outside: the installed package, its public names, the command."
import subprocess
import sys

import pytest


def python(code, *args):
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)


def test_importing_the_package_or_its_command_loads_no_torch():
    done = python("import sys, paramrel, paramrel.apps.cli, paramrel.settings; print('torch' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_every_public_name_is_there():
    import paramrel
    for name in paramrel.__all__: assert getattr(paramrel, name) is not None
    assert not hasattr(paramrel, "no_such_name")


def test_importing_touches_no_global_random_state():
    done = python("import torch; a = torch.random.get_rng_state(); import paramrel.apps.quickstart; "
                  "print(a.equal(torch.random.get_rng_state()))")
    assert done.stdout.strip() == "True", done.stderr


def test_the_command_is_installed_and_helps():
    from importlib.metadata import entry_points
    command, = entry_points(group="console_scripts", name="paramrel")
    assert command.value == "paramrel.apps.cli:main"
    done = python("from paramrel.apps.cli import main; main()", "--help")
    assert done.returncode == 0 and "quickstart" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("args", [["nothing"], ["quickstart", "--seed", "x"], ["quickstart", "--unknown"],
                                  ["quickstart", "--steps=0"], ["quickstart", "--latent-dim=0"]])
def test_a_mistake_is_one_line_and_status_2(args):
    done = python("from paramrel.apps.cli import main; main()", *args)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("paramrel: ")


def test_debug_shows_the_traceback(tmp_path):
    (tmp_path/"checkpoints"/"step-00000001").mkdir(parents=True)
    args = ["quickstart", "--out", str(tmp_path), "--steps", "1"]
    run = "from paramrel.apps.cli import main; main()"
    plain, debug = python(run, *args), python(run, *args, "--debug")
    assert plain.returncode == 2 and "holds a run already" in plain.stderr and "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
