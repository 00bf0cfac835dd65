// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
)

// relaxMonitor lets Go's monitoring thread, which asks for 20 us of sleep as long as a call is in flight, sleep up to four
// milliseconds: each look that it takes is CPU the engine does not get, and it takes the processor from a thread that has just
// written to a socket, for another to be woken. Called first, when no other threads are there than the runtime's own.
func relaxMonitor() {
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, t := range tasks {
		os.WriteFile("/proc/"+filepath.Base(t)+"/timerslack_ns", []byte("4000000"), 0) // without the right to, it stays as it is
	}
}
