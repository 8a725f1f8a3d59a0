"""Builds the website: nbdev's processing of every notebook with the steps below in it, then Quarto.

    python tools/website.py             into _docs; needs quarto
    python tools/website.py --process   only into _proc, what Quarto would render

The steps are ours where nbdev's leave a page that is hard to read:
- API parts. Each exported function or class gets an entry: its signature as it is written, with the
  comments on its arguments, its docstring, its methods; the source of the cell follows once, folded.
- Links. A word in backticks is a link if the page defines it (as a method, too), if the notebook imports it,
  or if it is unmistakably a name that one module alone defines; nbdev links every `data` to any `data`.
- Figures without `#| fig-alt` are described by the prose before them.
"""

import argparse
import ast
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import house

root = Path(__file__).resolve().parent.parent
package = "paramrel"
# Decorators that change how something is called.
SHOWN_MARKS = {"@property", "@classmethod", "@staticmethod"}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def notebooks(nbs):
    "Paths below `nbs` of the notebooks that become pages."
    paths = (path.relative_to(nbs) for path in nbs.rglob("*.ipynb"))
    return sorted(path for path in paths if not any(part[0] in "._" for part in path.parts))


def code_of(nb):
    return "\n".join("".join(cell["source"]) for cell in nb["cells"] if cell["cell_type"] == "code")


def parsed(code):
    "The syntax tree of `code`, or an empty one where it is no Python (a magic, a shell line)."
    try: return ast.parse(code)
    except SyntaxError: return ast.parse("")


# ---- which name stands where

def exported(cells):
    "The export cells among notebook `cells`, as syntax trees."
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.match(r"#\| *exports?\s*$", source, re.M): yield parsed(source)


def public_methods(node):
    "Methods of a class that a reader calls."
    for item in node.body:
        if isinstance(item, DEFINITIONS[:2]) and (item.name[0] != "_" or item.name == "__call__"): yield item


def defined(cells):
    "Names that export cells define: `flow`, `Flow`, `Flow.update`."
    for tree in exported(cells):
        for node in tree.body:
            if not isinstance(node, DEFINITIONS) or node.name[0] == "_": continue
            yield node.name
            if isinstance(node, ast.ClassDef):
                for method in public_methods(node): yield f"{node.name}.{method.name}"


def index(nbs):
    "{module: (path of its notebook below nbs, names it defines)}."
    found = {}
    for path in notebooks(nbs):
        module = house.module_of(path)
        cells = json.loads((nbs / path).read_text(encoding="utf-8"))["cells"]
        if module: found[f"{package}.{module}"] = path, set(defined(cells))
    return found


def imported(code):
    "{name: module} of what the lines of a notebook import."
    names = {}
    for line in re.findall(r"^[ \t]*(from [\w.]+ import (?:\([^)]*\)|[^\n(]+))", code, re.M):
        for node in parsed(line).body: names |= {a.asname or a.name: node.module for a in node.names}
    return names


def public_homes():
    "{name: module} of what `paramrel` itself offers, read from its __init__ without importing it."
    source = (root / package / "__init__.py").read_text(encoding="utf-8")
    home = re.search(r"^_home = (\{.*?^\})", source, re.M | re.S)
    return {name: f"{package}.{module}" for name, module in ast.literal_eval(home[1]).items()} if home else {}


def resolver(path, code, modules):
    "A function: what a word on the page at `path` links to, as (notebook, anchor), or None."
    here = next((names for page, names in modules.values() if page == path), set())
    brought, homes = imported(code), public_homes()

    def resolve(word):
        name = word.removeprefix(package + ".") if word.count(".") > 1 else word
        top = name.split(".")[0]
        if name in here: return path, name
        # On the page of an estimator, `fit` is its method, whatever else is imported.
        methods = [whole for whole in here if whole.endswith("." + name)]
        if methods: return (path, methods[0]) if len(methods) == 1 else None
        module = brought.get(top)
        if module == package: module = homes.get(top)
        if module in modules and name in modules[module][1]: return modules[module][0], name
        makers = [page for page, names in modules.values() if name in names]
        unmistakable = re.search(r"[A-Z_.]", name)
        return (makers[0], name) if unmistakable and len(makers) == 1 and top not in brought else None

    return resolve


