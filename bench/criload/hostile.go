// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What --hostile does: of --pods, 95 in 100 sleep and tell how late they wake; after a while of that alone, one in 100 each
// begins to spin, to trap, to fill its memory, to write logs at full speed and to read a FIFO that nobody writes (the guest is
// bench/guests/unruly.c; /unruly.wasm in --image, and --log-dir holds the FIFO's directory). Then the worker of a part of the pods is
// killed, and what computes or blocks is stopped without grace.

// kinds of guests that misbehave; the pods of each are together, behind those that sleep.
var kinds []string

type hostile struct {
	*load
	each, quiet int // pods of a kind; pods that sleep
	fifoDir     string
	memoryLimit int64
	result      hostileResult
}

type hostileResult struct {
	Engine                string            `json:"engine"`
	Pods, Each            int               `json:"-"`
	Late                  map[string]spread `json:"late_ms"`   // of those that sleep: alone, and with the others
	Status                map[string]spread `json:"status_ms"` // of CRI's status calls, at these times
	StartSeconds          map[string]float64
	Traps, Filled, Fifo   map[string]int // what the kinds ended with or said
	LogMiB, LogMiBPerS    float64
	Rotations, LogFiles   int
	LargestLogMiB         float64
	Kill                  map[string]spread `json:"kill_ms"`
	Worker                workerKill
	MemoryKB, MemoryAfter int64
	Failed                int64
}

func (h *hostile) kind(i int) string {
	if i < h.quiet {
		return "tick"
	}
	return kinds[(i-h.quiet)/h.each]
}

// of gives the pods of a kind, [from, to).
func (h *hostile) of(kind string) (from, to int) {
	for k, name := range kinds {
		if name == kind {
			return h.quiet + k*h.each, h.quiet + (k+1)*h.each
		}
	}
	if kind == "tick" {
		return 0, h.quiet
	}
	return 0, 0
}

func (h *hostile) command(i int) []string {
	switch kind := h.kind(i); kind {
	case "tick":
		return []string{"/unruly.wasm", kind, strconv.FormatInt(tickPeriod.Milliseconds(), 10)}
	case "trap":
		return []string{"/unruly.wasm", kind, "5000"}
	case "fifo":
		return []string{"/unruly.wasm", kind, "/pipe/fifo"}
	default:
		return []string{"/unruly.wasm", kind}
	}
}

func newHostile() *hostile {
	kinds = strings.Split(*unrulyKinds, ",")
	h := &hostile{load: newLoad(*pods), each: max(*pods/100, 1), memoryLimit: 16 << 20}
	h.quiet = *pods - len(kinds)*h.each
	h.fifoDir = filepath.Join(*logDir, "pipe")
	h.commandOf = h.command
	h.limitOf = func(i int) int64 {
		if h.kind(i) == "fill" {
			return h.memoryLimit
		}
		return 0
	}
	h.mountOf = func(i int) []*cri.Mount {
		if h.kind(i) != "fifo" {
			return nil
		}
		return []*cri.Mount{{ContainerPath: "/pipe", HostPath: h.fifoDir}}
	}
	h.result = hostileResult{Pods: *pods, Each: h.each, Late: map[string]spread{}, Status: map[string]spread{},
		StartSeconds: map[string]float64{}, Kill: map[string]spread{}}
	return h
}

// startFrom starts pods [from, to); the time it took.
func (h *hostile) startFrom(from, to int) {
	d := inParallel("started", to-from, nil, func(e *engine, i int) bool {
		if interrupted.Load() {
			return false
		}
		if err := h.startOne(e, from+i); err != nil {
			h.fail(err)
		}
		return true
	})
	h.result.StartSeconds[h.kind(from)] = d.Seconds()
}

// watch lets all run for a while and looks at those that sleep; status is asked for meanwhile.
func (h *hostile) watch(name string, skip func(i int) bool) {
	p := startProber(h.load)
	from := time.Now()
	for end := from.Add(*watchFor); time.Now().Before(end) && !interrupted.Load(); {
		time.Sleep(50 * time.Millisecond)
	}
	until := time.Now()
	asked := map[string]spread{}
	p.stop(asked)
	for call, s := range asked {
		h.result.Status[name+", "+call] = s
	}
	time.Sleep(time.Second) // what was written is in the files
	h.result.Late[name] = lateness(h.quiet, from, until, skip)
}

