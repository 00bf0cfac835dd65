// SPDX-License-Identifier: Apache-2.0

// criload starts many pods over CRI v1, at any engine that serves it, and tells the rate, the latencies and the memory.
//
// One pod is RunPodSandbox, CreateContainer and StartContainer (only the first with --pods-only). Afterwards all are listed,
// stopped and removed, unless --keep. An interrupt ends the load and removes what was started. It keeps the ids alone, so
// that a million pods fit beside what is measured.
//
//	criload --endpoint unix:///run/warren/warren.sock --runtime-handler wasm --pods 1000 --parallel 8 \
//	        --image wasi-demo:latest --command "/wasi-demo.wasm wait {name}" --expect "{name} is here" --log-dir /tmp/logs \
//	        --measure build/bin --samples samples.jsonl --sample-every 100 --probe 10ms --progress
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	endpoint    = flag.String("endpoint", "unix:///run/warren/warren.sock", "CRI socket")
	handler     = flag.String("runtime-handler", "", "runtime handler of the pods")
	pods        = flag.Int("pods", 20, "pods to start")
	parallel    = flag.Int("parallel", 1, "clients at the same time, with a connection each")
	namespaces  = flag.Int("namespaces", 1, "Kubernetes namespaces that the pods are spread over")
	image       = flag.String("image", "busybox:latest", "image of the containers; it must be there, or see --pull")
	pull        = flag.Bool("pull", false, "pull the image first")
	network     = flag.String("network", "host", "host: the node's; pod: a namespace for each pod, set up as the engine does")
	command     = flag.String("command", "sleep 987654", "command of the containers, split at blanks, {name} is the pod's; empty: the image's")
	annotation  = flag.String("annotation", "", "KEY=VALUE for each pod and container")
	podsOnly    = flag.Bool("pods-only", false, "only RunPodSandbox")
	keep        = flag.Bool("keep", false, "do not stop and remove")
	wipe        = flag.Bool("wipe", false, "only stop and remove every pod whose name starts with --prefix")
	prefix      = flag.String("prefix", "criload", "start of the pods' names")
	logDir      = flag.String("log-dir", "", "directory for the containers' logs; empty: none")
	logPerPod   = flag.Bool("log-dir-per-pod", false, "a directory below --log-dir for each pod, as the kubelet has it")
	expect      = flag.String("expect", "", "line that every --check-every'th container must have printed, {name} is the pod's; needs --log-dir")
	checkEvery  = flag.Int("check-every", 100, "see --expect")
	list        = flag.Bool("list", false, "list all, by the streaming calls and by the plain ones, before they are removed")
	probe       = flag.Duration("probe", 0, "between calls of status for a random pod or container during the load; 0: none")
	cgParent    = flag.String("cgroup-parent", "", "parent of the pods' control groups")
	settle      = flag.Duration("settle", 2*time.Second, "from the last start to the measurement of memory")
	settleAfter = flag.Duration("settle-after", 2*time.Second, "from the last removal to the measurement of memory")
	measure     = flag.String("measure", "", "comma list: PSS of the processes that run a program below these directories, name them in their arguments or have these names, and of all their descendants")
	samples     = flag.String("samples", "", "file for the samples of memory and rate during the load, a JSON object a line")
	sampleStep  = flag.Int("sample-every", 0, "pods from one sample to the next; 0: a fiftieth of --pods")
	awaited     = flag.Int("await", 0, "in place of a load: wait until so many pods are ready and so many containers run")
	cold        = flag.Int("cold", 0, "in place of a load: this many cold starts one after the other, from RunPodSandbox to the first line in the log")
	procs       = flag.Int("procs", 1, "threads that the clients compute on; more than one spend a third more CPU a pod, by waking each other")
	unruly      = flag.Bool("hostile", false, "in place of a load: --pods of which 5 in 100 misbehave, see hostile.go")
	unrulyKinds = flag.String("kinds", "spin,trap,fill,log,fifo", "with --hostile: those that misbehave")
	watchFor    = flag.Duration("watch", 30*time.Second, "with --hostile: how long those that sleep are watched, alone and beside the others")
	tickPeriod  = flag.Duration("tick", 10*time.Second, "with --hostile: from one wake to the next of those that sleep")
	timeout     = flag.Duration("timeout", 5*time.Minute, "for each call")
	progress    = flag.Bool("progress", false, "show a progress bar on standard error")
	jsonOut     = flag.Bool("json", false, "one JSON object in place of text")
)

