"""Makes README.md from nbs/index.ipynb; with --check, only says whether the two are in step.

Markdown stays as it is, code and text results are fenced, hidden cells and `#|` lines are dropped, and
relative links and images are written as seen from the top of the repository. A picture belongs into a
file and a markdown image: a figure stored as a cell's result has no place in a README, so it is an error.
"""

import json
import posixpath
import re

from house import root, written_or_checked

# A target in `](target)` or in an HTML attribute, unless it is absolute, an anchor or has a scheme.
link = re.compile(r"""(\]\(|(?:src|href)=["'])(?![a-z]+:|[#/])([^)\s"'#]+)""")
fenced = re.compile(r"(^```.*?^```)", re.M | re.S)


def from_top(text):
    "Markdown `text` of a notebook in nbs/, its relative links as seen from the top; code is left alone."
    def moved(m): return m[1] + posixpath.normpath(posixpath.join("nbs", m[2]))
    return "".join(s if s.startswith("```") else link.sub(moved, s) for s in fenced.split(text))


def results(cell):
    "Each result of a code cell as markdown."
    for out in cell["outputs"]:
        data = out.get("data", {})
        if any(kind.startswith("image/") for kind in data):
            raise SystemExit("nbs/index.ipynb stores a figure: show a file as a markdown image instead")
        if "text/markdown" in data: yield from_top("".join(data["text/markdown"]))
        elif text := "".join(out.get("text", data.get("text/plain", ""))): yield f"```\n{text.rstrip()}\n```"


def blocks(cell):
    "What one cell contributes, in order."
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown": yield from_top(source)
    if cell["cell_type"] != "code": return
    flags = {line[2:].strip() for line in source.splitlines() if line.startswith("#|")}
    code = "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip()
    if flags & {"hide", "include: false"}: return
    if code and "echo: false" not in flags: yield f"```python\n{code}\n```"
    yield from results(cell)


if __name__ == "__main__":
    cells = json.loads((root / "nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join(block for cell in cells for block in blocks(cell) if block) + "\n"
    written_or_checked(root / "README.md", text)
