"""Draws the data flow of the package, once for each module with the module's part marked.

    python tools/dataflow.py            write nbs/images/flow/*.svg, and delete what no module needs any more
    python tools/dataflow.py --check    say what is not in step; the exit status says if anything is

Each notebook shows its own picture, `WING-MODULE.svg`; `flow.svg` marks nothing. The layout is by hand: a
box is a row of BOXES, an arrow a row of ARROWS, and PLACES says which of them a module is. A module that
PLACES does not know is its whole wing. Boxes and names bring their own background, so that one file serves
light pages and dark ones.
"""

import argparse
import re
import sys
from html import escape
from pathlib import Path

root = Path(__file__).resolve().parent.parent
folder = root/"nbs"/"images"/"flow"
top, width, height = 20, 700, 440

ink, paper, line, label = "#1b2530", "#e9edf2", "#87898c", "#59636e"
accent, accent_line = "#b83a00", "#e8590c"

# wing: left end and height of its name, and its outline; networks live inside the models
WINGS = {
    "data": (18, 34, "M8 34H108V250H8Z"),
    "channel": (134, 34, "M124 34H460V262H124Z"),
    "models": (484, 34, "M474 34H692V330H124V276H474Z"),
    "networks": (586, 34, ""),
    "training": (14, 276, "M8 276H108V330H8Z"),
    "evaluation": (18, 356, "M8 356H342V410H8Z"),
    "apps": (368, 356, "M358 356H692V410H358Z"),
    "ground": (18, 439, "M8 422H692V456H8Z"),
}

# box: wing, centre x, centre y, width, text; $ begins a symbol, which leans, and _ lowers the letter after it
BOXES = {
    "x": ("data", 58, 94, 72, "$x"),
    "images": ("data", 58, 138, 84, "images"),
    "tables": ("data", 58, 180, 84, "tables"),
    "files": ("data", 58, 222, 84, "files"),
    "e": ("channel", 170, 94, 68, "$e(x)"),
    "beta": ("channel", 238, 94, 46, "$β(t)"),
    "eta": ("channel", 310, 94, 60, "$η_t"),
    "theta": ("channel", 414, 94, 60, "$θ_t"),
    "generate": ("channel", 310, 158, 88, "generate"),
    "flow_loss": ("channel", 187, 232, 106, "$½β′‖e−ê‖²"),
    "p": ("channel", 310, 232, 60, "$p_O"),
    "h": ("channel", 414, 232, 42, "$h"),
    "encoder": ("models", 556, 80, 144, "self-encoder"),
    "encoder_net": ("networks", 556, 108, 144, "network"),
    "z": ("models", 556, 158, 46, "$z"),
    "decoder_net": ("networks", 556, 208, 144, "network"),
    "decoder": ("models", 556, 236, 144, "decoder"),
    "divergences": ("models", 556, 303, 112, "KL, MMD"),
    "objective": ("models", 240, 303, 206, "flow loss + KL + MMD"),
    "fit": ("training", 58, 305, 84, "fit"),
    "bound": ("evaluation", 54, 385, 72, "bound"),
    "probe": ("evaluation", 133, 385, 70, "probe"),
    "usage": ("evaluation", 211, 385, 70, "usage"),
    "samples": ("evaluation", 293, 385, 80, "samples"),
    "figures": ("apps", 400, 385, 68, "figures"),
    "runs": ("apps", 466, 385, 52, "runs"),
    "estimator": ("apps", 543, 385, 90, "estimator"),
    "command": ("apps", 640, 385, 92, "command"),
    "settings": ("ground", 260, 439, 120, "settings"),
    "checks": ("ground", 420, 439, 120, "checks"),
    "noise": ("ground", 580, 439, 120, "noise"),
}

