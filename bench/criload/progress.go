// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	barWidth = 40
	window   = 5 * time.Second // that the rate is of
)

// bar shows how far the work is: a line that is drawn again on a terminal, one for each fifth elsewhere.
type bar struct {
	what     string
	n        int
	terminal bool
	begin    time.Time
	marks    []mark // of the last window
}

type mark struct {
	at   time.Time
	done int64
}

// showProgress draws done of n until the function that it gives is called.
func showProgress(what string, n int, done *atomic.Int64, begin time.Time) (stop func()) {
	if !*progress || n == 0 {
		return func() {}
	}
	info, err := os.Stderr.Stat()
	b := &bar{what: what, n: n, begin: begin, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		marks: []mark{{begin, 0}}}
	ended, drawn := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drawn)
		b.run(done, ended)
	}()
	return func() { close(ended); <-drawn }
}

func (b *bar) run(done *atomic.Int64, ended chan struct{}) {
	told := int64(0)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := false; ; {
		now := done.Load()
		b.note(now)
		if b.terminal || now*5/int64(b.n) > told {
			told = now * 5 / int64(b.n)
			b.draw(int(now), last)
		}
		if last {
			if b.terminal {
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
}

func (b *bar) note(done int64) {
	b.marks = append(b.marks, mark{time.Now(), done})
	for len(b.marks) > 2 && time.Since(b.marks[1].at) > window {
		b.marks = b.marks[1:]
	}
}

func (b *bar) draw(now int, last bool) {
	first := b.marks[0]
	rate := float64(int64(now)-first.done) / max(time.Since(first.at).Seconds(), 1e-3)
	rest := ""
	if last {
		rate = float64(now) / max(time.Since(b.begin).Seconds(), 1e-3)
		rest = fmt.Sprintf(", %s in all", clock(time.Since(b.begin)))
	} else if rate > 0 {
		rest = fmt.Sprintf(", %s left", clock(time.Duration(float64(b.n-now)/rate*float64(time.Second))))
	}
	start, end := "", "\n"
	if b.terminal {
		start, end = "\r", "\x1b[K"
	}
	full := barWidth * now / b.n
	fmt.Fprintf(os.Stderr, "%s  [%s%s] %*d of %d pods %s, %.0f a second%s%s", start, strings.Repeat("#", full),
		strings.Repeat(".", barWidth-full), len(fmt.Sprint(b.n)), now, b.n, b.what, rate, rest, end)
}

func clock(d time.Duration) string {
	s := int(d.Seconds() + 0.5)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
