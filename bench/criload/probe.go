// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// prober asks for the status of random pods and containers while others are started, from a connection of its own.
type prober struct {
	pod, container histogram
	failed         int
	end, ended     chan struct{}
}

func startProber(l *load) *prober {
	p := &prober{end: make(chan struct{}), ended: make(chan struct{})}
	if *probe == 0 {
		close(p.ended)
		return p
	}
	e := connect()
	go func() {
		defer close(p.ended)
		defer e.conn.Close()
		tick := time.NewTicker(*probe)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-p.end:
				return
			case <-tick.C:
			}
			if s := l.recent[rand.IntN(min(len(l.recent), len(l.ids)))].Load(); s != nil {
				p.ask(e, l, s, n%2 == 0)
			}
		}
	}()
	return p
}

func (p *prober) ask(e *engine, l *load, s *started, pod bool) {
	var err error
	h, begin := &p.container, time.Now()
	if pod {
		h = &p.pod
		_, err = call(e.runtime.PodSandboxStatus, &cri.PodSandboxStatusRequest{PodSandboxId: s.pod.String()})
	} else {
		_, err = call(e.runtime.ContainerStatus, &cri.ContainerStatusRequest{ContainerId: s.container.String()})
	}
	if err != nil {
		l.fail(fmt.Errorf("status: %w", err))
		return
	}
	h.add(time.Since(begin))
}

func (p *prober) stop(into map[string]spread) {
	close(p.end)
	<-p.ended
	if *probe > 0 {
		into["PodSandboxStatus"], into["ContainerStatus"] = p.pod.spread(), p.container.spread()
	}
}
