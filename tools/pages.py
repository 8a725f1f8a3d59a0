"""The website's pages as Quarto would show them, without Quarto, and what is wrong with them.

    python tools/pages.py [WORDS] --out DIR    pages (of notebooks with one of WORDS in their path) as HTML

Each notebook that tools/website.py has processed is flattened to markdown and converted by pandoc, which
Quarto uses, too. A page is wrong when a directive shows, a link or an anchor leads nowhere, a picture has
no words, a formula does not parse, or something is wider than a phone. The last two need node with KaTeX
and Chromium; where they are missing, the balance of braces and a look at the style sheet must do.
"""

import argparse
import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import yaml

import website

root = Path(__file__).resolve().parent.parent
PHONE, DESKTOP = 390, 1400
OPTION = re.compile(r"^#\| *([\w-]+): *(.*)$")
# What shows a result best comes first.
KINDS = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/latex", "text/plain")


# ---- a processed notebook as one markdown text

def fenced(text, classes):
    return f"~~~~~~~~ {{{classes}}}\n{text.rstrip()}\n~~~~~~~~"


def options(source):
    "Quarto's options at the top of a cell, and the lines below them."
    found, lines = {}, source.splitlines()
    while lines and (m := OPTION.match(lines[0])):
        found[m[1]] = yaml.safe_load(m[2])
        lines.pop(0)
    return found, "\n".join(lines)


def result(out, alt, stem, files):
    "One result of a cell as markdown; pictures go into `files`, under names that begin with `stem`."
    if out["output_type"] == "stream": return fenced("".join(out["text"]), ".output")
    data = out.get("data", {})
    kind = next((kind for kind in KINDS if kind in data), None)
    if kind is None: return ""
    content = "".join(data[kind])
    if kind.startswith("image/"):
        name = f"{stem}-{len(files)}.{kind[6:].split('+')[0]}"
        files[name] = content.encode() if kind == "image/svg+xml" else base64.b64decode(content)
        return f'<div class="figure"><img class="img-fluid" src="{name}" alt="{html.escape(alt)}"></div>'
    if kind == "text/plain": return fenced(content, ".output")
    return f"```{{=html}}\n{content}\n```" if kind == "text/html" else content


