"""The wings of the house, said once; from this list `tools/house.py` writes the website's sidebar.

    python tools/house.py            writes nbs/sidebar.yml
    python tools/house.py --check    only says whether it is in step with the notebooks that are there

nbdev's own sidebar drops the number of a folder from its paths, so that no page of a wing is found.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

root = Path(__file__).resolve().parent.parent


class Wing(NamedTuple):
    folder: str   # of the notebooks, below nbs/
    package: str  # that they export to, below paramrel; "" is paramrel itself, None exports nothing
    title: str    # for readers


# In the order of imports: a wing imports from those above it only.
WINGS = [
    Wing("0_ground", "", "Ground"),
    Wing("1_channel", "channel", "The channel"),
    Wing("2_networks", "networks", "Networks"),
    Wing("3_models", "models", "Models"),
    Wing("4_data", "data", "Data"),
    Wing("5_training", "training", "Training"),
    Wing("6_evaluation", "evaluation", "Evaluation"),
    Wing("7_apps", "apps", "Using it"),
    Wing("8_experiments", None, "Experiments"),
]
# Pages that belong to no wing, in front of all; those which are not there are left out.
START = ["index.ipynb", "00_idea.ipynb", "symbols.ipynb"]
GUIDES = "guides"


def wing_of(path):
    "The wing of a notebook at `path`, relative to nbs/; None for one that stands outside."
    return next((wing for wing in WINGS if wing.folder == path.parts[0]), None)


def number(name):
    "The number of a notebook named like 04_flows.ipynb; None without one."
    m = re.fullmatch(r"(\d\d)_\w+\.ipynb", name)
    return int(m[1]) if m else None


def place(path):
    "Sort key of a notebook at `path`, relative to nbs/, in the order of imports: (wing, number)."
    wing = wing_of(path)
    return (WINGS.index(wing), number(path.name)) if wing and number(path.name) is not None else None


def module_of(path):
    "What `#| default_exp` says in the notebook at `path`, relative to nbs/; None where nothing is exported."
    wing = wing_of(path)
    if not wing or wing.package is None or number(path.name) is None: return None
    name = path.stem.split("_", 1)[1]
    return f"{wing.package}.{name}" if wing.package else name


def sections(nbs):
    "(title, pages) of each part of the website for readers: the ground, skipped at first, comes last."
    yield "Start here", [page for page in START if (nbs / page).exists()]
    parts = [(GUIDES, "Guides")] + [(wing.folder, wing.title) for wing in WINGS[1:] + WINGS[:1]]
    for folder, title in parts:
        pages = sorted(page.name for page in (nbs / folder).glob("*.ipynb") if page.name[0] not in "._")
        if pages: yield title, [f"{folder}/{page}" for page in pages]


def sidebar(nbs):
    "The text of sidebar.yml."
    lines = ["# Made by tools/house.py.", "website:", "  sidebar:", "    contents:"]
    for title, pages in sections(nbs):
        lines += [f"      - section: {title}", "        contents:"]
        lines += [f"          - {page}" for page in pages]
    return "\n".join(lines) + "\n"


def written_or_checked(path, text):
    "What a tool that makes one file does: writes it, or with --check asks whether it is the one there."
    name, tool = path.relative_to(root), Path(sys.argv[0]).name
    if sys.argv[1:] == ["--check"]:
        if path.exists() and path.read_text(encoding="utf-8") == text: return
        raise SystemExit(f"{name} is not in step with the notebooks: run python tools/{tool}")
    if sys.argv[1:]: raise SystemExit(f"usage: python tools/{tool} [--check]")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    written_or_checked(root / "nbs/sidebar.yml", sidebar(root / "nbs"))
