#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One row of bench/cri.sh from criload's JSON on standard input."""
import json
import sys

name, clients, idle = sys.argv[1:]
r = json.load(sys.stdin)
total = r["latency_ms"]["total"]
print(f"{name:<28} {clients:>8} {r['pods_per_s']:>10.1f} {total['P50']:>10.2f} {total['P99']:>10.2f}"
      f" {r['memory_per_pod_kb'] / 1024:>12.3f} {idle:>12}")
if r["failed"]:
    print(f"  {r['failed']} of {r['pods']} pods failed")
