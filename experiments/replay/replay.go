// Package replay is the note that a replayed run leaves on its pod, so that nobody takes its figures for a measurement of today.
package replay

import (
	"encoding/json"
	"fmt"
	"time"
)

// Annotation is the pod annotation that holds the Note as JSON. Its presence alone means: no benchmark ran in this pod.
const Annotation = "sim.ocifit-lab/replay"

// The two values of Note.Source.
const (
	// Measured figures were drawn from published measurements of the same instance type, image tag and number of ranks.
	Measured = "measured"
	// Estimated figures were derived by the note's rule from the nearest published measurements.
	Estimated = "estimated"
)

// Note says where a replayed run's figures come from and how long the run took on the simulated clock.
type Note struct {
	// Simulated is always true.
	Simulated bool `json:"simulated"`
	// Source is Measured or Estimated.
	Source string `json:"source"`
	// Rule is a sentence: which measurements were drawn from, or by what rule the figures were estimated.
	Rule string `json:"rule"`
	// MeanError is how far the mean that the figures are drawn around may be from that of another occasion, as the standard deviation
	// of its logarithm; 0 is not known.
	MeanError float64 `json:"meanError,omitempty"`
	// Seed makes the same figures again.
	Seed uint64 `json:"seed"`
	// NodeStartSeconds is 0 when the pod came to a node that was there already.
	NodeStartSeconds float64 `json:"nodeStartSeconds"`
	// ImagePullSeconds is 0 when the node had the images.
	ImagePullSeconds float64 `json:"imagePullSeconds"`
	// RunSeconds is from the start of the container to its end.
	RunSeconds float64 `json:"runSeconds"`
	// Clock holds the moments of the run.
	Clock Clock `json:"clock"`
}

// Clock holds moments on the simulated clock, which starts at the real time and runs on by the simulated seconds,
// however fast they pass. A moment that is not known is the zero time and left out of the JSON.
type Clock struct {
	Created   time.Time `json:"created,omitzero"`
	NodeReady time.Time `json:"nodeReady,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
}

// Encode gives the note as the annotation's value; Simulated is set whatever n says.
func Encode(n Note) (string, error) {
	n.Simulated = true
	b, err := json.Marshal(n)
	if err != nil {
		return "", fmt.Errorf("encode the replay note: %w", err)
	}
	return string(b), nil
}

// Of reads the note from a pod's annotations. ok tells whether there is one.
func Of(annotations map[string]string) (n Note, ok bool, err error) {
	text, ok := annotations[Annotation]
	if !ok {
		return Note{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return Note{}, true, fmt.Errorf("annotation %s: %w", Annotation, err)
	}
	return n, true, nil
}
