// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const barWidth = 40

// showProgress draws done of n until the function that it gives is called: a bar that moves on a terminal, a line for each
// fifth elsewhere.
func showProgress(what string, n int, done *atomic.Int64, begin time.Time) (stop func()) {
	if !*progress || n == 0 {
		return func() {}
	}
	info, err := os.Stderr.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	ended, drawn := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drawn)
		told := int64(0)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for last := false; ; {
			now := done.Load()
			if terminal || now*5/int64(n) > told {
				told = now * 5 / int64(n)
				draw(what, int(now), n, begin, terminal)
			}
			if last {
				if terminal {
					fmt.Fprintln(os.Stderr)
				}
				return
			}
			select {
			case <-tick.C:
			case <-ended:
				last = true
			}
		}
	}()
	return func() { close(ended); <-drawn }
}

func draw(what string, now, n int, begin time.Time, terminal bool) {
	full := barWidth * now / n
	start, end := "", "\n"
	if terminal {
		start, end = "\r", ""
	}
	fmt.Fprintf(os.Stderr, "%s  [%s%s] %*d of %d pods %s, %.0f a second%s", start, strings.Repeat("#", full),
		strings.Repeat(".", barWidth-full), len(fmt.Sprint(n)), now, n, what, float64(now)/time.Since(begin).Seconds(), end)
}
