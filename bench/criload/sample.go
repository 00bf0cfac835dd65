// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sample is one line of --samples.
type sample struct {
	Phase   string           `json:"phase"` // start or remove
	Pods    int64            `json:"pods"`  // that are there
	Seconds float64          `json:"s"`     // since the phase began
	Rate    float64          `json:"rate"`  // pods a second since the sample before
	PSS     int64            `json:"pss_kb"`
	Groups  map[string]int64 `json:"pss_of_kb"`
	Kernel  map[string]int64 `json:"kernel_growth_kb"`
	Took    float64          `json:"took_s"` // to read the memory: a large process's mapping is locked meanwhile
}

// sampler writes one each --sample-every pods, and one at the end of each phase.
type sampler struct {
	load       *load
	before     memory
	out        *os.File
	step       int64
	end        chan struct{}
	ended      sync.WaitGroup
	name       string
	begin      time.Time
	last, next int64
	lastTime   time.Time
	cpu        atomic.Int64 // of the ended phases, nanoseconds
}

func newSampler(l *load, before memory) *sampler {
	s := &sampler{load: l, before: before, step: int64(*sampleStep)}
	if *samples == "" {
		return s
	}
	if s.step == 0 {
		s.step = max(int64(len(l.ids))/50, 200)
	}
	var err error
	s.out, err = os.Create(*samples)
	die(err)
	return s
}

func (s *sampler) run(name string) {
	s.name, s.begin, s.lastTime = name, time.Now(), time.Now()
	s.last, s.next, s.end = 0, s.step, make(chan struct{})
	s.ended.Go(func() {
		runtime.LockOSThread() // so that its CPU can be told from the load's
		defer func() { s.cpu.Add(int64(threadCPU())) }()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.end:
				if s.load.done.Load() > s.last {
					s.take()
				}
				return
			case <-tick.C:
				if s.load.done.Load() >= s.next {
					s.take()
				}
			}
		}
	})
}

func (s *sampler) take() {
	done, now := s.load.done.Load(), time.Now()
	m := takeMemory().since(s.before)
	line := sample{Phase: s.name, Pods: s.load.started.Load() - s.load.removed.Load(), Seconds: now.Sub(s.begin).Seconds(),
		Rate: float64(done-s.last) / max(now.Sub(s.lastTime).Seconds(), 1e-6), PSS: m.PSS, Groups: map[string]int64{},
		Kernel: m.Kernel, Took: time.Since(now).Seconds()}
	for name, g := range m.Groups {
		line.Groups[name] = g.PSS
	}
	die(json.NewEncoder(s.out).Encode(line))
	s.last, s.lastTime, s.next = done, now, (done/s.step+1)*s.step
}

// pause ends a phase; the CPU that the sampler has taken so far.
func (s *sampler) pause() time.Duration {
	if s.out != nil {
		close(s.end)
		s.ended.Wait()
	}
	return time.Duration(s.cpu.Load())
}

func (s *sampler) resume(name string) {
	if s.out != nil {
		s.load.done.Store(0)
		s.run(name)
	}
}

func (s *sampler) close() {
	if s.out != nil {
		die(s.out.Close())
	}
}

func threadCPU() time.Duration {
	const rusageThread = 1
	var u syscall.Rusage
	syscall.Getrusage(rusageThread, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