func runHostile(e *engine) int {
	h := newHostile()
	h.result.Engine = e.version
	die(os.MkdirAll(h.fifoDir, 0o755))
	die(makeFifo(filepath.Join(h.fifoDir, "fifo")))
	before := takeMemory()
	h.startFrom(0, h.quiet)
	time.Sleep(*settle)
	h.watch("those that sleep, alone", nil)
	rotator := startRotator(h)
	for _, kind := range kinds {
		h.startFrom(h.of(kind))
	}
	h.watch("with the others beside", nil)
	h.result.MemoryKB = takeMemory().since(before).sum()
	h.told()
	if len(workers()) > 0 && !interrupted.Load() {
		h.result.Worker = h.killWorker(e)
	}
	h.killAll(e)
	rotator.stop(&h.result)
	h.remove()
	time.Sleep(*settleAfter)
	h.result.MemoryAfter = takeMemory().since(before).sum()
	h.result.Failed = h.failed.Load()
	if *jsonOut {
		die(json.NewEncoder(os.Stdout).Encode(h.result))
	} else {
		h.result.print()
	}
	if h.result.Failed > 0 {
		return 2
	}
	return 0
}

// killAll stops what computes, writes and blocks, without grace, one after the other.
func (h *hostile) killAll(e *engine) {
	for _, kind := range []string{"spin", "log", "fifo", "tick"} {
		var t histogram
		from, to := h.of(kind)
		for i := from; i < min(to, from+100) && !interrupted.Load(); i++ {
			c, running := h.container(e, i)
			if !running {
				continue
			}
			begin := time.Now()
			if _, err := call(e.runtime.StopContainer, &cri.StopContainerRequest{ContainerId: c}); err != nil {
				h.fail(fmt.Errorf("stop: %w", err))
				continue
			}
			t.add(time.Since(begin))
			if s, err := call(e.runtime.ContainerStatus, &cri.ContainerStatusRequest{ContainerId: c}); err != nil ||
				s.Status.ExitCode != 137 {
				h.fail(fmt.Errorf("%s was killed and says %d, %v", podName(i), s.GetStatus().GetExitCode(), err))
			}
		}
		if to > from {
			h.result.Kill[kind] = t.spread()
		}
	}
}

// container finds the container of a pod, and whether it runs.
func (h *hostile) container(e *engine, i int) (string, bool) {
	if h.ids[i].none() {
		return "", false
	}
	all, err := call(e.runtime.ListContainers, &cri.ListContainersRequest{
		Filter: &cri.ContainerFilter{PodSandboxId: h.ids[i].String()}})
	if err != nil || len(all.Containers) != 1 {
		h.fail(fmt.Errorf("list %s: %d containers, %v", podName(i), len(all.GetContainers()), err))
		return "", false
	}
	return all.Containers[0].Id, all.Containers[0].State == cri.ContainerState_CONTAINER_RUNNING
}

// told counts what those that trap, fill and read have come to.
func (h *hostile) told() {
	e := connect()
	defer e.conn.Close()
	h.result.Traps, h.result.Filled, h.result.Fifo = map[string]int{}, map[string]int{}, map[string]int{}
	for i := h.quiet; i < len(h.ids); i++ {
		switch h.kind(i) {
		case "trap":
			c, running := h.container(e, i)
			s, err := call(e.runtime.ContainerStatus, &cri.ContainerStatusRequest{ContainerId: c})
			if err == nil && !running {
				h.result.Traps[fmt.Sprint(s.Status.ExitCode)]++
			} else {
				h.result.Traps["still there"]++
			}
		case "fill":
			h.result.Filled[lastLine(logPath(i))]++
		case "fifo":
			h.result.Fifo[lastLine(logPath(i))]++
		}
	}
}
