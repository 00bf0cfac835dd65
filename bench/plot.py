#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws criload's samples: memory and rate against the number of pods, beside what is published of Kuasar.

    bench/plot.py SAMPLES [DIRECTORY]      writes wasm-memory.svg and wasm-rate.svg; default docs
"""
import json
import math
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 460, 84, 30, 104, 60
PEER = "Kuasar wasm-sandboxer, as published"
PEER_MB, PEER_RATE = 1.9, 1.0
COLOURS = {"ours": "#1f6fb2", "kernel": "#d98324", "peer": "#777777"}


def short(v):
    """1500 as 1.5k, 2000000 as 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if v >= size:
            return f"{v / size:g}{letter}"
    return f"{v:g}"


def ticks(top):
    """Round numbers from 0 to at least top: about five."""
    raw = top / 5 or 1
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw)
    return [step * i for i in range(math.ceil(top / step) + 1)]


def decades(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


class Plot:
    """Axes, lines and a legend above them. The y axis is logarithmic, since the peer is orders of magnitude away; the x axis where
    its first tick is not 0."""

    def __init__(self, title, x_label, y_label, x_ticks, y_ticks):
        self.x_ticks, self.y_ticks, self.parts, self.legend = x_ticks, y_ticks, [], []
        text = f'<text x="{WIDTH / 2}" y="24" text-anchor="middle" font-size="16" font-weight="600">{escape(title)}</text>'
        self.parts.append(text)
        for v in self.x_ticks:
            x = self.x(v)
            self.parts.append(f'<line x1="{x:.1f}" y1="{HEIGHT - BOTTOM}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM + 5}" stroke="#333"/>'
                              f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{short(v)}</text>')
        for v in y_ticks:
            y = self.y(v)
            self.parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e4e4e4"/>'
                              f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(v)}</text>')
        self.parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>'
                          f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>'
                          f'<text transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
                          f'{escape(y_label)}</text>')

    @staticmethod
    def part(v, low, high):
        v = min(max(v, low), high)
        return math.log10(v / low) / math.log10(high / low) if low > 0 else (v - low) / (high - low)

    def x(self, v):
        return LEFT + (WIDTH - LEFT - RIGHT) * self.part(v, self.x_ticks[0], self.x_ticks[-1])

    def y(self, v):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * self.part(v, self.y_ticks[0], self.y_ticks[-1])

    def line(self, name, points, colour, dash=""):
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        self.parts.append(f'<path d="M{path}" {style}/>')
        self.legend.append(f'<path d="M0 0H28" {style}/><text x="34" y="4">{escape(name)}</text>')

    def write(self, path):
        for i, entry in enumerate(self.legend):
            self.parts.append(f'<g transform="translate({LEFT} {46 + 18 * i})">{entry}</g>')
        with open(path, "w") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
                    'font-family="sans-serif" font-size="12" fill="#222">\n<!-- SPDX-License-Identifier: Apache-2.0 -->\n'
                    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def memory(samples, path):
    """Both axes logarithmic: what grows with the pods is a straight line, and a line below another is that many times less."""
    pss = [(s["pods"], s["pss_kb"] / 1024) for s in samples]
    total = [(s["pods"], (s["pss_kb"] + sum(s["kernel_growth_kb"].values())) / 1024) for s in samples]
    first, last = samples[0]["pods"], samples[-1]["pods"]
    plot = Plot(f"Memory of {last:,} wasm pods: {total[-1][1] * 1024 / last:.1f} KiB a pod", "pods", "MiB",
                decades(first, last), decades(min(y for _, y in pss + total if y > 0), last * PEER_MB))
    plot.line("Warren: all its processes, and what has grown in the kernel", total, COLOURS["ours"])
    plot.line("Warren: its processes alone (PSS)", pss, COLOURS["kernel"])
    plot.line(f"{PEER}: {PEER_MB} MB a pod", [(first, first * PEER_MB), (last, last * PEER_MB)], COLOURS["peer"], "6 4")
    plot.write(path)


def rate(samples, path):
    last = samples[-1]["pods"]
    whole = last / samples[-1]["s"]
    plot = Plot(f"Starting {last:,} wasm pods by CRI: {whole:,.0f} a second", "pods", "pods a second", ticks(last),
                decades(PEER_RATE / 2, max(s["rate"] for s in samples)))
    plot.line("Warren, from each sample to the next", [(s["pods"], s["rate"]) for s in samples], COLOURS["ours"])
    plot.line(f"{PEER}: {PEER_RATE:g} a second", [(0, PEER_RATE), (last, PEER_RATE)], COLOURS["peer"], "6 4")
    plot.write(path)


def main():
    with open(sys.argv[1]) as f:
        samples = [s for s in map(json.loads, f) if s["phase"] == "start" and s["pods"] > 0]
    if len(samples) < 2:
        sys.exit("plot.py: fewer than two samples of pods that were started")
    directory = sys.argv[2] if len(sys.argv) > 2 else "docs"
    memory(samples, f"{directory}/wasm-memory.svg")
    rate(samples, f"{directory}/wasm-rate.svg")


if __name__ == "__main__":
    main()
