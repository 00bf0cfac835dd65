// SPDX-License-Identifier: Apache-2.0

// criload starts many pods over CRI v1, at any engine that serves it, and tells the rate, the latencies and the memory.
//
// One pod is RunPodSandbox, CreateContainer and StartContainer (only the first with --pods-only). Afterwards all are
// stopped and removed, unless --keep.
//
//	criload --endpoint unix:///run/warren/warren.sock --runtime-handler wasm --pods 1000 --parallel 8 \
//	        --image wasi-demo:latest --command "/wasi-demo.wasm daemon" --measure build/bin
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

var (
	endpoint = flag.String("endpoint", "unix:///run/warren/warren.sock", "CRI socket")
	handler  = flag.String("runtime-handler", "", "runtime handler of the pods")
	pods     = flag.Int("pods", 20, "pods to start")
	parallel = flag.Int("parallel", 1, "clients at the same time, with a connection each")
	image    = flag.String("image", "busybox:latest", "image of the containers; it must be there, or see --pull")
	pull     = flag.Bool("pull", false, "pull the image first")
	network  = flag.String("network", "host", "host: the node's; pod: a namespace for each pod, set up as the engine does")
	command  = flag.String("command", "sleep 987654", "command of the containers, split at blanks; empty: the image's")
	podsOnly = flag.Bool("pods-only", false, "only RunPodSandbox")
	keep     = flag.Bool("keep", false, "do not stop and remove")
	wipe     = flag.Bool("wipe", false, "only stop and remove every pod whose name starts with --prefix")
	prefix   = flag.String("prefix", "criload", "start of the pods' names")
	logDir   = flag.String("log-dir", "", "directory for the containers' logs; empty: none")
	cgParent = flag.String("cgroup-parent", "", "parent of the pods' control groups")
	settle   = flag.Duration("settle", 2*time.Second, "from the last start to the measurement of memory")
	measure  = flag.String("measure", "", "comma list: PSS of the processes that run a program below these directories or of these names, and of all their descendants")
	timeout  = flag.Duration("timeout", 5*time.Minute, "for each call")
	progress = flag.Bool("progress", false, "show a progress bar on standard error")
	jsonOut  = flag.Bool("json", false, "one JSON object in place of text")
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "criload:", err)
		os.Exit(1)
	}
}

func main() {
	flag.Parse()
	if flag.NArg() > 0 {
		die(fmt.Errorf("there are no arguments but flags: %q", flag.Arg(0)))
	}
	if *network != "host" && *network != "pod" {
		die(fmt.Errorf("--network is host or pod, not %q", *network))
	}
	engine := connect()
	if *wipe {
		n, d := engine.wipe()
		fmt.Printf("removed %d pods in %.2f s\n", n, d.Seconds())
		return
	}
	if *pull {
		engine.pull()
	}
	l := newLoad(*pods)
	r := result{Engine: engine.version, Handler: *handler, Network: *network, Pods: *pods, Parallel: *parallel}
	before := takeMemory()
	r.StartSeconds = l.start().Seconds()
	time.Sleep(*settle)
	r.Memory = takeMemory().since(before)
	if !*keep {
		r.RemoveSeconds = l.remove().Seconds()
	}
	r.take(l)
	if *jsonOut {
		die(json.NewEncoder(os.Stdout).Encode(r))
	} else {
		r.print()
	}
	if r.Failed > 0 {
		os.Exit(2)
	}
}
