package store

import (
	"bufio"
	"errors"
	"os"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// What the store takes over from the applications.
type (
	Metric    = application.Metric
	Outcome   = application.Outcome
	Parser    = application.Parser
	Rejection = application.Rejection // also of a trial that does not count for a reason of the store's own
)

// MetricGFLOPS is the key of HPCG's figure of merit.
const MetricGFLOPS = application.MetricGFLOPS

// parseFile parses a log file.
func parseFile(p Parser, file string, iterations int) (*Outcome, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &Rejection{Reason: "no-log", Detail: "there is no log", Err: err}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return p.Parse(bufio.NewReaderSize(f, 64<<10), iterations)
}
