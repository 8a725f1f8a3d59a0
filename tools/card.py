"""Draws the website's social card and its icon: nbs/images/card.png and nbs/images/icon.svg.

Twenty beliefs about one bit on their way from ignorance to certainty, ten for each value: what the whole
project is about. P(1) = sigmoid(2η), and evidence η drifts towards the bit as accuracy β(t) = 9t² grows.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

images = Path(__file__).resolve().parent.parent / "nbs/images"
NIGHT, ZERO, ONE = "#10243e", "#f2a65a", "#62b6f7"


def beliefs(bit, n, seed, steps=300):
    "P(1) along `n` paths (steps, n), for a bit of −1 or 1."
    rng, β = np.random.default_rng(seed), 9*np.linspace(0, 1, steps)**2
    α = np.diff(β, prepend=0)[:, None]
    η = np.cumsum(α*bit + np.sqrt(α)*rng.standard_normal((steps, n)), axis=0)
    return 1/(1 + np.exp(-2*η))


def card():
    fig = plt.figure(figsize=(12, 6.3), dpi=100, facecolor=NIGHT)
    ax = fig.add_axes([.44, .06, .56, .88])
    for bit, colour, seed in ((-1, ZERO, 1), (1, ONE, 2)):
        ax.plot(np.linspace(0, 1, 300), beliefs(bit, 10, seed), color=colour, lw=1.3, alpha=.55)
    ax.set(xlim=(0, 1), ylim=(-.02, 1.02))
    ax.axis("off")
    fig.text(.05, .57, "paramrel", fontsize=60, weight="bold", color="white")
    lines = "Representation learning\nin the parameter space of\nBayesian flow networks"
    fig.text(.053, .50, lines, fontsize=23, color="white", va="top", linespacing=1.4)
    fig.savefig(images / "card.png", facecolor=NIGHT)
    plt.close(fig)
    # Two dozen colours are enough, and a third of the size.
    Image.open(images / "card.png").convert("RGB").quantize(24).save(images / "card.png", optimize=True)


def icon():
    "One dot that parts into two: a bit before and after it is known."
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
           f'<rect width="32" height="32" rx="7" fill="{NIGHT}"/>'
           f'<g fill="none" stroke-width="3" stroke-linecap="round">'
           f'<path d="M6 16C15 16 15 8 26 8" stroke="{ONE}"/>'
           f'<path d="M6 16C15 16 15 24 26 24" stroke="{ZERO}"/>'
           f'</g><circle cx="6.5" cy="16" r="2.6" fill="#fff"/></svg>')
    (images / "icon.svg").write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    card()
    icon()
