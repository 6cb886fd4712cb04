// Package streamtest writes synthetic STREAM trial logs for tests.
package streamtest

import (
	"bytes"
	"fmt"
)

// Spec says what the log shows.
type Spec struct {
	Triad   []float64 // MB/s of each iteration
	Threads int
	Cores   int
	Size    int64 // elements of an array
	Replay  string
}

// Log returns the text of a complete log.
func Log(s Spec) []byte {
	var b bytes.Buffer
	b.WriteString("#!/bin/bash\n")
	if s.Replay != "" {
		fmt.Fprintf(&b, "# REPLAY %s\n", s.Replay)
	}
	fmt.Fprintf(&b, "  echo \"FLUX-RUN START stream-iter-$i\"\n  flux run -N1 -n 1 --exclusive /opt/stream/stream\n\n")
	fmt.Fprintf(&b, "     STATE NNODES NCORES NGPUS NODELIST\n      free 1 %d 0 node-0\n allocated 0 0 0\n", s.Cores)
	for i, rate := range s.Triad {
		fmt.Fprintf(&b, "FLUX-RUN START stream-iter-%d\n-------\nSTREAM version\n-------\n", i+1)
		fmt.Fprintf(&b, "This system uses 8 bytes per array element.\nArray size = %d (elements), Offset = 0 (elements)\n", s.Size)
		fmt.Fprintf(&b, "Each kernel will be executed 10 times.\nNumber of Threads requested = %d\nNumber of Threads counted = %d\n", s.Threads, s.Threads)
		b.WriteString("Function    Best Rate MB/s  Avg time     Min time     Max time\n")
		for _, k := range []struct {
			name         string
			arrays, part float64
		}{{"Copy", 2, 0.93}, {"Scale", 2, 0.92}, {"Add", 3, 0.99}, {"Triad", 3, 1}} {
			least := k.arrays * 8 * float64(s.Size) / (rate * k.part) / 1e6
			fmt.Fprintf(&b, "%-12s%11.1f  %11.6f  %11.6f  %11.6f\n", k.name+":", rate*k.part, least*1.02, least, least*1.1)
		}
		fmt.Fprintf(&b, "Solution Validates: avg error less than 1.000000e-13 on all three arrays\nFLUX-RUN END stream-iter-%d\n", i+1)
	}
	return b.Bytes()
}