def flattened(nb, stem):
    "(title, markdown, files) of a processed notebook."
    title, parts, files = stem, [], {}
    for cell in nb["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "raw" and (front := re.match(r"---\n(.*?)\n---", source, re.S)):
            front = yaml.safe_load(front[1])
            title = str(front.get("title", stem))
            parts.append(f'<h1 class="title">{html.escape(title)}</h1>\n\n::: description\n'
                         f'{front.get("description", "")}\n:::')
        elif cell["cell_type"] == "markdown": parts.append(source)
        elif cell["cell_type"] == "code":
            chosen, code = options(source)
            if chosen.get("include") is False: continue
            block = fenced(code, ".python .cell-code")
            if chosen.get("code-fold"):
                summary = chosen.get("code-summary", "Code")
                block = f'<details class="code-fold"><summary>{summary}</summary>\n\n{block}\n\n</details>'
            if code.strip() and chosen.get("echo") is not False: parts.append(block)
            if chosen.get("output") is not False:
                alt = chosen.get("fig-alt", "")
                parts += [result(out, alt, stem, files) for out in cell["outputs"]]
    return title, "\n\n".join(parts), files


def to_html(markdown):
    "(body, warnings) that pandoc makes of `markdown`."
    import pypandoc
    call = [pypandoc.get_pandoc_path(), "--from=markdown", "--to=html5", "--mathml", "--wrap=none"]
    done = subprocess.run(call, input=markdown, capture_output=True, text=True, encoding="utf-8")
    # Quarto leaves a displayed formula in a span of these classes, whatever renders it.
    display = re.compile(r'(<math display="block".*?</math>)', re.S)
    return display.sub(r'<span class="math display">\1</span>', done.stdout), done.stderr.strip()


def whole(title, body, depth):
    "A page around `body`, laid out like Quarto's theme as far as widths go."
    up = "../" * depth
    return (f'<!doctype html><html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="stylesheet" href="{up}theme.css">'
            f'<link rel="stylesheet" href="{up}styles.css"></head>'
            f'<body><main class="content">{body}</main></body></html>')


def build(path, proc, out):
    "The processed notebook `proc`/`path` as an HTML page below `out`; returns (body, pandoc's warnings)."
    nb = json.loads((proc / path).read_text(encoding="utf-8"))
    title, markdown, files = flattened(nb, path.stem)
    body, warnings = to_html(markdown)
    page = out / path.with_suffix(".html")
    page.parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items(): (page.parent / name).write_bytes(content)
    shown = re.sub(r'(href="(?![a-z]+:)[^"#]*)\.ipynb', r"\1.html", body)
    page.write_text(whole(title, shown, len(path.parts) - 1), encoding="utf-8")
    return body, warnings


# ---- what is wrong with a page

class Page(HTMLParser):
    "Ids, links, pictures, code and formulas of a page."
    def __init__(self, body):
        super().__init__()
        self.ids, self.links, self.pictures, self.blocks, self.tex = [], [], [], [], []
        self.into = None
        self.feed(body)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        # Pandoc numbers blocks of code and their lines.
        if "id" in attrs and not re.fullmatch(r"cb\d+(-\d+)?", attrs["id"]): self.ids.append(attrs["id"])
        # Hidden from readers are only pandoc's links to each line of code.
        hidden = attrs.get("aria-hidden") == "true"
        if tag == "a" and "href" in attrs and not hidden: self.links.append(attrs["href"])
        if tag == "img": self.pictures.append((attrs.get("src", ""), (attrs.get("alt") or "").strip()))
        if tag in ("pre", "p"): self.blocks.append("")
        if tag == "annotation": self.tex.append("")
        if tag in ("pre", "p", "annotation"): self.into = tag

    def handle_endtag(self, tag):
        if tag == self.into: self.into = None

    def handle_data(self, data):
        if self.into == "annotation": self.tex[-1] += data
        elif self.into: self.blocks[-1] += data


def dead(target, path, pages, folder):
    "What is wrong with a link on the page of the notebook at `path` below `folder`, or None."
    if re.match(r"[a-z]+:|//", target): return None
    name, _, anchor = unquote(target).partition("#")
    goal = Path(os.path.normpath(path.parent / name)) if name else path
    if goal in pages: return None if not anchor or anchor in pages[goal].ids else f"dead anchor {target}"
    if goal.suffix == ".html": return f"link to the notebook, not to the page made of it: {target}"
    return None if (folder / goal).exists() else f"dead link {target}"


def wrong(path, pages, warnings, folder):
    "Problems of the page made of the notebook at `path` below `folder`."
    page = pages[path]
    for warning in re.findall(r"Could not convert TeX math(.*?)(?:, rendering as TeX|$)", warnings, re.S):
        yield f"TeX does not parse: {' '.join(warning.split())[:80]}"
    for target in page.links:
        if problem := dead(target, path, pages, folder): yield problem
    for source, alt in page.pictures:
        short = source if len(source) < 60 else source[:57] + "..."
        if not alt: yield f"picture without words for who does not see it: {short}"
        local = not re.match(r"[a-z]+:|//", source)
        made = re.fullmatch(rf"{re.escape(path.stem)}-\d+\.\w+", source)
        if local and not made and dead(source, path, {}, folder): yield f"dead picture {short}"
    for block in page.blocks:
        if leak := re.search(r"^\s*#\|.*$", block, re.M): yield f"a directive shows: {leak[0].strip()}"
        if link := re.search(r"\[`[^`]+`\]\(\S*\)", block): yield f"a link that shows as text: {link[0]}"
    for twin in sorted({i for i in page.ids if page.ids.count(i) > 1}): yield f"anchor #{twin} is there twice"


# ---- formulas, by the rules of a renderer for the web

PARSE = """
const katex = require("katex"), said = []
const all = JSON.parse(require("fs").readFileSync(0, "utf8"))
for (const tex of all) {
  try { katex.renderToString(tex, {displayMode: true, throwOnError: true, strict: "ignore"}); said.push("") }
  catch (e) { said.push(String(e.message)) }
}
console.log(JSON.stringify(said))
"""


def katex(fetch=True):
    "The folder that holds KaTeX, once fetched into the user's cache; None without node or the network."
    if not shutil.which("node"): return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paramrel-tools"
    if fetch and not (cache / "node_modules/katex").exists() and shutil.which("npm"):
        call = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries=0",
                f"--prefix={cache}", "katex@0.16"]
        try:
            cache.mkdir(parents=True, exist_ok=True)
            subprocess.run(call, capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired): pass
    return cache if (cache / "node_modules/katex").exists() else None


def unparsed(formulas):
    "{formula: complaint} for those among `formulas` that KaTeX refuses; empty where KaTeX is not to be had."
    where = katex()
    if not where: return {}
    call = ["node", "-e", PARSE]
    done = subprocess.run(call, input=json.dumps(formulas), cwd=where, capture_output=True, text=True)
    if done.returncode: return {}
    return {tex: said for tex, said in zip(formulas, json.loads(done.stdout)) if said}


# ---- widths, measured in a browser

