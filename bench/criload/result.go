// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
)

type result struct {
	Engine        string            `json:"engine"`
	Handler       string            `json:"handler"`
	Network       string            `json:"network"`
	Pods          int               `json:"pods"`
	Started       int64             `json:"started"`
	Parallel      int               `json:"parallel"`
	Failed        int64             `json:"failed"`
	StartSeconds  float64           `json:"start_s"`
	PodsPerSecond float64           `json:"pods_per_s"`
	ClientMicros  float64           `json:"client_cpu_us_per_pod"`
	ClientMiB     float64           `json:"client_max_rss_mib"`
	Removed       int64             `json:"removed"`
	RemoveSeconds float64           `json:"remove_s"`
	PerPod        float64           `json:"memory_per_pod_kb"`
	Latency       map[string]spread `json:"latency_ms"`
	Probes        map[string]spread `json:"probes_ms,omitempty"`
	LinesChecked  int               `json:"lines_checked"`
	LinesMissing  int               `json:"lines_missing"`
	Lists         []listing         `json:"lists,omitempty"`
	Memory        memory            `json:"memory"`
	After         *memory           `json:"memory_after,omitempty"`
}

func (r *result) take(l *load) {
	r.Started, r.Removed, r.Failed = l.started.Load(), l.removed.Load(), l.failed.Load()
	r.PodsPerSecond = float64(r.Started) / r.StartSeconds
	r.PerPod = r.Memory.perPod(int(r.Started))
	r.Latency = map[string]spread{}
	for name, h := range map[string]*histogram{"run": &l.run, "create": &l.create, "start": &l.begin, "total": &l.total,
		"remove": &l.removal} {
		if h.n.Load() > 0 {
			r.Latency[name] = h.spread()
		}
	}
}

func printSpread(name string, s spread) {
	fmt.Printf("  %-8s p50 %.2f  p90 %.2f  p99 %.2f  max %.1f ms\n", name, s.P50, s.P90, s.P99, s.Max)
}

func (r *result) print() {
	fmt.Printf("%s, handler %q, %s network, %d clients: %d pods started, %d calls failed\n",
		r.Engine, r.Handler, r.Network, r.Parallel, r.Started, r.Failed)
	fmt.Printf("  rate     %.1f pods a second (%.2f s); the client's own %.0f us of CPU a pod, %.0f MiB\n", r.PodsPerSecond, r.StartSeconds,
		r.ClientMicros, r.ClientMiB)
	for _, name := range []string{"run", "create", "start", "total", "remove"} {
		if s, ok := r.Latency[name]; ok {
			printSpread(name, s)
		}
	}
	for name, s := range r.Probes {
		printSpread(fmt.Sprintf("%s (%d)", name, s.N), s)
	}
	if r.LinesChecked > 0 {
		fmt.Printf("  lines    %d of %d containers looked at have printed their own\n", r.LinesChecked-r.LinesMissing, r.LinesChecked)
	}
	for _, l := range r.Lists {
		fmt.Printf("  list     %s: %d in %.3f s %s\n", l.Call, l.Items, l.Seconds, l.Error)
	}
	if *measure != "" {
		r.printMemory()
	}
	if r.RemoveSeconds > 0 {
		fmt.Printf("  removed  %d pods, %.1f a second (%.2f s)\n", r.Removed, float64(r.Removed)/r.RemoveSeconds, r.RemoveSeconds)
	}
	if r.After != nil && *measure != "" {
		fmt.Printf("  after    PSS %d KiB (%+d since before)", r.After.PSS, r.After.PSSGrowth)
		r.After.printKernel()
		fmt.Println(" KiB")
	}
}

func (m *memory) printKernel() {
	for _, name := range kernelCounters {
		fmt.Printf(" + %s %d", name, m.Kernel[name])
	}
}

func (r *result) printMemory() {
	m := r.Memory
	fmt.Printf("  memory   %.1f KiB a pod = (PSS %d", r.PerPod, m.PSS)
	m.printKernel()
	fmt.Printf(" KiB) / %d pods; read in %.2f s\n", r.Started, m.Took)
	var names []string
	for name := range m.Groups {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := m.Groups[name]
		fmt.Printf("    %-18s %5d processes, %5d threads, PSS %d KiB\n", name, g.Processes, g.Threads, g.PSS)
	}
}
