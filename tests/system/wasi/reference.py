#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs wasi-test by PyPI's wasmtime, by hand, to settle what is right where Warren's answer is in doubt:

    python3 -m venv /tmp/v && /tmp/v/bin/pip install wasmtime && /tmp/v/bin/python tests/system/wasi/reference.py wasi-test.wasm

Prints what wasi-test prints. Where the two differ, wasi-test checks for Warren's way; the reasons are in wasi.bats.
"""
import pathlib
import sys
import tempfile

from wasmtime import Config, Engine, ExitTrap, Linker, Module, Store, Trap, WasiConfig, WasmtimeError

engine = Engine(Config())
module = Module(engine, pathlib.Path(sys.argv[1]).read_bytes())


def run(arguments, output):
    with tempfile.TemporaryDirectory() as root:
        (pathlib.Path(root) / "data").mkdir()
        wasi = WasiConfig()
        wasi.argv = ["wasi-test"] + arguments
        wasi.env = [("WASI_TEST", "one two"), ("WASI_EMPTY", ""), ("WASI_EQUALS", "a=b")]
        wasi.stdout_file = output
        wasi.preopen_dir(root, "/")
        wasi.preopen_dir(root + "/data", "/data")
        store, linker = Store(engine), Linker(engine)
        store.set_wasi(wasi)
        linker.define_wasi()
        try:
            linker.instantiate(store, module).exports(store)["_start"](store)
        except ExitTrap as e:
            print("exit", e.code)
        except (WasmtimeError, Trap) as e:
            print(f"# {arguments[-1]}: ended by {str(e).strip().splitlines()[-1].strip()}")
    return pathlib.Path(output).read_text()


with tempfile.NamedTemporaryFile() as output:
    names = sys.argv[2:] or run(["list"], output.name).split()
    for name in names:  # a run for each: wasmtime ends a guest that passes a number which is none of an enumeration
        print(run(["all", "4", name], output.name), end="", flush=True)
