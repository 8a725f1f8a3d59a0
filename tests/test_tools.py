"What `tools/` refuses: each check is shown something broken, and has to say so."
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tools"))
import check  # noqa: E402
import house  # noqa: E402
import pages  # noqa: E402
import website  # noqa: E402


def notebook(*cells):
    "A notebook of ('md' or 'code', source) cells."
    kinds = {"md": "markdown", "code": "code"}
    made = []
    for i, (kind, source) in enumerate(cells):
        cell = dict(cell_type=kinds[kind], id=f"c{i}", metadata={}, source=source)
        made.append(cell | (dict(outputs=[], execution_count=None) if kind == "code" else {}))
    return dict(cells=made, metadata={}, nbformat=4, nbformat_minor=5)


def written(folder, **books):
    "Writes notebooks below `folder`: 1_channel__01_flows=notebook(...)."
    for name, nb in books.items():
        path = folder / (name.replace("__", "/") + ".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(nb), encoding="utf-8")
    return folder


# ---- the house

def test_a_notebook_has_one_module_and_one_place():
    assert house.module_of(Path("1_channel/04_flows.ipynb")) == "channel.flows"
    assert house.module_of(Path("0_ground/03_noise.ipynb")) == "noise"
    assert house.module_of(Path("8_experiments/01_digits.ipynb")) is None
    order = ["0_ground/03_noise", "1_channel/01_schedules", "1_channel/04_flows", "7_apps/01_figures"]
    places = [house.place(Path(name + ".ipynb")) for name in order]
    assert places == sorted(places) and house.place(Path("index.ipynb")) is None


def test_the_sidebar_has_a_readers_order(tmp_path):
    written(tmp_path, index={}, symbols={}, **{"0_ground__01_settings": {}, "2_networks__01_blocks": {}})
    assert list(house.sections(tmp_path)) == [
        ("Start here", ["index.ipynb", "symbols.ipynb"]), ("Networks", ["2_networks/01_blocks.ipynb"]),
        ("Ground", ["0_ground/01_settings.ipynb"])]


@pytest.mark.parametrize("names, said", [
    (["1_channel/01_a", "1_channel/03_b"], "numbers [1, 3] need to be 1 to 2"),
    (["1_channel/01_a", "1_channel/01_b"], "numbers [1, 1] need to be 1 to 2"),
    (["1_channel/02a_flows"], "its name needs a number"),
    (["9_attic/01_old"], "not in a wing"),
    (["loose"], "not in a wing"),
])
def test_numbers_and_wings(names, said):
    assert said in "\n".join(check.numbering([Path(name + ".ipynb") for name in names]))


def test_a_notebook_exports_to_its_own_module():
    path = Path("1_channel/04_flows.ipynb")
    wrong = notebook(("code", "#| default_exp flows"))
    assert "needs one `#| default_exp channel.flows`" in next(check.target(path, wrong))
    assert not list(check.target(path, notebook(("code", "#| default_exp channel.flows"))))
    stray = notebook(("code", "#| default_exp digits"))
    assert "no wing that exports" in next(check.target(Path("8_experiments/01_digits.ipynb"), stray))


PLACES = ["0_ground/02_checks.ipynb", "1_channel/01_schedules.ipynb", "1_channel/04_flows.ipynb",
          "7_apps/11_cli.ipynb"]
MADE = {f"paramrel.{house.module_of(Path(path))}": (None, Path(path)) for path in PLACES}


@pytest.mark.parametrize("module, name, said", [
    ("channel.flows", "paramrel.apps.cli.main", "does not come before"),
    ("channel.schedules", "paramrel.channel.flows.Flow", "does not come before"),
    ("checks", "paramrel.channel.schedules.Schedule", "does not come before"),
    ("channel.flows", "paramrel.attic.old", "no notebook makes that module"),
    ("channel.flows", "fastcore.test.test_eq", "which users do not have"),
    ("channel.flows", "paramrel.channel.schedules.Schedule", None),
    ("channel.flows", "paramrel.checks.check_range", None),
    ("apps.cli", "paramrel.channel.flows", None),
])
def test_imports_point_backwards(module, name, said):
    problem = check.misplaced(MADE, f"paramrel.{module}", name)
    assert problem is None if said is None else said in problem


def test_imports_inside_functions_count():
    import ast
    tree = ast.parse("def f():\n    from ..apps.cli import main\n    import torch")
    assert set(check.imports(tree, ["paramrel", "channel"])) == {(2, "paramrel.apps.cli.main"), (3, "torch")}


# ---- cells

LONG = "#| export\ndef f(x):\n" + "    x = x + 1\n"*60
FAMILY = "#| export\n" + "".join(f"def {name}(x):\n" + "    x = x + 1\n"*14 + "\n" for name in "ab")


@pytest.mark.parametrize("source, said", [
    (LONG, "exports 61 lines, at most 60"),
    (FAMILY, "exports 2 things in 30 lines, at most 28, else one a cell: a, b"),
    ("#| export\nimport math\n\ndef f(x): return math.exp(x)", "exports imports and code in one cell"),
    ("import math\nx = math.pi", "imports and does more"),
    ("def f():\n    import math\n    return math.pi\nf()", "imports and does more"),
    ("[print(x) for x in (1, 2)]\nx = 1", "a comprehension for its side effect"),
    ("#| export\ndef f(x):\n    [print(i) for i in x]", "a comprehension for its side effect"),
    ("y = 1 if x else 2 if z else 3", "a conditional expression inside another"),
    ("raise ValueError(f'{1 if x else 2}')", "a conditional inside an error's text"),
])
def test_cells_that_are_hard_to_read(source, said):
    assert said in "\n".join(check.cell_form(source))


@pytest.mark.parametrize("source", [
    "#| export\nimport math\nfrom pathlib import Path",
    "#| export\ndef there(x): return x + 1\n\ndef back(x): return x - 1",
    "#| export\ndef picture(x):\n    import matplotlib.pyplot as plt\n    plt.plot(x)",
    "[x*x for x in (1, 2)]",
    "#| eval: false\nimport math\nprint(math.pi)",
    "import math\nfrom pathlib import Path",
])
def test_cells_that_are_fine(source):
    assert not list(check.cell_form(source))


def test_ruff_looks_into_notebooks(tmp_path):
    cells = ["x = '" + "x "*55 + "'", "a = 1; b = 2", "c = 3;\nc", "d = lambda x: x", "print(undefined)"]
    book = written(tmp_path, a=notebook(*(("code", cell) for cell in cells))) / "a.ipynb"
    config = f"--config={root / 'pyproject.toml'}"
    call = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", config, str(book)]
    said = subprocess.run(call, capture_output=True, text=True).stdout
    for rule in ("E501", "E702", "E703", "E731", "F821"): assert rule in said


@pytest.mark.parametrize("markdown, said", [
    ("costs $5", "without its partner"), ("$$x", "without its partner"),
    ("$ x $", "not maths on the website"),
    ("$\\frac{1}{2$", "unbalanced TeX"), ("$$x\n\ny$$", "a blank line ends the formula"),
])
def test_formulas_that_only_jupyter_forgives(markdown, said):
    assert said in "\n".join(check.formulas(markdown))


# ---- links of words

BOOKS = {"paramrel.apps.cli": (Path("7_apps/11_cli.ipynb"), {"data", "encode"}),
         "paramrel.models.tasks": (Path("3_models/07_tasks.ipynb"), {"encode", "fill_in"}),
         "paramrel.channel.flows": (Path("1_channel/04_flows.ipynb"), {"Flow", "Flow.update"}),
         "paramrel.apps.estimator": (Path("7_apps/07_estimator.ipynb"), {"Fitted", "Fitted.encode"})}


@pytest.mark.parametrize("page, code, word, goal", [
    ("3_models/07_tasks.ipynb", "", "encode", "#encode"), # its own
    ("8_experiments/01_digits.ipynb", "from paramrel.models.tasks import encode", "encode",
     "../3_models/07_tasks.ipynb#encode"), # imported
    ("8_experiments/01_digits.ipynb", "", "encode", None), # two make it
    ("7_apps/07_estimator.ipynb", "from paramrel.models.tasks import encode", "encode", "#Fitted.encode"),
    ("8_experiments/01_digits.ipynb", "", "data", None), # a plain word
    ("8_experiments/01_digits.ipynb", "", "fill_in", "../3_models/07_tasks.ipynb#fill_in"), # unmistakable
    ("8_experiments/01_digits.ipynb", "", "Flow.update()", "../1_channel/04_flows.ipynb#Flow.update"),
])
def test_words_link_to_what_the_page_means(page, code, word, goal):
    page = Path(page)
    made = website.linked(f"see `{word}` here", page, website.resolver(page, code, BOOKS))
    assert made == (f"see [`{word}`]({goal}) here" if goal else f"see `{word}` here")


def test_headings_code_and_links_are_left_alone():
    text = "# On `Flow`\n\n```python\n`Flow`\n```\n\n[`Flow`](x.ipynb)"
    assert website.linked(text, Path("index.ipynb"), website.resolver(Path("index.ipynb"), "", BOOKS)) == text


# ---- API parts

CLASS = '''
@dataclass
class Flow(Base):
    "A channel: η ~ N(β e, β I), steps --n *of* it"
    def __init__(self, σ1:float=.1, # noise left
                 *, n=1,
                ): self.σ1 = σ1

    def update(self, x): # (B,)
        """Evidence adds

        Args:
            x: --steps
        """
        return x

    def _hidden(self): return 1
'''


def test_an_entry_is_the_signature_as_written():
    entry, update = website.entries(CLASS, "paramrel.channel.flows", "https://host/blob/main")
    assert entry.startswith("### Flow {#Flow .api}") and "blob/main/paramrel/channel/flows.py#L" in entry
    assert ("```python\nclass Flow(Base):\n    def __init__(self, σ1:float=.1, # noise left\n"
            "                 *, n=1,\n                ):\n```") in entry
    assert r"η \~ N(β e, β I), steps \-\-n \*of\* it" in entry
    assert update.startswith("#### Flow.update {#Flow.update .api}")
    assert "def update(self, x): # (B,)\n```\n\nEvidence adds\n\n" in update
    assert "```text\nArgs:\n    x: --steps\n```" in update


def processed(tmp_path, *cells):
    "The page of a small notebook: (problem, notebook)."
    nbs = written(tmp_path / "nbs", **{"1_channel__04_flows": notebook(*cells)})
    path = Path("1_channel/04_flows.ipynb")
    problem = website.process(nbs, tmp_path / "out", path, website.index(nbs), "https://host")
    made = tmp_path / "out" / path
    return problem, json.loads(made.read_text(encoding="utf-8")) if made.exists() else None


def test_a_function_appears_once_and_its_source_is_folded(tmp_path):
    export = "#| export\ndef double(x):\n    'Twice x'\n    return 2*x"
    cells = [("md", "# Flows\n\n> One line."), ("code", "#| default_exp channel.flows"),
             ("code", "#| export\nimport math"), ("md", "Here is `double`."), ("code", export)]
    problem, nb = processed(tmp_path, *cells)
    assert problem is None
    sources = ["".join(cell["source"]) for cell in nb["cells"]]
    assert "Here is [`double`](#double)." in sources
    assert sum("### double {#double .api}" in source for source in sources) == 1
    assert sources[-1].startswith("#| code-fold: true\n")
    assert not any("import math" in source for source in sources)
    title, markdown, _ = pages.flattened(nb, "04_flows")
    assert title == "Flows" and "<details" in markdown and "#|" not in markdown


def test_the_website_is_processed_rendered_and_put_in_place(tmp_path, monkeypatch):
    written(tmp_path / "nbs", index=notebook(("md", "# Home")), symbols=notebook(("md", "# Symbols")))
    shutil.copy2(root / "settings.ini", tmp_path)
    quarto = tmp_path / "bin/quarto"
    quarto.parent.mkdir()
    quarto.write_text("#!/bin/sh\nmkdir _docs && ls > _docs/seen && cat nbdev.yml >> _docs/seen\n")
    quarto.chmod(0o755)
    monkeypatch.setenv("PATH", str(quarto.parent), prepend=":")
    monkeypatch.setattr(website, "root", tmp_path)
    monkeypatch.setattr(sys, "argv", ["website.py"])
    website.main()
    seen = (tmp_path / "_docs/seen").read_text(encoding="utf-8")
    assert "index.ipynb\n" in seen and "symbols.ipynb\n" in seen and "output-dir: _docs\n" in seen


def test_a_failing_cell_is_named(tmp_path):
    problem, nb = processed(tmp_path, ("md", "# Flows"), ("code", "#| export\nx = 1/0"))
    assert problem == "the documentation run fails: cell c1: ZeroDivisionError: division by zero"
    assert nb is None


def test_a_figure_is_described_by_the_prose_before_it(tmp_path):
    prose = "## Draws\n\nTwenty *paths* of [beliefs](x).\n\n$$x$$"
    nb = notebook(("md", "# Flows"), ("md", prose), ("code", "plot()"))
    nb["cells"][2]["outputs"] = [dict(output_type="display_data", data={"image/png": "aGk="}, metadata={})]
    nbs = written(tmp_path / "nbs", **{"8_experiments__01_digits": nb})
    path = Path("8_experiments/01_digits.ipynb")
    assert website.process(nbs, tmp_path / "out", path, {}, "") is None
    _, markdown, files = pages.flattened(json.loads((tmp_path / "out" / path).read_text()), path.stem)
    assert 'alt="Twenty paths of beliefs."' in markdown and files == {"01_digits-0.png": b"hi"}


def test_a_picture_has_no_caption_but_keeps_its_words():
    body, _ = pages.to_html(website.uncaptioned("One.\n\n![A *map*](a.svg)\n\nTwo ![inline](b.svg) here."))
    assert "<figure" not in body and "figcaption" not in body
    assert pages.Page(body).pictures == [("a.svg", "A map"), ("b.svg", "inline")]


@pytest.mark.parametrize("markdown, words", [
    ("# Head\n\nFirst.\n\nThe `belief` in $\\beta(t)$, $z_{\\mathrm{sem}}$ [here](x):",
     "The belief in β(t), z_sem here:"),
    ("# Head\n\n$$x$$\n\n| a | b |", ""), ("A. " * 150, "A. " * 99 + "A."),
])
def test_prose_becomes_words_for_a_figure(markdown, words):
    assert website.last_words(markdown) == words


# ---- pages

def said_of(tmp_path, markdown):
    "What is wrong with a page of this markdown; beside it stands a page `02_b` with a heading `There`."
    a, b = Path("1_channel/01_a.ipynb"), Path("1_channel/02_b.ipynb")
    written(tmp_path, **{"1_channel__01_a": {}, "1_channel__02_b": {}})
    made = {a: pages.to_html(markdown), b: pages.to_html("# There")}
    read = {path: pages.Page(body) for path, (body, _) in made.items()}
    return list(pages.wrong(a, read, made[a][1], tmp_path))


@pytest.mark.parametrize("markdown, said", [
    ("```\n#| slow\nx = 1\n```", "a directive shows: #| slow"),
    ("#| hide\ntext", "a directive shows: #| hide"),
    ("```\ndef f(x): # from [`data`](https://a.b)\n```", "a link that shows as text"),
    ("[x](03_c.ipynb)", "dead link 03_c.ipynb"),
    ("[x](02_b.ipynb#nowhere)", "dead anchor 02_b.ipynb#nowhere"),
    ("[x](#nowhere)", "dead anchor #nowhere"),
    ("[x](02_b.html)", "link to the notebook, not to the page made of it"),
    ("![](x.png)", "picture without words"),
    ("![words](x.png)", "dead picture x.png"),
    ("# Same\n\n# S {#same}", "anchor #same is there twice"),
    ("$\\frac{1}{2$", "TeX does not parse"),
])
def test_pages_that_are_broken(tmp_path, markdown, said):
    assert said in "\n".join(said_of(tmp_path, markdown))


def test_a_page_that_is_fine(tmp_path):
    fine = "# Here\n\n[there](02_b.ipynb#there) [here](#here) [web](https://a.b) $x$\n\n```\nx = 1\n```"
    assert said_of(tmp_path, fine) == []


def test_wide_parts_need_a_rule():
    css = "pre, table { overflow-x: auto; } .math.display { overflow: auto }"
    assert list(pages.unruled(css)) == []
    assert "tables need" in next(pages.unruled(css.replace("table", "tr")))
    assert list(pages.unruled((root / "nbs/styles.css").read_text(encoding="utf-8"))) == []


@pytest.mark.skipif(not pages.katex(fetch=False), reason="KaTeX is not in the cache")
def test_a_misspelt_macro_is_found():
    assert list(pages.unparsed([r"\frac12", r"\frca12", r"\mathcal N(\mu,\ \sigma)"])) == [r"\frca12"]


@pytest.mark.skipif(not pages.browser(), reason="no Chromium")
def test_pages_are_measured(tmp_path):
    folder = tmp_path / "html"
    folder.mkdir()
    for name in ("tools/theme.css", "nbs/styles.css"):
        (folder / Path(name).name).write_text((root / name).read_text(encoding="utf-8"), encoding="utf-8")
    bodies = {"fine": f"<pre>{'x '*200}</pre><table><tr><td><code>{'y'*300}</code></td></tr></table>",
              "wide": f"<p style='white-space: nowrap'>{'x '*60}</p>",
              "full": pages.to_html("```python\n" + "x"*110 + "\n```")[0],
              "cut": pages.to_html("```python\n" + "x"*125 + "\n```")[0]}
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text(pages.whole(name, body, 0), encoding="utf-8")
    names = [f"{name}.html" for name in bodies]
    assert [page for page, _ in pages.too_wide(folder, names, pages.PHONE)] == ["wide.html"]
    assert [page for page, _ in pages.too_wide(folder, names, pages.DESKTOP)] == ["cut.html"]


# ---- README.md

def test_the_readme_sees_links_from_the_top():
    import readme
    assert readme.from_top("[a](1_channel/04_flows.ipynb#x) ![b](images/b.png) [c](https://c.d) [e](#e)") == (
        "[a](nbs/1_channel/04_flows.ipynb#x) ![b](nbs/images/b.png) [c](https://c.d) [e](#e)")
    hidden, shown = (dict(cell_type="code", source=source, outputs=[dict(text="1\n")]) for source in (
        "#| hide\nx = 1", "#| slow\nprint(1)"))
    assert list(readme.blocks(hidden)) == []
    assert list(readme.blocks(shown)) == ["```python\nprint(1)\n```", "```\n1\n```"]
    with pytest.raises(SystemExit, match="stores a figure"):
        list(readme.results(dict(outputs=[dict(data={"image/png": ""})])))
