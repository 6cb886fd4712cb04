package playback

import (
	"errors"
	"fmt"
)

// application is a program whose trials can be played. Its name is what the chart puts into OCIFIT_APP.
type application struct {
	command string
	// head is what the container prints before the echo of the batch script.
	head string
	// setup and results are lines of the batch script, before the first run and after the last.
	setup, results string
	// play makes the log of a launch and says where its figures come from. The error is what the launch fails with.
	play func(s *Spec, q Query) ([]chunk, Basis, error)
}

// errNoApplication says that a pod runs something that cannot be played.
var errNoApplication = errors.New("nothing is known of this application")

// applicationOf knows the applications.
func applicationOf(s *Spec) (application, error) {
	switch s.Name {
	case "hpcg":
		return application{
			command: "/opt/hpcg/xhpcg", play: playHPCG,
			head:    fmt.Sprintf("\n\n%d %d %d\n%d\n", s.Local[0], s.Local[1], s.Local[2], s.Seconds),
			results: "echo \"FLUX-RESULTS START\"\ncat hpcg*.txt\necho \"HPCG-BENCHMARKS\"\ncat HPCG-Benchmark*.txt\necho \"FLUX-RESULTS END\"\n",
		}, nil
	case "stream":
		return application{command: "/opt/stream/stream", play: playStream, setup: s.streamSetup()}, nil
	}
	return application{}, fmt.Errorf("%w: %s=%q, and sim plays hpcg and stream alone", errNoApplication, envApp, s.Name)
}

func playHPCG(s *Spec, q Query) ([]chunk, Basis, error) {
	basis, err := BasisOf(q)
	if err != nil {
		return nil, basis, err
	}
	s.Note, s.Runs = basis.Rule, basis.Draw(s.Seed, s.Iterations)
	chunks, err := s.chunks()
	return chunks, basis, err
}
