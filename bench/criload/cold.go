// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// coldResult tells, for the first pod of a tenant (a Kubernetes namespace, whose worker is started with it) and for later
// ones, how long the three calls took and how long it was from the first to the first line in the log.
type coldResult struct {
	Starts                              int
	FirstCalls, FirstLine, Calls, Lines spread
}

// coldStarts starts pods one after the other on an engine that does nothing else, and removes each before the next but the first
// of its tenant, which keeps the tenant's worker there.
func coldStarts(e *engine) int {
	var calls, lines, firstCalls, firstLines histogram
	const perTenant = 11
	tenants := (*cold + perTenant - 1) / perTenant
	*namespaces = tenants + 1 // one a tenant: pod i belongs to namespace i mod that
	l := newLoad(tenants * perTenant)
	for tenant := range tenants {
		var first id
		for k := 0; k < perTenant && !interrupted.Load(); k++ {
			i := tenant + k*(tenants+1)
			pod, call, line, err := coldStart(e, l, i)
			if err != nil {
				l.fail(err)
				continue
			}
			if k == 0 {
				first = pod
				firstCalls.add(call)
				firstLines.add(line)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			calls.add(call)
			lines.add(line)
			if err = e.removePod(pod.String()); err != nil {
				l.fail(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !first.none() {
			if err := e.removePod(first.String()); err != nil {
				l.fail(err)
			}
		}
	}
	r := coldResult{*cold, firstCalls.spread(), firstLines.spread(), calls.spread(), lines.spread()}
	if *jsonOut {
		die(json.NewEncoder(os.Stdout).Encode(r))
	} else {
		fmt.Printf("%s, cold starts one after the other, %d of a tenant's first pod and %d later ones; milliseconds\n", e.version,
			r.FirstCalls.N, r.Calls.N)
		printSpread("first pod, calls", r.FirstCalls)
		printSpread("first pod, line ", r.FirstLine)
		printSpread("later pod, calls", r.Calls)
		printSpread("later pod, line ", r.Lines)
	}
	if l.failed.Load() > 0 {
		return 2
	}
	return 0
}

// coldStart gives the time until the last call was answered, and until the log had something.
func coldStart(e *engine, l *load, i int) (pod id, calls, line time.Duration, err error) {
	os.Remove(logPath(i))
	begin := time.Now()
	config := podConfig(i)
	if *logPerPod {
		if err = os.MkdirAll(config.LogDirectory, 0o755); err != nil {
			return
		}
	}
	s, err := runPod(e, config)
	if err != nil {
		return
	}
	if err = l.startContainer(e, i, s, config); err != nil {
		return
	}
	pod, calls = s.pod, time.Since(begin)
	for time.Since(begin) < 10*time.Second {
		if info, e := os.Stat(logPath(i)); e == nil && info.Size() > 0 {
			return pod, calls, time.Since(begin), nil
		}
		time.Sleep(20 * time.Microsecond)
	}
	return pod, calls, 0, fmt.Errorf("nothing in %s after ten seconds", logPath(i))
}