# arrow: path; ~ before it: dashed, - after it: without a head
ARROWS = {
    "files→x": "M58 208V109",
    "x→e": "M94 94H134",
    "e→β": "M204 94H215-",
    "β→η": "M261 94H278",
    "η→θ": "M340 94H382",
    "θ→encoder": "M444 94H482",
    "θ→decoder": "M414 108C414 170 438 208 482 208",
    "encoder→z": "M556 122V142",
    "z→decoder": "M556 172V192",
    "decoder→h": "M484 232H437",
    "h→p": "M393 232H342",
    "p→loss": "M280 232H242",
    "e→loss": "M170 108V216",
    "p→generate": "~M310 218V172-",
    "generate→η": "~M310 144V110",
    "z→divergences": "M579 158H662V303H614",
    "divergences→objective": "M500 303H345",
    "loss→objective": "M187 246V287",
    "objective→fit": "M137 303H102",
    "model→evaluation": "M240 331V345",
    "model→apps": "M556 331V345",
}

channel_path = ("e", "beta", "eta", "theta", "e→β", "β→η", "η→θ")
network_boxes = ("encoder_net", "decoder_net")
latent_path = ("encoder", "z", "decoder", "θ→encoder", "encoder→z", "z→decoder", "θ→decoder")
generation = ("generate", "p→generate", "generate→η")

# module: boxes and arrows that it is
PLACES = {
    "channel-schedules": ("beta",),
    "channel-bins": ("p",),
    "channel-distributions": ("p",),
    "channel-flows": (*channel_path, "p"),
    "channel-mixed": (*channel_path, "p"),
    "channel-losses": ("flow_loss", "e→loss", "p→loss"),
    "channel-information": ("beta", "theta"),
    "channel-samplers": (*generation, "eta", "p"),
    "channel-paths": ("eta", "theta", "η→θ"),
    "channel-filling": generation,
    "networks-blocks": network_boxes,
    "networks-unet": network_boxes,
    "networks-mlp": network_boxes,
    "networks-transformer": network_boxes,
    "networks-pairs": network_boxes,
    "models-divergences": ("divergences", "z→divergences"),
    "models-encoder": ("encoder", "z", "θ→encoder", "encoder→z"),
    "models-latents": ("z",),
    "models-flow_autoencoder": latent_path,
    "models-bounds": ("objective", "loss→objective", "divergences→objective"),
    "models-paramrel": (*latent_path, "divergences", "objective", "loss→objective", "divergences→objective"),
    "models-tasks": ("z", *generation),
    "models-autoencoders": ("encoder", "z", "decoder", "encoder→z", "z→decoder", "decoder→h", "h", "h→p", "p",
                            "objective"),
    "models-diffusion": (*channel_path, *latent_path, "flow_loss", "objective", "loss→objective"),
    "models-families": (*latent_path, "objective"),
    "data-files": ("files",),
    "data-streams": ("files",),
    "data-kinds": ("x",),
    "data-scenes": ("images",),
    "data-images": ("images",),
    "data-codec": ("tables",),
    "data-tables": ("tables",),
    "data-sets": ("x", "files→x"),
    "evaluation-probes": ("probe",),
    "evaluation-usage": ("usage",),
    "evaluation-likelihood": ("bound",),
    "evaluation-samples": ("samples",),
    "evaluation-disentanglement": ("probe",),
    "evaluation-reconstructions": ("samples",),
    "evaluation-likeness": ("samples",),
    "evaluation-progress": ("probe",),
    "apps-figures": ("figures",),
    "apps-runs": ("runs",),
    "apps-gallery": ("runs", "figures"),
    "apps-report": ("runs",),
    "apps-grid": ("runs",),
    "apps-bench": ("runs",),
    "apps-compare": ("runs",),
    "apps-quickstart": ("command", "runs"),
    "apps-explore": ("figures",),
    "apps-estimator": ("estimator",),
    "apps-cli": ("command",),
    "ground-settings": ("settings",),
    "ground-checks": ("checks",),
    "ground-noise": ("noise",),
}

style = f"""
text {{ font: 16px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; text-anchor: middle; }}
.math {{ font: italic 19px Georgia, "Times New Roman", "DejaVu Serif", serif; }}
.sub {{ font-size: 14px; }}
.name {{ font-size: 15px; fill: #fff; }}
.box {{ fill: {paper}; stroke: {line}; }}
.box + text {{ fill: {ink}; }}
.here {{ fill: {accent}; stroke: {accent_line}; }}
.here + text {{ fill: #fff; }}
.frame {{ fill: #80808018; stroke: {line}; }}
.home {{ stroke: {accent_line}; stroke-width: 2.5; }}
.tab {{ fill: {label}; }}
.tab.home {{ fill: {accent}; stroke: none; }}
.arrow {{ fill: none; stroke: {line}; stroke-width: 2; marker-end: url(#head); }}
.arrow.on {{ stroke: {accent_line}; stroke-width: 3; marker-end: url(#lit); }}
.plain {{ marker-end: none !important; }}
.dash {{ stroke-dasharray: 5 4; }}
"""


