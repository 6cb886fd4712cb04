package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/application/stream"
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

// ParserFor returns the parser of that name.
func ParserFor(name string) (Parser, error) {
	for _, p := range parsers() {
		if p.Name() == name {
			return p, nil
		}
	}
	var known []string
	for _, p := range parsers() {
		known = append(known, p.Name())
	}
	sort.Strings(known)
	return nil, fmt.Errorf("no parser is named %q: there are %s; name one in the study's field parser", name, strings.Join(known, ", "))
}

// parsers lists the applications whose logs can be read. A new one is added here.
func parsers() []Parser { return []Parser{hpcg.Parser{}, stream.Parser{}} }

// ParseFile parses a log file.
func ParseFile(p Parser, file string, iterations int) (*Outcome, error) {
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
