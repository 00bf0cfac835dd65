// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// await waits until so many pods are ready and so many containers run, at an engine that may not be there yet, and tells how
// long it took until the engine answered, and until all were there.
func await(wanted int) int {
	begin := time.Now()
	var answered time.Duration
	e := dial()
	for time.Since(begin) < *timeout && !interrupted.Load() {
		ready, running := 0, 0
		err := e.eachPod(func(p *cri.PodSandbox) {
			if p.State == cri.PodSandboxState_SANDBOX_READY {
				ready++
			}
		})
		if err == nil {
			if answered == 0 {
				answered = time.Since(begin)
			}
			err = e.eachContainer(func(c *cri.Container) {
				if c.State == cri.ContainerState_CONTAINER_RUNNING {
					running++
				}
			})
		}
		if err == nil && ready >= wanted && running >= wanted {
			fmt.Printf("%d pods ready and %d containers running: the engine answered after %.2f s, all were there after %.2f s\n",
				ready, running, answered.Seconds(), time.Since(begin).Seconds())
			return 0
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "criload: there are not %d pods and containers after %.0f s\n", wanted, time.Since(begin).Seconds())
	return 1
}