def linked(markdown, path, resolve):
    "`markdown` with its words in backticks linked; code blocks, headings and present links stay."
    def link(m):
        to = resolve(m[1].removesuffix("()"))
        if not to: return m[0]
        page = "" if to[0] == path else os.path.relpath(to[0], path.parent).replace(os.sep, "/")
        return f"[`{m[1]}`]({page}#{to[1]})"

    lines, fenced = [], False
    for line in markdown.splitlines():
        if re.match(r"\s*(```|~~~)", line): fenced = not fenced
        elif not fenced and not re.match(r"#|    ", line):
            line = re.sub(r"(?<![`\[])`([^`\s]+)`(?![`\]])", link, line)
        lines.append(line)
    return "\n".join(lines)


# ---- API parts

def head(source, node):
    "The signature of a function or class as it is written, up to its body, indent removed."
    first = min([node.body[0], *getattr(node.body[0], "decorator_list", [])], key=lambda part: part.lineno)
    *lines, last = source.splitlines()[node.lineno - 1 : first.lineno]
    # Python counts columns in bytes, and letters may be Greek.
    lines.append(last.encode()[: first.col_offset].decode().rstrip("@ "))
    return [line[node.col_offset :].rstrip() for line in lines if line.strip()]


def fields(source, node):
    "Lines of the annotated fields of a dataclass or named tuple."
    lines = source.splitlines()
    for item in node.body:
        if isinstance(item, ast.AnnAssign): yield from lines[item.lineno - 1 : item.end_lineno]


def signature(source, node):
    "What to type, and what the arguments mean."
    lines = head(source, node)
    if isinstance(node, ast.ClassDef):
        init = [m for m in node.body if isinstance(m, DEFINITIONS) and m.name == "__init__"]
        lines += ["    " + line for line in head(source, init[0])] if init else fields(source, node)
    marks = [f"@{ast.unparse(d)}" for d in node.decorator_list]
    return "\n".join([mark for mark in marks if mark in SHOWN_MARKS] + lines)


def escaped(prose):
    "A docstring is no markdown: only its `code` means what it means there."
    def escape(m): return m[1] or "".join("\\" + c for c in m[0])
    return re.sub(r"(`[^`]+`)|[*_<>~^$\[\]\\]|--", escape, prose)


def described(node):
    "The docstring: its first paragraph as prose, what follows as it is written, lines and `--options` kept."
    doc = ast.get_docstring(node)
    if not doc: return ""
    first, _, rest = doc.partition("\n\n")
    return escaped(first) + (f"\n\n```text\n{rest}\n```" if rest else "")


def line_of(module, name):
    "Line on which an exported module defines `name`, 1 if it cannot be found."
    file = root / (module.replace(".", "/") + ".py")
    source = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pattern = rf"(?:async )?(?:def|class) {re.escape(name)}\b"
    return next((i for i, line in enumerate(source, 1) if re.match(pattern, line)), 1)


def entry(source, node, owner="", url=""):
    "Markdown for one function, class or method."
    name = f"{owner}.{node.name}" if owner else node.name
    level = "####" if owner else "###"
    where = f"[source]({url}){{.api-source}}\n\n" if url else ""
    return (f"{level} {name} {{#{name} .api}}\n\n{where}"
            f"```python\n{signature(source, node)}\n```\n\n{described(node)}")


def entries(source, module, address):
    "Markdown for all that one export cell defines."
    for node in parsed(source).body:
        if not isinstance(node, DEFINITIONS) or node.name[0] == "_": continue
        url = f"{address}/{module.replace('.', '/')}.py#L{line_of(module, node.name)}"
        yield entry(source, node, url=url)
        if isinstance(node, ast.ClassDef):
            yield from (entry(source, method, node.name) for method in public_methods(node))


