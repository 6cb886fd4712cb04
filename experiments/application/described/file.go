// Package described is for applications that a file describes: how they are launched, how their log is read, how they are rehearsed.
package described

import (
	"fmt"
	"regexp"

	"github.com/compspec/ocifit-lab/provision/yamlfile"
)

// APIVersion is the schema version of application files.
const APIVersion = "ocifit-lab/v1alpha1"

// Direction says which values of a figure are better.
type Direction string

// The directions. None is for a figure that tells of the problem or of correctness, not of speed.
const (
	Higher Direction = "higher"
	Lower  Direction = "lower"
	None   Direction = "none"
)

// Combine says what becomes of several values of a figure in one iteration.
type Combine string

// The ways to combine. Each is for programs that run several times, side by side or one after another, where no marker parts them.
const (
	Last  Combine = "last"
	First Combine = "first"
	Sum   Combine = "sum"
	Mean  Combine = "mean"
	Min   Combine = "min"
	Max   Combine = "max"
	Each  Combine = "each"
)

// File is an application file.
type File struct {
	// APIVersion is always ocifit-lab/v1alpha1.
	APIVersion string `yaml:"apiVersion" json:"apiVersion"`
	// Name is the application's: lower-case letters, digits and dashes.
	Name string `yaml:"name" json:"name"`
	// Description says in a sentence what the application computes.
	Description string `yaml:"description" json:"description"`
	// URL is where the application and the format of its output are documented.
	URL string `yaml:"url" json:"url,omitempty"`

	Launch    Launch    `yaml:"launch" json:"launch,omitzero"`
	Log       Log       `yaml:"log" json:"log"`
	Rehearsal Rehearsal `yaml:"rehearsal" json:"rehearsal,omitzero"`

	name  string
	lines map[string]int
	log   *compiled
}

// Launch is how a trial of the application is started.
type Launch struct {
	// Chart is where the Helm chart comes from, as in a study; empty is the chart that ships for any application.
	Chart string `yaml:"chart" json:"chart,omitempty"`
	// Command is what flux run starts.
	Command string `yaml:"command" json:"command,omitempty"`
	// Setup is shell before the first run.
	Setup string `yaml:"setup" json:"setup,omitempty"`
	// Values are chart values beside those that every trial has.
	Values map[string]any `yaml:"values" json:"values,omitempty"`
	// Images are container images that have the command, by architecture; in a study the artifact names the images.
	Images map[string]string `yaml:"images" json:"images,omitempty"`
	// Policies are the task counts that make sense, in the words of a study's arm.
	Policies []string `yaml:"policies" json:"policies,omitempty"`
}

// Log is how the log is read. Patterns are Go regular expressions for one line; {number} in them is the number to take.
type Log struct {
	// Parser is the name of a parser in the program, for what patterns cannot say; nothing else is given then but figures' names.
	Parser string `yaml:"parser" json:"parser,omitempty"`
	// Begin is the first line of an iteration, where the launcher printed no marker.
	Begin      string      `yaml:"begin" json:"begin,omitempty"`
	Require    []Line      `yaml:"require" json:"require,omitempty"`       // lines without which an iteration is not complete
	Forbid     []Line      `yaml:"forbid" json:"forbid,omitempty"`         // lines that no good iteration has
	Figures    []Figure    `yaml:"figures" json:"figures,omitempty"`       // numbers that the application prints
	Primary    []string    `yaml:"primary" json:"primary,omitempty"`       // figures; the first that the whole log has is the figure of merit
	Parameters []Parameter `yaml:"parameters" json:"parameters,omitempty"` // settings of the run that the log shows
	Agree      []Agreement `yaml:"agree" json:"agree,omitempty"`           // what must hold between figures of an iteration
}

// Line is a line to look for.
type Line struct {
	Pattern string `yaml:"pattern" json:"pattern"`       // of the line
	Means   string `yaml:"means" json:"means,omitempty"` // for the person who reads why a log does not count
}

