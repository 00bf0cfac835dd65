#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of bench/wasm_pods.sh, as docs/benchmarks.md has them, from criload's JSON on standard input.

    wasm_pods.py MACHINE SAMPLES
"""
import json
import sys

r = json.load(sys.stdin)
latency, memory = r["latency_ms"], r["memory"]
kernel = memory["kernel_growth_kb"]


def ms(s):
    return f"{s['P50']:.2f} / {s['P99']:.2f} / {s['Max']:.1f}"


def mb(kb):
    return f"{kb / 1024:,.1f} MiB"


rows = [
    ("pods started, calls failed", f"{r['started']:,} of {r['pods']:,}, {r['failed']}"),
    ("pods a second, whole run", f"{r['pods_per_s']:,.0f} ({r['start_s']:.1f} s)"),
    ("the client itself", f"{r['client_cpu_us_per_pod']:.0f} µs of CPU a pod, {r['client_max_rss_mib']:.0f} MiB"),
    ("a pod's three calls, p50 / p99 / max ms", ms(latency["total"]) if "total" in latency else "none"),
]
rows += [(f"{name} of a random one meanwhile, p50 / p99 / max ms", f"{ms(s)} ({s['N']:,} calls)")
         for name, s in sorted(r.get("probes_ms", {}).items()) if s["N"]]
rows += [("own line printed", f"{r['lines_checked'] - r['lines_missing']:,} of {r['lines_checked']:,} looked at")]
rows += [(l["call"], f"{l['items']:,} in {l['s']:.2f} s{' — ' + l['error'] if l.get('error') else ''}") for l in r.get("lists", [])]
rows += [
    ("memory a pod", f"{r['memory_per_pod_kb']:.1f} KiB"),
    ("= PSS of our processes", ", ".join(f"{n} {mb(g['pss_kb'])} ({g['processes']})" for n, g in sorted(memory["processes"].items()))),
    ("+ growth in the kernel", ", ".join(f"{n} {mb(v)}" for n, v in sorted(kernel.items()))),
    ("stopped and removed a second", f"{r['removed'] / r['remove_s']:,.0f} ({r['remove_s']:.1f} s)" if r["remove_s"] else "kept"),
]
if after := r.get("memory_after"):
    rows.append(("memory after that", ", ".join(f"{n} {mb(g['pss_kb'])} ({g['processes']})" for n, g in sorted(
        after["processes"].items())) + "; " + ", ".join(f"{n} {v / 1024:+,.1f}" for n, v in sorted(after["kernel_growth_kb"].items()))))
print(f"{r['pods']:,} wasm pods, {r['parallel']} clients, host network. {sys.argv[1]}.\n")
print("| what | value |\n|---|---|")
for name, value in rows:
    print(f"| {name} | {value} |")

print("\n| pods | pods/s of the window | PSS | kernel growth | KiB a pod | read in s |\n|---|---|---|---|---|---|")
samples = [s for s in map(json.loads, open(sys.argv[2])) if s["phase"] == "start"]
for s in samples[::max(len(samples) // 10, 1)]:
    growth = sum(s["kernel_growth_kb"].values())
    print(f"| {s['pods']:,} | {s['rate']:,.0f} | {mb(s['pss_kb'])} | {mb(growth)} | "
          f"{(s['pss_kb'] + growth) / max(s['pods'], 1):.1f} | {s['took_s']:.2f} |")