def marker(name, colour):
    "An arrow's head; its tip is where the arrow ends."
    return (f'<marker id="{name}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="12" markerHeight="12" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8Z" fill="{colour}"/></marker>')


def words(text):
    "SVG for a box's text: `_` lowers the letter after it."
    return re.sub(r"_(\w)", r'<tspan class="sub" dy="4">\1</tspan>', escape(text))


def box(name, here):
    "A box with its text, filled when the reader is there."
    _, x, y, w, text = BOXES[name]
    look = "here" if here else "box"
    math = ' class="math"' if text.startswith("$") else ""
    return (f'<rect class="{look}" x="{x - w/2:g}" y="{y - 14}" width="{w}" height="28" rx="6"/>'
            f'<text{math} x="{x}" y="{y + 6}">{words(text.removeprefix("$"))}</text>')


def frame(wing, home):
    "A wing's outline."
    return f'<path class="frame{" home" if home else ""}" d="{WINGS[wing][-1]}" stroke-linejoin="round"/>'


def tab(wing, home):
    "A wing's name, on its outline."
    x, y, _ = WINGS[wing]
    w, look = 8*len(wing) + 18, "tab home" if home else "tab"
    return (f'<rect class="{look}" x="{x}" y="{y - 11}" width="{w}" height="22" rx="4"/>'
            f'<text class="name" x="{x + w/2:g}" y="{y + 5}">{wing}</text>')


def arrow(name, on):
    "An arrow."
    path = ARROWS[name]
    look = ["arrow"] + ["dash"]*path.startswith("~") + ["plain"]*path.endswith("-") + ["on"]*on
    return f'<path class="{" ".join(look)}" d="{path.strip("~-")}"/>'


def picture(module=None):
    "The SVG of a module, `wing-name`; of none: nothing marked."
    wing = module.split("-")[0] if module else None
    whole = [name for name, (home, *_) in BOXES.items() if home == wing]
    here = PLACES.get(module, whole)
    title = f"Data flow; you are at {module.replace('-', '/')}" if module else "Data flow"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top} {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{title}</title>",
        f"<style>{style}</style>",
        f"<defs>{marker('head', line)}{marker('lit', accent_line)}</defs>",
        *(frame(name, name == wing) for name in WINGS if WINGS[name][-1]),
        *(arrow(name, name in here) for name in ARROWS),
        *(box(name, name in here) for name in BOXES),
        *(tab(name, name == wing) for name in WINGS),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def modules():
    "`wing-name` of every notebook that exports a module."
    for path in sorted((root/"nbs").glob("[0-9]*_*/[0-9]*_*.ipynb")):
        exported = re.search(r"#\| *default_exp +([\w.]+)", path.read_text(encoding="utf-8"))
        if exported: yield f"{path.parent.name.partition('_')[2]}-{exported[1].rpartition('.')[2]}"


def wanted():
    "Path → content of every picture."
    files = {folder/"flow.svg": picture()}
    for module in modules(): files[folder/f"{module}.svg"] = picture(module)
    return files


def differences(files):
    "What is missing, different or left over; one line each."
    for path in sorted({*files, *folder.glob("*.svg")}):
        name, advice = path.relative_to(root), "run tools/dataflow.py"
        if path not in files: yield f"{name}: no notebook exports this module: {advice}"
        elif not path.exists(): yield f"{name}: missing: {advice}"
        elif path.read_text(encoding="utf-8") != files[path]: yield f"{name}: out of date: {advice}"


def write(files):
    "Every picture to its file, and away with the others."
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items(): path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.svg"):
        if path not in files: path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not in step")
    files = wanted()
    if not parser.parse_args().check: write(files)
    problems = list(differences(files))
    for problem in problems: print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