MEASURE = """<!doctype html><body><pre id="said">[]</pre><script>
const pages = %s, width = %d, said = []
function wide(doc) {
  const page = doc.documentElement.clientWidth + 1, found = []
  if (doc.documentElement.scrollWidth > page) {
    const parts = [...doc.querySelectorAll("main, main *")]
    const free = part => !/auto|scroll|hidden/.test(getComputedStyle(part).overflowX)
    for (const part of parts) {
      if (part.getBoundingClientRect().right <= page) continue
      let box = part.parentElement
      while (box && free(box)) box = box.parentElement
      if (!box || box === doc.documentElement || box === doc.body) found.push(part)
    }
    // Text that runs out of its own box.
    if (!found.length) found.push(...parts.reverse().filter(part => free(part) && part.scrollWidth > page))
  }
  // On a desktop, code that has to be scrolled is code that is cut.
  if (width > 1000) {
    for (const code of doc.querySelectorAll("div.sourceCode.python pre, pre.python")) {
      if (code.closest("details")) code.closest("details").open = true
      if (code.scrollWidth > code.clientWidth + 1) found.push(code)
    }
  }
  const words = e => e.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)
  return found.slice(0, 1).map(e => e.tagName.toLowerCase() + ": " + words(e))
}
async function one(page) {
  const frame = document.createElement("iframe")
  frame.style.width = width + "px"; frame.style.height = "800px"; frame.src = page
  await new Promise(done => { frame.onload = done; document.body.append(frame) })
  for (const found of wide(frame.contentDocument)) said.push([page, found])
  frame.remove()
}
(async () => {
  for (const page of pages) await one(page)
  document.getElementById("said").textContent = JSON.stringify(said)
  document.body.className = "done"
})()
</script></body>"""


def browser():
    "Path of a Chromium, or None."
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


def too_wide(out, names, width):
    "[(page, what)] of the HTML pages below `out` that are wider than a window; None if none can be opened."
    program = browser()
    if not program: return None
    sheet = out / f"measure-{width}.html"
    sheet.write_text(MEASURE % (json.dumps(names), width), encoding="utf-8")
    call = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-extensions", "--disable-background-networking", "--allow-file-access-from-files",
            "--virtual-time-budget=600000", f"--user-data-dir={out / 'browser'}",
            "--dump-dom", sheet.as_uri()]
    try: done = subprocess.run(call, capture_output=True, text=True, timeout=150)
    except subprocess.TimeoutExpired: return None
    said = re.search(r'<body class="done"><pre id="said">(.*?)</pre>', done.stdout, re.S)
    return json.loads(html.unescape(said[1])) if said else None


# What keeps wide things inside the page, with or without a browser to measure it.
RULES = {"pre": "code", "table": "tables", ".math.display": "formulas"}


def unruled(css):
    "Parts of a page that the style sheet `css` does not let scroll by themselves."
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    scrolling = [s.strip() for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css)
                 if re.search(r"overflow(-x)?:\s*auto", body) for s in selectors.split(",")]
    for selector, what in RULES.items():
        if selector not in scrolling:
            yield f"nbs/styles.css: {what} need `overflow-x: auto` (a rule for {selector})"


# ---- all of it

def write_all(proc, out, paths, jobs=2):
    "{path: (body, warnings)} of the pages that are written below `out`."
    shutil.copytree(proc, out, ignore=shutil.ignore_patterns("*.ipynb"), dirs_exist_ok=True)
    shutil.copy2(root / "tools/theme.css", out)
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(paths, pool.map(lambda path: build(path, proc, out), paths)))


def problems(proc, out, paths):
    "One line for each thing wrong with the pages of the processed notebooks `paths` below `proc`."
    made = write_all(proc, out, paths)
    pages = {path: Page(body) for path, (body, _) in made.items()}
    for path, (_, warnings) in made.items():
        for problem in wrong(path, pages, warnings, root / "nbs"): yield f"nbs/{path}: {problem}"
    bad = unparsed(sorted({tex for page in pages.values() for tex in page.tex}))
    for path, page in pages.items():
        for tex in sorted(set(page.tex) & bad.keys()):
            yield f"nbs/{path}: TeX does not parse: {' '.join(tex.split())[:60]} ({bad[tex][:80]})"
    yield from unruled((root / "nbs/styles.css").read_text(encoding="utf-8"))
    names = [str(path.with_suffix(".html")) for path in paths]
    for width in (PHONE, DESKTOP):
        found = too_wide(out, names, width)
        if found is None: print(f"widths at {width} pixels were not measured", file=sys.stderr)
        for name, what in found or ():
            book = Path(name).with_suffix(".ipynb")
            yield f"nbs/{book}: does not fit into a window of {width} pixels: {what}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    opts = parser.parse_args()
    def wanted(path): return not opts.words or any(word in str(path) for word in opts.words)
    out = opts.out.resolve()
    proc = out / "proc"
    paths = []
    for path, problem in website.process_all(proc, wanted):
        if problem: print(f"nbs/{path}: {problem}")
        else: paths.append(path)
    for problem in problems(proc, out / "html", paths): print(problem)


if __name__ == "__main__":
    sys.exit(main())
