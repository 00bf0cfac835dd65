#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test and counts them: `make test`. What fails is shown, the rest is in build/log.

    tests/run.py [SUITE...]    suites: unit, conformance, system, fuzz; none: all, with a check for what they left behind

Everything that a test makes belongs below $WARREN_TEST_TMP, which is new for each run: that is how leftovers are told
from what else the machine runs. The last line is `N passed, N failed, N skipped`.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOG = os.path.join(ROOT, "build", "log")
FUZZ_SECONDS = int(os.environ.get("WARREN_FUZZ_SECONDS", "5"))


class Report:
    """Counts results and prints those that want attention."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0

    def add(self, suite, name, result, text=""):
        if result == "passed":
            self.passed += 1
        elif result == "skipped":
            self.skipped += 1
            print(f"    skipped: {suite}: {name}{': ' + text.strip() if text.strip() else ''}")
        else:
            self.failed += 1
            print(f"    FAILED: {suite}: {name}")
            for line in text.strip().splitlines()[-40:]:
                print(f"      | {line}")
        sys.stdout.flush()

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def log_path(suite):
    return os.path.join(LOG, f"test-{suite}.log")


def run(suite, command, timeout, **options):
    """Runs a suite's program, with its output in the log; returns its status and output."""
    with open(log_path(suite), "w+", errors="replace") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = -1
            log.write(f"\nended: not done after {timeout} s\n")
        log.seek(0)
        return status, log.read()


def tail(text, lines=40):
    return "\n".join(text.strip().splitlines()[-lines:])


def unit(report):
    """meson's tests, under ASan and UBSan; each test program speaks TAP, and each of its tests is counted."""
    build = os.path.join(ROOT, "build", "asan")
    status, output = run("unit", ["meson", "test", "-C", build, "--no-rebuild"], 1800)
    junit = os.path.join(build, "meson-logs", "testlog.junit.xml")
    failed_before = report.failed
    try:
        suites = xml.etree.ElementTree.parse(junit).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as e:
        report.add("unit", "meson test", "failed", f"{e}\n{tail(output)}")
        return
    for case in suites.iter("testcase"):
        program = re.sub(r"^[^:]*[:.]", "", case.get("classname") or "")
        name = f"{program}: {case.get('name')}" if program else case.get("name")
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if bad is not None:
            report.add("unit", name, "failed", bad.get("message") or bad.text or "")
        elif skipped is not None:
            report.add("unit", name, "skipped", skipped.get("message") or skipped.text or "")
        else:
            report.add("unit", name, "passed")
    if status == 0:
        return
    if report.failed == failed_before:
        report.add("unit", "meson test", "failed", tail(output))
    with open(os.path.join(build, "meson-logs", "testlog.json"), errors="replace") as f:
        for program in map(json.loads, f):
            if program["result"] not in ("OK", "SKIP"):
                print(f"    what {program['name']} said ({program['result']}):")
                said = [l for l in (program.get("stdout", "") + program.get("stderr", "")).splitlines()
                        if not re.match(r"ok |# ok|==\d+==WARNING: ASan doesn't fully support makecontext", l)]
                for line in said[:60]:
                    print(f"      | {line}")


def conformance(report):
    """Published clients and descriptors, in Go."""
    status, output = run("conformance", ["go", "test", "-json", "-count=1", "-timeout", "20m", "./..."], 1500,
                         cwd=os.path.join(ROOT, "tests", "conformance"))
    text, ended, other = {}, {}, []
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            other.append(line)
            continue
        key = (event.get("Package", ""), event.get("Test", ""))
        if event.get("Action") in ("output", "build-output"):
            text.setdefault(key, []).append(event.get("Output", ""))
        elif event.get("Action") in ("pass", "fail", "skip"):
            ended[key] = event["Action"]
    counted = {k: v for k, v in ended.items() if k[1] and not any(
        o[0] == k[0] and o[1].startswith(k[1] + "/") for o in ended)}
    for key, action in sorted(counted.items()):
        said = "".join(text.get(key, []))
        if action == "skip":
            said = " ".join(l.split(": ", 1)[-1] for l in said.splitlines() if re.match(r"\s+\S+\.go:\d+: ", l))
        report.add("conformance", key[1], {"pass": "passed", "fail": "failed", "skip": "skipped"}[action], said)
    if status != 0 and "fail" not in counted.values():
        report.add("conformance", "go test", "failed", "\n".join(other) + "".join(sum(text.values(), [])))


def system(report):
    """What users do, on the programs in build/bin: bats, which speaks TAP."""
    files = sorted(glob.glob(os.path.join(ROOT, "tests", "system", "*.bats")))
    if not files:
        report.add("system", "bats", "skipped", "there are no system tests")
        return
    if os.geteuid() != 0:
        report.add("system", "bats", "skipped", "not root")
        return
    failed_before = report.failed
    status, output = run("system", ["bats", "--tap"] + files, 2400)
    lines = output.splitlines()
    for i, line in enumerate(lines):
        match = re.match(r"(ok|not ok) \d+ (.*?)(?: # skip ?(.*))?$", line)
        if not match:
            continue
        said = []
        for follow in lines[i + 1:]:
            if not follow.startswith("#"):
                break
            said.append(follow.lstrip("# "))
        if match[3] is not None:
            report.add("system", match[2], "skipped", match[3])
        else:
            report.add("system", match[2], "passed" if match[1] == "ok" else "failed", "\n".join(said))
    if status != 0 and report.failed == failed_before:
        report.add("system", "bats", "failed", tail(output))


