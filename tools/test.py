"""Runs every notebook and every file of pytest's in a process of its own, and ends with `N passed, N failed`.

    python tools/test.py                    everything
    python tools/test.py flows 08 cli       only notebooks and test files with these in their path
    python tools/test.py --flags slow       also the cells marked `#| slow`

A notebook is one test, a pytest test is one test. Separate processes, because state that one notebook
sets would otherwise leak into the next and hide what is missing there.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from xml.etree import ElementTree

root = Path(__file__).resolve().parent.parent
run_notebook = """
import sys
from nbdev.test import nbdev_test
nbdev_test.__wrapped__(path=sys.argv[1], flags=sys.argv[2], n_workers=0)
"""


def notebooks():
    "Paths of the notebooks with code, by nbdev's rules for what it skips."
    for path in sorted((root / "nbs").rglob("*.ipynb")):
        hidden = any(part[0] in "._" for part in path.relative_to(root).parts)
        if hidden or (path.parent / ".notest").exists(): continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if any(cell["cell_type"] == "code" and "".join(cell["source"]).strip() for cell in cells): yield path


def execute(args, timeout):
    "Exit status and output of `args`; past `timeout` seconds its process group ends, and the status is None."
    # One thread each: two processes that both take every core are slower than two that take one.
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    env.setdefault("MPLBACKEND", "Agg")
    job = subprocess.Popen(args, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        out, _ = job.communicate(timeout=timeout)
        return job.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        return None, job.communicate()[0] + f"\nstopped after {timeout:.0f} s"


def test_notebook(path, opts):
    "(passed, failed, output) of one notebook."
    status, out = execute([sys.executable, "-c", run_notebook, str(path), opts.flags], opts.timeout)
    return int(status == 0), int(status != 0), out


def test_file(path, opts):
    "(passed, failed, output) of pytest on a file, counted from its report so that every single test counts."
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp) / "report.xml"
        args = [sys.executable, "-m", "pytest", f"--junitxml={report}", str(path)]
        status, out = execute(args, opts.timeout)
        counts = {}
        if report.exists():
            suite = ElementTree.parse(report).getroot().find("testsuite")
            counts = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    bad = counts.get("failures", 0) + counts.get("errors", 0)
    passed = counts.get("tests", 0) - bad - counts.get("skipped", 0)
    # A crash or a usage error leaves no failing test behind, and must still count as one.
    return passed, bad if status == 0 else max(bad, 1), out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("names", nargs="*", help="run only what has one of these in its path")
    add("-j", "--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="processes at a time")
    add("--timeout", type=float, default=600, help="seconds for each notebook, and for each file of pytest")
    add("--flags", default="", help="cell flags to run that are skipped otherwise: 'slow cuda'")
    opts = parser.parse_args()

    def wanted(path):
        return not opts.names or any(name in str(path.relative_to(root)) for name in opts.names)

    files = [path for path in sorted((root / "tests").rglob("test_*.py")) if wanted(path)]
    # The last notebooks train and take longest: begun first, they leave no core idle at the end.
    books = [path for path in reversed(list(notebooks())) if wanted(path)]
    passed = failed = 0
    with ThreadPoolExecutor(opts.jobs) as pool:
        start = time.perf_counter()
        jobs = {pool.submit(test_file, path, opts): str(path.relative_to(root)) for path in files}
        jobs |= {pool.submit(test_notebook, path, opts): str(path.relative_to(root)) for path in books}
        for job in as_completed(jobs):
            good, bad, out = job.result()
            passed, failed = passed + good, failed + bad
            after = f"{time.perf_counter() - start:5.0f} s"
            print(after, "FAILED" if bad else "passed", jobs[job], sep="  ", flush=True)
            if bad: print(out.rstrip(), flush=True)
    if not jobs: print("nothing to run", file=sys.stderr)
    print(f"{passed} passed, {failed} failed", flush=True)
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
