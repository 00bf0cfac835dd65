#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runs and the table of bench/wasm_compute.sh: wasm_compute.py ROOT SOCKET ROUNDS [PROGRAM...], by a Python that has wasmtime."""
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import wasmtime

ROOT, SOCKET, ROUNDS = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
PROGRAMS = sys.argv[4:] or ["sha256", "matrix", "nbody", "sort"]
TIMES = 5  # in one run
# The default engine: no epochs, no fuel, memory of 4 GiB of addresses with guard pages, Cranelift for speed.
ENGINE = wasmtime.Engine()
MODULE = wasmtime.Module(ENGINE, (ROOT / "context" / "compute.wasm").read_bytes())


def native(program):
    return subprocess.run([ROOT / "compute", program, str(TIMES)], check=True, capture_output=True, text=True).stdout


def by_wasmtime(program):
    with tempfile.NamedTemporaryFile() as output:
        wasi, store, linker = wasmtime.WasiConfig(), wasmtime.Store(ENGINE), wasmtime.Linker(ENGINE)
        wasi.argv = ["compute", program, str(TIMES)]
        wasi.stdout_file = output.name
        store.set_wasi(wasi)
        linker.define_wasi()
        start, begin = linker.instantiate(store, MODULE).exports(store)["_start"], time.thread_time_ns()
        try:
            start(store)
        except wasmtime.ExitTrap as e:
            if e.code:
                raise
        cpu = (time.thread_time_ns() - begin) // TIMES
        lines = [line.split() for line in pathlib.Path(output.name).read_text().splitlines()]
        return "".join(f"{name} {wall} {cpu} {result}\n" for name, wall, _, result in lines)


def cri(*arguments):
    return subprocess.run(["build/bin/warren", "cri", "--runtime-endpoint", f"unix://{SOCKET}", *arguments], check=True,
                          capture_output=True, text=True).stdout.strip()


def pod(program, profile):
    """The log of a pod of its own, which is removed."""
    options = {"network": 2, "pid": 1}
    annotations = {"warren.wasm/profile": profile}
    sandbox = {"metadata": {"name": f"{program}-{profile}", "namespace": profile, "uid": "1"}, "annotations": annotations,
               "log_directory": str(ROOT / "logs"), "linux": {"security_context": {"namespace_options": options}}}
    container = {"metadata": {"name": "c"}, "image": {"image": "compute:latest"}, "annotations": annotations, "log_path": "c.log",
                 "command": ["/compute.wasm", program, str(TIMES)],
                 "linux": {"security_context": {"namespace_options": options}}}
    for name, config in (("pod", sandbox), ("container", container)):
        (ROOT / f"{name}.json").write_text(json.dumps(config))
    log = ROOT / "logs" / "c.log"
    log.unlink(missing_ok=True)
    cri("run", "--runtime=wasm", "--no-pull", str(ROOT / "container.json"), str(ROOT / "pod.json"))
    end, text = time.monotonic() + 120, ""
    while text.count("\n") < TIMES:
        if time.monotonic() > end:
            sys.exit(f"wasm_compute.py: {program} in the {profile} profile has not ended after two minutes")
        time.sleep(0.02)
        text = log.read_text() if log.exists() else ""
    cri("rmp", "-f", cri("pods", "-q"))
    return "".join(line.split(" ", 3)[3] for line in text.splitlines(keepends=True))


WAYS = {
    "native": native,
    "wasmtime": by_wasmtime,
    "busy": lambda program: pod(program, "busy"),
    "dense": lambda program: pod(program, "dense"),
}


def functions(compiled):
    """The machine code of each of the module's functions; where they lie and what they call by name is left out."""
    code, name = {}, None
    with tempfile.NamedTemporaryFile() as file:
        file.write(compiled)
        file.flush()
        listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--no-addresses", file.name], check=True,
                                 capture_output=True, text=True).stdout
    for line in listing.splitlines():
        begins = re.fullmatch(r"<(.*)>:", line)
        if begins:
            name = begins[1] if "::function[" in begins[1] else None
            code[name] = []
        elif name:
            code[name].append(re.sub(r"# <.*|\b[0-9a-f]+ (?=<)", "", line).strip())
    code.pop(None, None)
    return code


def compare_code():
    module = (ROOT / "context" / "compute.wasm").read_bytes()
    ours = functions(subprocess.run(["build/bin/warren-wasm-worker", "--compile", "busy"], input=module, check=True,
                                    capture_output=True).stdout)
    theirs = functions(bytes(MODULE.serialize()))
    same = sum(ours.get(name) == code for name, code in theirs.items())
    print(f"Of the module's {len(theirs)} functions, {same} have the same machine code in the busy profile as by wasmtime.\n")


def main():
    seconds = {(p, w): [] for p in PROGRAMS for w in WAYS}
    used = {(p, w): [] for p in PROGRAMS for w in WAYS}  # CPU time: the mean of each run
    results = {}
    for _ in range(ROUNDS):
        for program in PROGRAMS:
            for way, run in WAYS.items():
                lines = [line.split() for line in run(program).splitlines()]
                seconds[program, way] += [int(wall) / 1e9 for _, wall, _, _ in lines]
                used[program, way].append(sum(int(cpu) for _, _, cpu, _ in lines) / len(lines) / 1e9)
                results.setdefault(program, set()).update(result for _, _, _, result in lines)
    for program, seen in results.items():
        if len(seen) > 1:
            sys.exit(f"wasm_compute.py: {program} gives {', '.join(sorted(seen))}")
    version = importlib.metadata.version("wasmtime")
    print(f"wasmtime {version}, {ROUNDS} rounds of {TIMES} runs each way, interleaved. "
          "Ratios are of speed: of the best wall times, and in parentheses of the best runs' CPU times.\n")
    compare_code()
    print("| program | native s | wasmtime s | busy s | dense s | busy / wasmtime | dense / wasmtime | busy / native |")
    print("|---|---|---|---|---|---|---|---|")
    for program in PROGRAMS:
        best = {w: min(seconds[program, w]) for w in WAYS}
        cpu = {w: min(used[program, w]) for w in WAYS}

        def ratio(a, b):
            return f"{best[a] / best[b]:.2f} ({cpu[a] / cpu[b]:.2f})"

        print(f"| {program} | " + " | ".join(f"{best[w]:.3f}" for w in WAYS) +
              f" | {ratio('wasmtime', 'busy')} | {ratio('wasmtime', 'dense')} | {ratio('native', 'busy')} |")


if __name__ == "__main__":
    main()