// interrupted is set by SIGINT and SIGTERM: what runs ends early, what was started is removed.
var interrupted atomic.Bool

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "criload:", err)
		os.Exit(1)
	}
}

func checkFlags() {
	if flag.NArg() > 0 {
		die(fmt.Errorf("there are no arguments but flags: %q", flag.Arg(0)))
	}
	if *network != "host" && *network != "pod" {
		die(fmt.Errorf("--network is host or pod, not %q", *network))
	}
	if (*expect != "" || *cold > 0 || *unruly) && *logDir == "" {
		die(fmt.Errorf("what containers print is looked for in their logs: --log-dir is missing"))
	}
	if *pods < 1 || *parallel < 1 || *namespaces < 1 || *checkEvery < 1 {
		die(fmt.Errorf("--pods, --parallel, --namespaces and --check-every are at least 1"))
	}
}

func main() {
	flag.Parse()
	checkFlags()
	if *cold == 0 {
		relaxMonitor()
	}
	runtime.GOMAXPROCS(*procs)
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(128 << 20) // collected more often from there on: a million ids are 32 MiB
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		interrupted.Store(true)
		signal.Stop(signals) // a second one ends the program
	}()
	if *awaited > 0 {
		os.Exit(await(*awaited))
	}
	engine := connect()
	status := 0
	switch {
	case *wipe:
		n, d := engine.wipe()
		fmt.Printf("removed %d pods in %.2f s\n", n, d.Seconds())
	case *cold > 0:
		status = coldStarts(engine)
	case *unruly:
		status = runHostile(engine)
	default:
		status = runLoad(engine)
	}
	if interrupted.Load() {
		status = 130
	}
	os.Exit(status)
}

// runLoad is what criload is for; the result is the exit status.
func runLoad(engine *engine) int {
	if *pull {
		engine.pull()
	}
	l := newLoad(*pods)
	r := result{Engine: engine.version, Handler: *handler, Network: *network, Pods: *pods, Parallel: *parallel,
		Probes: map[string]spread{}}
	before := takeMemory()
	sampler, prober := newSampler(l, before), startProber(l)
	cpu := ownCPU()
	sampler.resume("start")
	r.StartSeconds = l.start().Seconds()
	sampling := sampler.pause()
	r.ClientMicros = (ownCPU() - cpu - sampling).Seconds() * 1e6 / float64(max(l.started.Load(), 1))
	prober.stop(r.Probes)
	r.checkLines(l)
	time.Sleep(*settle)
	r.Memory = takeMemory().since(before)
	if *list {
		r.Lists = listAll(engine)
	}
	if !*keep {
		sampler.resume("remove")
		r.RemoveSeconds = l.remove().Seconds()
		sampler.pause()
		time.Sleep(*settleAfter)
		after := takeMemory().since(before)
		r.After = &after
	}
	sampler.close()
	r.ClientMiB = float64(ownUsage().Maxrss) / 1024
	r.take(l)
	if *jsonOut {
		die(json.NewEncoder(os.Stdout).Encode(r))
	} else {
		r.print()
	}
	if r.Failed > 0 || r.LinesMissing > 0 {
		return 2
	}
	return 0
}

func ownUsage() (u syscall.Rusage) {
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return
}

func ownCPU() time.Duration {
	u := ownUsage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
