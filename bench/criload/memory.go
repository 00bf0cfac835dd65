// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// group is the measured processes of one name.
type group struct {
	Processes int   `json:"processes"`
	PSS       int64 `json:"pss_kb"`
	Threads   int   `json:"threads"`
}

// memory is what the machine and the measured processes hold, in KiB.
type memory struct {
	Kernel    map[string]int64  `json:"kernel_growth_kb"` // what grows in the kernel with the number of pods
	Available int64             `json:"available_growth_kb"`
	Groups    map[string]*group `json:"processes"`
	PSS       int64             `json:"pss_kb"`        // of all measured processes, as they are now
	PSSGrowth int64             `json:"pss_growth_kb"` // and since before
	Took      float64           `json:"took_s"`        // to read all this
}

var kernelCounters = []string{"Slab", "PageTables", "KernelStack", "Shmem"}

func takeMemory() memory {
	begin, info := time.Now(), fields("/proc/meminfo")
	m := memory{Kernel: map[string]int64{}, Available: info["MemAvailable"], Groups: map[string]*group{}}
	for _, name := range kernelCounters {
		m.Kernel[name] = info[name]
	}
	for _, pid := range measured() {
		rollup, status := fields("/proc/"+pid+"/smaps_rollup"), fields("/proc/"+pid+"/status")
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil || len(rollup) == 0 {
			continue // it has ended
		}
		name := strings.TrimSpace(string(comm))
		if m.Groups[name] == nil {
			m.Groups[name] = &group{}
		}
		m.Groups[name].Processes++
		m.Groups[name].PSS += rollup["Pss"]
		m.Groups[name].Threads += int(status["Threads"])
		m.PSS += rollup["Pss"]
	}
	m.Took = time.Since(begin).Seconds()
	return m
}

// since makes the machine's counters differences; the processes stay as they are.
func (m memory) since(before memory) memory {
	for name := range m.Kernel {
		m.Kernel[name] -= before.Kernel[name]
	}
	m.Available -= before.Available
	m.PSSGrowth = m.PSS - before.PSS
	return m
}

// sum is what counts as ours: the processes, and what has grown in the kernel.
func (m memory) sum() int64 {
	sum := m.PSS
	for _, growth := range m.Kernel {
		sum += growth
	}
	return sum
}

// perPod is the project's measure: (PSS of all our processes + growth in the kernel) / pods, in KiB.
func (m memory) perPod(pods int) float64 {
	return float64(m.sum()) / float64(max(pods, 1))
}

// fields reads the "Name: number" lines of a file of /proc; none where it cannot be read.
func fields(path string) map[string]int64 {
	values := map[string]int64{}
	f, err := os.Open(path)
	if err != nil {
		return values
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) >= 2 {
			if v, err := strconv.ParseInt(words[1], 10, 64); err == nil {
				values[strings.TrimSuffix(words[0], ":")] = v
			}
		}
	}
	return values
}

// measured finds the processes that --measure names, and their descendants: a container is its holder's child.
func measured() []string {
	if *measure == "" {
		return nil
	}
	wanted := strings.Split(*measure, ",")
	children, found := map[string][]string{}, []string{}
	directories, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range directories {
		pid := filepath.Base(d)
		if parent := parentOf(pid); parent != "" {
			children[parent] = append(children[parent], pid)
		}
		if isWanted(pid, wanted) {
			found = append(found, pid)
		}
	}
	seen := map[string]bool{strconv.Itoa(os.Getpid()): true} // the load generator is not what is measured
	var all []string
	for len(found) > 0 {
		pid := found[0]
		found = found[1:]
		if !seen[pid] {
			seen[pid] = true
			all = append(all, pid)
			found = append(found, children[pid]...)
		}
	}
	return all
}

func isWanted(pid string, wanted []string) bool {
	exe, _ := os.Readlink("/proc/" + pid + "/exe")
	comm, _ := os.ReadFile("/proc/" + pid + "/comm")
	arguments, _ := os.ReadFile("/proc/" + pid + "/cmdline") // where its program is not seen: another mount namespace
	for _, w := range wanted {
		if w == strings.TrimSpace(string(comm)) {
			return true
		}
		if directory, err := filepath.Abs(w); err == nil && strings.Contains(w, "/") &&
			(strings.HasPrefix(exe, directory+"/") || strings.Contains(string(arguments), directory+"/")) {
			return true
		}
	}
	return false
}

func parentOf(pid string) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	words := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(words) < 2 {
		return ""
	}
	return words[1]
}