def imports_only(source):
    "Whether a cell does nothing but import."
    return all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in parsed(source).body)


# ---- nbdev's processing, with these steps in it

def processors(path, code, modules, address):
    "The steps for the notebook at `path` below nbs/, nbdev's and ours, in order."
    from execnb.nbio import mk_cell
    from nbdev import processors as nbdev
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import Processor
    module = f"{package}.{house.module_of(path)}"

    class Run(nbdev.exec_show_docs):
        "Runs export cells and cells with an import, as nbdev does, and names the cell that fails."
        def begin(self):
            self.nb.has_docs_ = True
            super().begin()

        def __call__(self, cell):
            try: super().__call__(cell)
            except Exception as e:
                cause = e.__cause__ or e
                words = " ".join(str(cause).split())[:200]
                raise RuntimeError(f"cell {cell.get('id')}: {type(cause).__name__}: {words}") from e

        def end(self): pass

    class Api(Processor):
        "Entries in front of each export cell, whose source is folded."
        def begin(self):
            cells = []
            for cell in self.nb.cells:
                export = cell.cell_type == "code" and {"export", "exports"} & cell.directives_.keys()
                if not export or "hide" in cell.directives_: cells.append(cell)
                elif not imports_only(cell.source): cells += self.shown(cell)
            self.nb.cells = cells

        def shown(self, cell):
            parts = list(entries(cell.source, module, address))
            defines = any(isinstance(node, DEFINITIONS) for node in parsed(cell.source).body)
            if defines and "code-fold" not in cell.source:
                cell.source = f'#| code-fold: true\n#| code-summary: "Source"\n{cell.source}'
            # Nothing after this step shall take the cell for an exported one and drop it.
            cell.directives_ = {k: v for k, v in cell.directives_.items() if k not in ("export", "exports")}
            return [mk_cell(part, "markdown") for part in parts] + [cell]

    class Links(Processor):
        def begin(self):
            resolve = resolver(path, code, modules)
            for cell in self.nb.cells:
                if cell.cell_type == "markdown" and cell.source:
                    cell.source = linked(cell.source, path, resolve)

    class Figures(Processor):
        "Words for whoever does not see a figure: the cell's `fig-alt`, else the prose before it."
        def begin(self):
            prose = ""
            for cell in self.nb.cells:
                if cell.cell_type == "markdown":
                    prose = last_words(cell.source) or prose
                    cell.source = uncaptioned(cell.source)
                elif pictures(cell) and prose and "#| fig-alt" not in cell.source:
                    cell.source = f"#| fig-alt: {json.dumps(prose, ensure_ascii=False)}\n{cell.source}"

    return [FrontmatterProc, nbdev.populate_language, nbdev.insert_warning, nbdev.strip_ansi,
            nbdev.hide_line, nbdev.filter_stream_, nbdev.rm_header_dash, nbdev.clean_show_doc,
            Run, Api, Links, nbdev.rm_export, nbdev.ai_magics, nbdev.clean_magics, nbdev.hide_,
            Figures, nbdev.strip_hidden_metadata]


def uncaptioned(markdown):
    "A picture alone in its paragraph would have its alternative text as caption; beside a blank it has none."
    return re.sub(r"^(!\[[^\]]*\]\([^)\s]*\)) *$", r"\1&nbsp;", markdown, flags=re.M)


def pictures(cell):
    "Results of a cell that are drawn."
    drawn = {"image/png", "image/svg+xml"}
    return [out for out in cell.get("outputs", []) if drawn & out.get("data", {}).keys()]


