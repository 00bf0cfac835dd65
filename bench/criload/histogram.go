// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"sync/atomic"
	"time"
)

// histogram counts durations from a microsecond to hours in steps of 2 in 100; the least and the largest are exact. Any
// goroutine may add.
type histogram struct {
	counts         [1300]atomic.Uint32
	n, sum         atomic.Int64 // sum, least and largest in nanoseconds
	least, largest atomic.Int64
}

const step = 1.02

func (h *histogram) add(d time.Duration) {
	ns := max(int64(d), 1)
	at := int(math.Log(math.Max(float64(ns)/1000, 1)) / math.Log(step))
	h.counts[min(at, len(h.counts)-1)].Add(1)
	h.n.Add(1)
	h.sum.Add(ns)
	for old := h.largest.Load(); ns > old && !h.largest.CompareAndSwap(old, ns); old = h.largest.Load() {
	}
	for old := h.least.Load(); (old == 0 || ns < old) && !h.least.CompareAndSwap(old, ns); old = h.least.Load() {
	}
}

// spread is a distribution, in milliseconds.
type spread struct {
	N                             int64
	Min, P50, P90, P99, Max, Mean float64
}

func (h *histogram) spread() spread {
	const ms = 1e6
	s := spread{N: h.n.Load(), Min: float64(h.least.Load()) / ms, Max: float64(h.largest.Load()) / ms}
	if s.N == 0 {
		return s
	}
	s.Mean = float64(h.sum.Load()) / ms / float64(s.N)
	at := func(q float64) float64 {
		left := int64(math.Ceil(q * float64(s.N)))
		for i := range h.counts {
			if left -= int64(h.counts[i].Load()); left <= 0 {
				return min(max(math.Pow(step, float64(i)+0.5)/1000, s.Min), s.Max)
			}
		}
		return s.Max
	}
	s.P50, s.P90, s.P99 = at(.5), at(.9), at(.99)
	return s
}
