// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
)

// spread is a distribution, in milliseconds.
type spread struct {
	Min, P50, P90, P99, Max, Mean float64
}

type result struct {
	Engine        string            `json:"engine"`
	Handler       string            `json:"handler"`
	Network       string            `json:"network"`
	Pods          int               `json:"pods"`
	Parallel      int               `json:"parallel"`
	Failed        int64             `json:"failed"`
	StartSeconds  float64           `json:"start_s"`
	PodsPerSecond float64           `json:"pods_per_s"`
	RemoveSeconds float64           `json:"remove_s"`
	PerPod        float64           `json:"memory_per_pod_kb"`
	Latency       map[string]spread `json:"latency_ms"`
	Memory        memory            `json:"memory"`
	started       int
	removed       int
}

func (r *result) take(l *load) {
	steps := map[string][]float64{}
	for _, s := range l.samples {
		if s.total > 0 {
			r.started++
			for name, v := range map[string]float64{"run": s.run, "create": s.create, "start": s.start, "total": s.total} {
				if v > 0 {
					steps[name] = append(steps[name], v)
				}
			}
		}
		if s.remove > 0 {
			r.removed++
			steps["remove"] = append(steps["remove"], s.remove)
		}
	}
	r.Failed = l.failed.Load()
	r.PodsPerSecond = float64(r.started) / r.StartSeconds
	r.PerPod = r.Memory.perPod(r.started)
	r.Latency = map[string]spread{}
	for name, v := range steps {
		r.Latency[name] = spreadOf(v)
	}
}

func spreadOf(v []float64) spread {
	sort.Float64s(v)
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	at := func(q float64) float64 { return v[int(q*float64(len(v)-1)+0.5)] }
	return spread{v[0], at(.5), at(.9), at(.99), v[len(v)-1], sum / float64(len(v))}
}

func (r *result) print() {
	fmt.Printf("%s, handler %q, %s network, %d clients: %d pods started, %d calls failed\n",
		r.Engine, r.Handler, r.Network, r.Parallel, r.started, r.Failed)
	fmt.Printf("  rate     %.1f pods a second (%.2f s)\n", r.PodsPerSecond, r.StartSeconds)
	for _, name := range []string{"run", "create", "start", "total", "remove"} {
		if s, ok := r.Latency[name]; ok {
			fmt.Printf("  %-8s p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms\n", name, s.P50, s.P90, s.P99, s.Max)
		}
	}
	if *measure != "" {
		r.printMemory()
	}
	if r.RemoveSeconds > 0 {
		fmt.Printf("  removed  %d pods, %.1f a second (%.2f s)\n", r.removed, float64(r.removed)/r.RemoveSeconds, r.RemoveSeconds)
	}
}

func (r *result) printMemory() {
	m := r.Memory
	fmt.Printf("  memory   %.0f KiB a pod = (PSS %d", r.PerPod, m.PSS)
	for _, name := range kernelCounters {
		fmt.Printf(" + %s %d", name, m.Kernel[name])
	}
	fmt.Printf(" KiB) / %d pods\n", r.started)
	var names []string
	for name := range m.Groups {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := m.Groups[name]
		fmt.Printf("    %-16s %5d processes, %5d threads, PSS %d KiB\n", name, g.Processes, g.Threads, g.PSS)
	}
}
