// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// hasLine looks for a whole line of a container in its log, which has CRI's format: TIME STREAM TAG TEXT.
func hasLine(path, wanted string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(parts) == 4 && parts[3] == wanted {
			return true
		}
	}
	return false
}

// checkLines looks whether every --check-every'th container has printed its own line; late ones have ten seconds.
func (r *result) checkLines(l *load) {
	if *expect == "" {
		return
	}
	end := time.Now().Add(10 * time.Second)
	for i := 0; i < len(l.ids); i += *checkEvery {
		if l.ids[i].none() {
			continue
		}
		r.LinesChecked++
		for !hasLine(logPath(i), named(*expect, i)) {
			if time.Now().After(end) {
				if r.LinesMissing++; r.LinesMissing == 1 {
					fmt.Fprintf(os.Stderr, "criload: %s has not printed '%s'\n", podName(i), named(*expect, i))
				}
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
