// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func makeFifo(path string) error {
	if err := syscall.Mkfifo(path, 0o644); err != nil && !os.IsExist(err) {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return nil
}

// eachLine gives a log's lines with their times, which CRI's format begins with.
func eachLine(path string, f func(at time.Time, text string)) {
	log, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(log)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if at, err := time.Parse(time.RFC3339Nano, parts[0]); err == nil && len(parts) == 4 {
			f(at, parts[3])
		}
	}
}

func lastLine(path string) (last string) {
	eachLine(path, func(_ time.Time, text string) { last = text })
	return
}

// lateness is what the first n pods have said between two times, but those to skip.
func lateness(n int, from, until time.Time, skip func(i int) bool) spread {
	var h histogram
	for i := range n {
		if skip != nil && skip(i) {
			continue
		}
		eachLine(logPath(i), func(at time.Time, text string) {
			us, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(text, "late "), " us"), 10, 64)
			if err == nil && at.After(from) && at.Before(until) {
				h.add(time.Duration(us) * time.Microsecond)
			}
		})
	}
	return h.spread()
}

// rotator does to the logs of those that write at full speed what the kubelet does: one that has grown past a size is moved
// aside and opened anew.
type rotator struct {
	h          *hostile
	begin      time.Time
	end, ended chan struct{}
	rotations  int
	moved      int64 // bytes in files that were moved aside
	largest    int64
}

const logMax = 4 << 20

func startRotator(h *hostile) *rotator {
	r := &rotator{h: h, begin: time.Now(), end: make(chan struct{}), ended: make(chan struct{})}
	e := connect()
	go func() {
		defer close(r.ended)
		defer e.conn.Close()
		for {
			select {
			case <-r.end:
				return
			case <-time.After(200 * time.Millisecond):
				from, to := h.of("log")
				for i := from; i < to; i++ {
					r.look(e, i)
				}
			}
		}
	}()
	return r
}

func (r *rotator) look(e *engine, i int) {
	info, err := os.Stat(logPath(i))
	if err != nil || info.Size() < logMax || r.h.ids[i].none() {
		return
	}
	c, running := r.h.container(e, i)
	if !running || os.Rename(logPath(i), logPath(i)+".1") != nil {
		return
	}
	_, err = call(e.runtime.ReopenContainerLog, &cri.ReopenContainerLogRequest{ContainerId: c})
	if _, running = r.h.container(e, i); err != nil && running { // else it has just been stopped, or its worker killed
		r.h.fail(fmt.Errorf("reopen the log of %s: %w", podName(i), err))
	}
	if info, err = os.Stat(logPath(i) + ".1"); err == nil {
		r.rotations++
		r.moved += info.Size()
		r.largest = max(r.largest, info.Size())
	}
}

func (r *rotator) stop(into *hostileResult) {
	close(r.end)
	<-r.ended
	written := r.moved
	from, to := r.h.of("log")
	for i := from; i < to; i++ {
		if info, err := os.Stat(logPath(i)); err == nil {
			written += info.Size()
			into.LogFiles++
		}
	}
	into.Rotations, into.LogMiB, into.LargestLogMiB = r.rotations, float64(written)/(1<<20), float64(r.largest)/(1<<20)
	into.LogMiBPerS = into.LogMiB / time.Since(r.begin).Seconds()
}

