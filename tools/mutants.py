"""Breaks exported code on purpose, one small place at a time, and asks whether the notebook's tests notice.

    python tools/mutants.py 1_channel/08_samplers --sample 40     40 mutants of one notebook, drawn at random
    python tools/mutants.py 1_channel 3_models --jobs 2           all of two wings; hours
    python tools/mutants.py 1_channel/04_flows --show 17          what mutant 17 changes

A mutant is one change in an `#| export` cell: an operator, a comparison or a constant replaced, a factor or
a summand dropped, an argument left out, a sign or a `not` taken away, one short name put for another of the
same function. The notebook's cells run with the mutant in place; it is *killed* when one of them fails, and
*survives* when all pass. A mutant may survive because it changes nothing that can be seen (a device, a
message, a fast path): read it before a test is written for it. Not run in CI.
"""

import argparse
import ast
import contextlib
import copy
import io
import itertools
import json
import os
import random
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

root = Path(__file__).resolve().parent.parent
skipped = re.compile(r"^#\| *(slow|cuda|eval: *false|default_exp)", re.M)
swaps = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
         ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
flips = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
         ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}


class Mutant(NamedTuple):
    "A changed cell"
    cell: int # its number among the notebook's code cells
    line: int # within the cell
    said: str # what was changed
    source: str # of the whole cell


def inside_message(tree):
    "Nodes that only make the text of an error: changing them is no fault of the code"
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise): yield from ast.walk(node)
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation: yield from ast.walk(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.returns: yield from ast.walk(node.returns)


def replacements(node, names):
    "What may stand in a node's place, as (name of the change, new node)"
    if isinstance(node, ast.BinOp):
        if type(node.op) in swaps: yield "operator", ast.BinOp(node.left, swaps[type(node.op)](), node.right)
        yield "left part alone", node.left
        yield "right part alone", node.right
    if isinstance(node, ast.Compare) and type(node.ops[0]) in flips:
        flipped = flips[type(node.ops[0])]()
        yield "comparison", ast.Compare(node.left, [flipped, *node.ops[1:]], node.comparators)
    if isinstance(node, ast.UnaryOp): yield "sign or not dropped", node.operand
    if isinstance(node, ast.BoolOp):
        for part in node.values: yield "one condition alone", part
    if isinstance(node, ast.IfExp):
        yield "always the first", node.body
        yield "always the second", node.orelse
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "constant + 1", ast.Constant(node.value + 1)
        if node.value: yield "constant halved", ast.Constant(type(node.value)(node.value/2))
    if isinstance(node, ast.Call):
        for left_out in node.keywords:
            kept = [keyword for keyword in node.keywords if keyword is not left_out]
            yield "argument left out", ast.Call(node.func, node.args, kept)
        if len(node.args) > 1:
            yield "last argument left out", ast.Call(node.func, node.args[:-1], node.keywords)
        if isinstance(node.func, ast.Attribute) and not node.keywords:
            yield f".{node.func.attr}() left out", node.func.value
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        for other in sorted(names - {node.id}): yield f"{other} for {node.id}", ast.Name(other, ast.Load())


def local_names(function):
    "Arguments of a function and what it assigns, single letters of the formulas above all"
    names = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    names |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {name for name in names if len(name) <= 2} - {"_"}


class Put(ast.NodeTransformer):
    "A tree with the node at one place of `ast.walk` replaced"

    def __init__(self, old, new): self.old, self.new = old, new

    def visit(self, node): return self.new if node is self.old else super().generic_visit(node)


def places(tree):
    "(number in `ast.walk`, node, names) of what may be changed: code of functions, not the text of errors"
    quiet = {id(node) for node in inside_message(tree)}
    numbers = {id(node): i for i, node in enumerate(ast.walk(tree))}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef): continue
        names = local_names(function)
        for statement in function.body:
            for node in ast.walk(statement):
                if id(node) not in quiet and isinstance(node, ast.expr): yield numbers[id(node)], node, names


def mutants_of(source, cell):
    "All mutants of one exported cell"
    for number, node, names in places(ast.parse(source)):
        for said, new in replacements(node, names):
            tree = ast.parse(source)
            old = next(itertools.islice(ast.walk(tree), number, None))
            changed = ast.fix_missing_locations(Put(old, copy.deepcopy(new)).visit(tree))
            said = f"{said}: {ast.unparse(node)} → {ast.unparse(new)}"
            yield Mutant(cell, node.lineno, said, ast.unparse(changed))


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [source for source in sources if not skipped.search(source)]


def all_mutants(path):
    "Every mutant of a notebook, each once"
    seen = {}
    for number, source in enumerate(code_cells(path)):
        if not re.search(r"^#\| *exporti?s?\b", source, re.M): continue
        for mutant in mutants_of(source, number): seen.setdefault((mutant.cell, mutant.source), mutant)
    same = {(number, ast.unparse(ast.parse(source))) for number, source in enumerate(code_cells(path))}
    return [mutant for key, mutant in seen.items() if key not in same]


def run_cells(path, mutant):
    "In this process: the notebook with a mutant in place; the number of the cell that failed, or None"
    os.chdir(path.parent)
    space = {"__name__": "__main__"}
    for number, source in enumerate(code_cells(path)):
        if mutant and number == mutant.cell: source = mutant.source
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(source, f"cell {number}", "exec"), space)
        except BaseException: return number
    return None


def tried(path, mutant, seconds):
    "Whether the tests fail with a mutant in place, in a process of its own; None when it took too long"
    pid = os.fork()
    if not pid:
        os.setsid()
        os._exit(0 if run_cells(path, mutant) is None else 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done: return os.waitstatus_to_exitcode(status) != 0
        time.sleep(.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def judge(path, opts):
    "Try a notebook's mutants and print those that survive"
    every = all_mutants(path)
    if opts.show is not None:
        print(every[opts.show].said, every[opts.show].source, sep="\n")
        return
    wanted = min(opts.sample or len(every), len(every))
    numbers = sorted(random.Random(opts.seed).sample(range(len(every)), wanted))
    start = time.monotonic()
    if tried(path, None, 600) is not False: raise SystemExit(f"{path}: its tests fail without any mutant")
    limit = 30 + 5*(time.monotonic() - start)
    with ThreadPoolExecutor(opts.jobs) as pool:
        killed = dict(zip(numbers, pool.map(lambda i: tried(path, every[i], limit), numbers), strict=True))
    survivors = [i for i in numbers if killed[i] is False]
    name = path.relative_to(root/"nbs").with_suffix("")
    print(f"{name}: {len(numbers)} of {len(every)} mutants tried, {len(survivors)} survive", flush=True)
    for i in survivors:
        print(f"  {i:5d}  cell {every[i].cell}, line {every[i].line}: {every[i].said[:150]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="+", help="wings or notebooks, as they stand in nbs/")
    parser.add_argument("--sample", type=int, help="so many mutants of each notebook, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", type=int, help="show a mutant and leave")
    opts = parser.parse_args()
    import matplotlib
    matplotlib.use("Agg")
    import torch
    torch.set_num_threads(1)
    sys.path.insert(0, str(root))
    nbs = root/"nbs"
    for name in opts.names:
        for path in sorted([*nbs.glob(f"{name}.ipynb"), *nbs.glob(f"{name}/*.ipynb")]): judge(path, opts)


if __name__ == "__main__":
    main()