def fuzz(report):
    """Each libFuzzer target for a few seconds, from its corpus: a smoke test, not a campaign."""
    targets = sorted(p for p in glob.glob(os.path.join(ROOT, "build", "fuzz", "tests", "fuzz", "fuzz*"))
                     if os.path.isfile(p) and os.access(p, os.X_OK))
    if not targets:
        report.add("fuzz", "libFuzzer", "skipped", "there are no fuzz targets")
    for target in targets:
        name = os.path.basename(target)
        corpus = tempfile.mkdtemp(prefix=name + ".", dir=os.environ["WARREN_TEST_TMP"])
        seeds = os.path.join(ROOT, "tests", "fuzz", "corpus", name)
        command = [target, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048",
                   f"-artifact_prefix={LOG}/{name}-", corpus] + ([seeds] if os.path.isdir(seeds) else [])
        status, output = run(name, command, FUZZ_SECONDS + 60)
        report.add("fuzz", name, "passed" if status == 0 else "failed", tail(output))
        shutil.rmtree(corpus, ignore_errors=True)


def ours(pid):
    """Whether a process comes from this tree's programs or lives in what the tests made."""
    try:
        exe = os.readlink(f"/proc/{pid}/exe")
        if exe.startswith(os.path.join(ROOT, "build") + "/"):
            return exe
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            command = f.read().replace(b"\0", b" ").decode(errors="replace")
        if os.environ["WARREN_TEST_TMP"] in command:
            return command
        with open(f"/proc/{pid}/mountinfo") as f:
            if os.environ["WARREN_TEST_TMP"] in f.read():
                return command or exe
        if exe.startswith("/memfd:warren"):  # a keeper; it holds files or sockets of its engine's root
            held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            with open("/proc/net/unix") as f:
                held += [l.split()[7] for l in f if len(l.split()) > 7 and f"socket:[{l.split()[6]}]" in held]
            if any(os.environ["WARREN_TEST_TMP"] in h for h in held):
                return command
    except OSError:
        pass
    return None


def used_by_others(group):
    """Whether a control group holds processes of another engine on this machine."""
    pids = []
    for where, _, _ in os.walk(group):
        try:
            with open(os.path.join(where, "cgroup.procs")) as f:
                pids += f.read().split()
        except OSError:
            pass
    return bool(pids) and not any(ours(p) for p in pids)


def leftovers():
    """Processes, mounts, control groups, network namespaces and files that tests made: a set of descriptions."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) != os.getpid() and (who := ours(pid)):
            found.add(f"process {pid}: {who}")
    with open("/proc/self/mountinfo") as f:
        found |= {f"mount {l.split()[4]}" for l in f if os.environ["WARREN_TEST_TMP"] in l}
    for where, _, _ in os.walk("/sys/fs/cgroup"):
        if "/warren" in where and not used_by_others(where):
            found.add(f"control group {where}")
    if os.path.isdir("/run/netns"):
        found |= {f"network namespace {n}" for n in os.listdir("/run/netns") if "warren" in n}
    found |= {f"file {p}" for p in glob.glob(os.environ["WARREN_TEST_TMP"] + "/*")}
    return found


def left_behind(report, before):
    """What goes away by itself gets five seconds for it."""
    for _ in range(50):
        left = leftovers() - before
        if not left:
            report.add("all", "nothing is left behind", "passed")
            return
        time.sleep(0.1)
    report.add("all", "nothing is left behind", "failed", "\n".join(sorted(left)))


SUITES = {"unit": (unit, "unit tests, with sanitizers"), "conformance": (conformance, "published clients and descriptors"),
          "system": (system, "system tests"), "fuzz": (fuzz, "fuzz targets, briefly")}


def main():
    wanted = sys.argv[1:] or list(SUITES)
    if unknown := [s for s in wanted if s not in SUITES]:
        sys.exit(f"tests/run.py: there is no suite {unknown[0]}; there are {', '.join(SUITES)}")
    os.makedirs(LOG, exist_ok=True)
    os.environ["WARREN_TEST_TMP"] = tempfile.mkdtemp(prefix="warren-test.")
    os.environ["WARREN_BUILD"] = os.path.join(ROOT, "build")
    report = Report()
    before = leftovers()
    try:
        for suite in wanted:
            begin, counts = time.monotonic(), (report.passed, report.failed, report.skipped)
            print(f"  {SUITES[suite][1]} …", flush=True)
            SUITES[suite][0](report)
            print(f"    {report.passed - counts[0]} passed, {report.failed - counts[1]} failed, "
                  f"{report.skipped - counts[2]} skipped in {time.monotonic() - begin:.0f} s", flush=True)
        left_behind(report, before)
    finally:
        shutil.rmtree(os.environ["WARREN_TEST_TMP"], ignore_errors=True)
    print(report.line())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