// workers are the processes that hold the guests.
func workers() (pids []int) {
	for _, text := range measured() {
		if comm, err := os.ReadFile("/proc/" + text + "/comm"); err == nil && strings.HasPrefix(string(comm), "warren-wasm-wor") {
			pid, _ := strconv.Atoi(text)
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return
}

type workerKill struct {
	Workers, Ended, OtherCodes, Namespaces int
	ReportedSeconds                        float64 // from the kill until the last that it held was reported to have ended
	Others                                 spread  // lateness of those that sleep in other workers, from the kill on
}

// running is the pods whose containers run, with their containers.
func running(e *engine) map[string]string {
	found := map[string]string{}
	die(e.eachContainer(func(c *cri.Container) {
		if c.State == cri.ContainerState_CONTAINER_RUNNING {
			found[c.PodSandboxId] = c.Id
		}
	}))
	return found
}

// killWorker ends one by SIGKILL: what it held must be reported with 137, and nothing else be touched.
func (h *hostile) killWorker(e *engine) (k workerKill) {
	all := workers()
	k.Workers = len(all)
	before, begin := running(e), time.Now()
	if err := syscall.Kill(all[0], syscall.SIGKILL); err != nil {
		h.fail(err)
		return
	}
	var ended map[string]string
	for last := begin; (len(ended) == 0 || time.Since(last) < time.Second) && time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		left := running(e)
		gone := maps.Clone(before)
		maps.DeleteFunc(gone, func(pod, _ string) bool { return left[pod] != "" })
		if len(gone) != len(ended) {
			ended, last = gone, time.Now()
			k.ReportedSeconds = last.Sub(begin).Seconds()
		}
	}
	h.checkEnded(e, ended, &k)
	name := "others, after a worker was killed"
	h.watch(name, func(i int) bool { return ended[h.ids[i].String()] != "" })
	k.Others = h.result.Late[name]
	return
}

// checkEnded: all that have ended have 137, and are of one tenant.
func (h *hostile) checkEnded(e *engine, ended map[string]string, k *workerKill) {
	k.Ended = len(ended)
	for _, container := range ended {
		s, err := call(e.runtime.ContainerStatus, &cri.ContainerStatusRequest{ContainerId: container})
		if err != nil || s.Status.ExitCode != 137 {
			k.OtherCodes++
			h.fail(fmt.Errorf("a container of the killed worker says %d, %v", s.GetStatus().GetExitCode(), err))
		}
	}
	tenants := map[int]bool{}
	for i, pod := range h.ids {
		if ended[pod.String()] != "" {
			tenants[i%*namespaces] = true
		}
	}
	if k.Namespaces = len(tenants); k.Namespaces != 1 {
		h.fail(fmt.Errorf("the end of a worker ended containers of %d tenants", k.Namespaces))
	}
}

func (r *hostileResult) print() {
	fmt.Printf("%d pods, %d each of: %s\n\n", r.Pods, r.Each, strings.Join(kinds, ", "))
	fmt.Println("| what | n | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|")
	row := func(what string, s spread) {
		if s.N > 0 {
			fmt.Printf("| %s | %d | %.2f | %.2f | %.1f |\n", what, s.N, s.P50, s.P99, s.Max)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Late)) {
		row("lateness: "+name, r.Late[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Status)) {
		row("status: "+name, r.Status[name])
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kill)) {
		row("StopContainer, timeout 0: "+kind, r.Kill[kind])
	}
	fmt.Println("\n| what | value |\n|---|---|")
	fmt.Printf("| starting, s | %v |\n", r.StartSeconds)
	fmt.Printf("| traps: exit codes | %v |\n| filled memory | %v |\n| readers of the FIFO | %v |\n", r.Traps, r.Filled, r.Fifo)
	fmt.Printf("| logs | %.0f MiB written, %.1f MiB/s, %d files moved aside, the largest of %.1f MiB |\n", r.LogMiB, r.LogMiBPerS,
		r.Rotations, r.LargestLogMiB)
	fmt.Printf("| memory, all running / removed | %.1f / %.1f MiB |\n", float64(r.MemoryKB)/1024, float64(r.MemoryAfter)/1024)
	if k := r.Worker; k.Workers > 0 {
		fmt.Printf("| kill -9 of one of %d workers | %d containers ended, of %d tenant, %d with another code than 137, all reported in %.2f s |\n",
			k.Workers, k.Ended, k.Namespaces, k.OtherCodes, k.ReportedSeconds)
	}
	fmt.Printf("| calls or checks failed | %d |\n", r.Failed)
}