def last_words(markdown):
    "The last paragraph of prose, as plain text in one line; nothing for a heading or a formula alone."
    plain = re.sub(r"\$\$.*?\$\$|^```.*?^```|^[#|!<].*?$|^:::.*?$", "", markdown, flags=re.M | re.S)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", plain) if p.strip()]
    if not paragraphs: return ""
    words = re.sub(r"[*`${}]|\{#\S+\}", "", re.sub(r"\\([a-zA-Z]+|.)", spoken, paragraphs[-1]))
    return words if len(words) < 300 else words[:300].rpartition(". ")[0] + "."


def spoken(m):
    "A TeX macro as plain text: Greek letters as themselves, what only sets type as nothing."
    quiet = "mathrm mathcal mathbf mathbb text operatorname left right big hat bar frac tfrac sqrt".split()
    try: return unicodedata.lookup(f"GREEK SMALL LETTER {m[1].upper()}")
    except KeyError: return "" if m[1] in quiet or len(m[1]) == 1 else f" {m[1]} "


def process(nbs, out, path, modules, address):
    "Processes the notebook at `path` below `nbs` into `out`; returns what went wrong, or nothing."
    from execnb.nbio import read_nb, write_nb
    from nbdev.process import NBProcessor
    nb = read_nb(nbs / path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try: NBProcessor(nb=nb, procs=processors(path, code_of(nb), modules, address)).process()
        except Exception as e: return f"the documentation run fails: {e}"
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    write_nb(nb, out / path)


def settings():
    from configparser import ConfigParser
    ini = ConfigParser(delimiters=["="])
    ini.read(root / "settings.ini", encoding="utf-8")
    return ini["DEFAULT"]


def begin_worker(where):
    "A worker runs cells in the folder of the copy, on this tree's package, and exports nothing."
    os.environ |= {"IN_TEST": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    sys.path.insert(0, str(root))
    os.chdir(where)


def process_all(out, wanted=lambda path: True, jobs=2):
    "Processes the notebooks that are `wanted` into the folder `out`; yields (path, what went wrong or None)."
    nbs, cfg = root / "nbs", settings()
    address = f"{cfg['git_url']}/blob/{cfg['branch']}"
    ignored = shutil.ignore_patterns("*.ipynb", ".*", "__pycache__")
    shutil.copytree(nbs, out, ignore=ignored, dirs_exist_ok=True)
    modules, paths = index(nbs), [path for path in notebooks(nbs) if wanted(path)]
    # A process for each notebook, or one would live on what another has imported; each is a copy of a server
    # that has the slow imports behind it.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["torch", "matplotlib.pyplot", "nbdev.processors"])
    with server.Pool(jobs, begin_worker, (str(out),), maxtasksperchild=1) as pool:
        work = {path: pool.apply_async(process, (nbs, out, path, modules, address)) for path in paths}
        for path, job in work.items(): yield path, job.get()


def project_files(out):
    "What Quarto reads beside the pages: nbdev writes title, address and branch from settings.ini."
    cfg = settings()
    (out / "nbdev.yml").write_text(
        f'project:\n  output-dir: {cfg["doc_path"]}\n\nwebsite:\n  title: "{cfg["title"]}"\n'
        f'  site-url: "{cfg["doc_host"]}{cfg["doc_baseurl"]}"\n  description: "{cfg["description"]}"\n'
        f'  repo-branch: {cfg["branch"]}\n  repo-url: "{cfg["git_url"]}"\n', encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--process", action="store_true", help="stop before Quarto")
    opts = parser.parse_args()
    out, docs = root / "_proc", root / settings()["doc_path"]
    shutil.rmtree(out, ignore_errors=True)
    failed = [f"nbs/{path}: {problem}" for path, problem in process_all(out) if problem]
    if failed: raise SystemExit("\n".join(failed))
    project_files(out)
    if opts.process: return
    subprocess.run(["quarto", "render", "--no-cache", "--no-execute"], cwd=out, check=True)
    shutil.rmtree(docs, ignore_errors=True)
    shutil.move(out / docs.name, docs)


if __name__ == "__main__":
    main()
