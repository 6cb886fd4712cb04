package study

import (
	"encoding/json"

	"github.com/compspec/ocifit-lab/provision/yamlfile"
)

// Error is one fault of a study file.
type Error = yamlfile.Error

// Load reads a study. Unknown and repeated fields, wrong types and impossible settings are errors that name the file, the line and
// the field; all of them are reported at once. Fields that the file leaves out get their defaults.
func Load(data []byte, file string) (*Study, error) {
	s := &Study{file: file}
	var err error
	if s.lines, err = yamlfile.Decode(data, file, s); err != nil {
		return nil, err
	}
	if len(s.lines) == 0 {
		return nil, &Error{File: file, Problem: "the file is empty: a study needs a name and arms"}
	}
	s.setDefaults()
	if err := s.describe(); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if _, err := json.Marshal(s); err != nil {
		return nil, &Error{File: file, Field: "values", Problem: "cannot be chart values: " + err.Error()}
	}
	return s, nil
}