// Figure is a number that the application prints.
type Figure struct {
	Name        string             `yaml:"name" json:"name"`                         // lower-case letters, digits and underscores
	Description string             `yaml:"description" json:"description,omitempty"` // what it is, for reports
	Unit        string             `yaml:"unit" json:"unit,omitempty"`               // in which it is recorded
	Units       map[string]float64 `yaml:"units" json:"units,omitempty"`             // factors for the other units that a group named unit may catch
	Direction   Direction          `yaml:"direction" json:"direction"`               // which values are better; none for what tells of the problem or of correctness
	Pattern     string             `yaml:"pattern" json:"pattern,omitempty"`         // of the line, with {number}
	Table       Table              `yaml:"table" json:"table,omitzero"`              // instead of a pattern
	Combine     Combine            `yaml:"combine" json:"combine,omitempty"`         // what becomes of several values in one iteration; last when empty
	Optional    bool               `yaml:"optional" json:"optional,omitempty"`       // a complete log may lack it
}

// Table is a table of numbers, with a line of headers. The first column is the key of a row.
type Table struct {
	Header string `yaml:"header" json:"header"`     // the line of headers; columns are parted by two blanks or more
	Column string `yaml:"column" json:"column"`     // the header of the wanted column
	Row    string `yaml:"row" json:"row,omitempty"` // the key of the wanted row; empty is every row
}

// Parameter is a setting of the run that is worth recording.
type Parameter struct {
	Name    string `yaml:"name" json:"name"`           // of the setting
	Pattern string `yaml:"pattern" json:"pattern"`     // its first group, or a group named value, is taken
	Same    bool   `yaml:"same" json:"same,omitempty"` // logs that differ in it are not compared
}

// Agreement is a figure that follows from others of the same iteration: a product over a product.
type Agreement struct {
	Figure string   `yaml:"figure" json:"figure"`       // the one that follows
	Times  []string `yaml:"times" json:"times"`         // figures, parameters or numbers
	Over   []string `yaml:"over" json:"over,omitempty"` // by what the product is divided
	Within float64  `yaml:"within" json:"within"`       // relative difference that printed digits allow
}

// Rehearsal is how sim makes a log. Nothing of it is a measurement.
type Rehearsal struct {
	// Output is what one iteration prints: {FIGURE} is a figure's value, {ranks}, {threads}, {nodes} and {iteration} what the launch has.
	Output  string           `yaml:"output" json:"output,omitempty"`
	Seconds float64          `yaml:"seconds" json:"seconds,omitempty"` // that one iteration takes
	Figures []RehearsalValue `yaml:"figures" json:"figures,omitempty"` // by which rule each figure is invented
}

// RehearsalValue is the rule for one invented figure.
type RehearsalValue struct {
	// Name is the figure's.
	Name string `yaml:"name" json:"name"`
	// Like is what the figure goes with: hpcg (the rating that HPCG would have, GFLOP/s), traffic (its memory traffic, GB/s), cores or
	// constant.
	Like    string  `yaml:"like" json:"like"`
	Factor  float64 `yaml:"factor" json:"factor"`             // by which that is multiplied
	Inverse bool    `yaml:"inverse" json:"inverse,omitempty"` // a time: the factor by it
	Spread  float64 `yaml:"spread" json:"spread,omitempty"`   // relative standard deviation between iterations
	Format  string  `yaml:"format" json:"format,omitempty"`   // as in fmt, %.6g when empty
}

// Error is one fault of an application file.
type Error = yamlfile.Error

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$`)

// figurePattern is for names that become keys of JSON and columns of tables.
var figurePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Load reads an application file. Every fault is reported, with file, line and field.
func Load(data []byte, file string) (*File, error) {
	f := &File{name: file}
	var err error
	if f.lines, err = yamlfile.Decode(data, file, f); err != nil {
		return nil, err
	}
	if len(f.lines) == 0 {
		return nil, &Error{File: file, Problem: "the file is empty: an application needs a name and a log"}
	}
	for i := range f.Log.Figures {
		if fig := &f.Log.Figures[i]; fig.Combine == "" {
			fig.Combine = Last
		}
	}
	if err := f.validate(); err != nil {
		return nil, err
	}
	return f, nil
}

// fault makes an error at the line of the field, or of the nearest field above it that the file has.
func (f *File) fault(field, format string, args ...any) error {
	return &Error{File: f.name, Field: field, Line: yamlfile.Line(f.lines, field), Problem: fmt.Sprintf(format, args...)}
}
