package compat

import (
	"encoding/json"
	"fmt"
)

// Decision is the record of one selection: what was asked, what was chosen among what, and why. The webhook
// writes it as JSON into AnnotationDecision; the trial runner keeps it.
type Decision struct {
	// Model is the arm that was asked for (AnnotationModel); empty for a selection by features.
	Model string `json:"model"`
	// Direction is that of the model, or ByFeatures.
	Direction Direction `json:"direction"`

	// InstanceType and Architecture are those of the chosen type. A selection by features chooses no type: they are
	// then those that all nodes which the pod may meet have in common, or empty.
	InstanceType string `json:"instanceType"`
	Architecture string `json:"architecture"`
	// Image is what replaces the target image.
	Image string `json:"image"`

	// Score of the chosen type, in the model's unit; absent for a random draw.
	Score *float64 `json:"score,omitempty"`
	// Objective is what was made best, and within which bounds, where it is not the model's own figure (AnnotationObjective); Value is what
	// it compared, where it is not the score.
	Objective string   `json:"objective,omitempty"`
	Value     *float64 `json:"value,omitempty"`
	// RunnerUp is the best type with a strictly worse score; absent when there is none.
	RunnerUp *RunnerUp `json:"runnerUp,omitempty"`
	// Tied lists the types that share the best score, the chosen one among them, in catalogue order. One entry
	// means that nothing tied; empty for a random draw.
	Tied []string `json:"tied,omitempty"`
	// TieBreak is the rule that chose among Tied: "price" or "first".
	TieBreak string `json:"tieBreak,omitempty"`
	// Seed of the random draw.
	Seed *uint64 `json:"seed,omitempty"`

	ArtifactRef    string `json:"artifactRef"`
	ArtifactDigest string `json:"artifactDigest"`
	// CatalogueHash identifies the cached node features that were read.
	CatalogueHash string `json:"catalogueHash,omitempty"`

	// Server is the model server that chose; empty when the webhook did.
	Server string `json:"server,omitempty"`
	// Weight of the entry that a selection by features found.
	Weight *int `json:"weight,omitempty"`
	// Candidates counts the types that took part: scored, or in the draw; for a selection by features, the kinds of
	// machines that the pod may meet.
	Candidates int `json:"candidates"`
	// OutOfDomain lists the types left out because the model does not know one of their labels.
	OutOfDomain []LeftOut `json:"outOfDomain,omitempty"`
	// Skipped lists the types left out by the skip list.
	Skipped []string `json:"skipped,omitempty"`
	// LeftOut lists the types left out for another reason: no image for the architecture, the object's own
	// node selector.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// Cached lists the types whose cached labels were used although a node of the type is live.
	Cached []LeftOut `json:"cached,omitempty"`
	// Notes say what else a reader should know, e.g. that the artifact comes from the cache.
	Notes []string `json:"notes,omitempty"`
	// Omitted counts what Annotation cut from a list, by the list's JSON name.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// RunnerUp is the second best type.
type RunnerUp struct {
	InstanceType string  `json:"instanceType"`
	Score        float64 `json:"score"`
}

// LeftOut is a type and the reason why it, or its live labels, did not take part.
type LeftOut struct {
	InstanceType string `json:"instanceType"`
	Reason       string `json:"reason"`
}

// annotationList bounds each list in the annotation: an object's annotations share 256 KiB.
const annotationList = 64

// Annotation encodes the decision for AnnotationDecision. Lists longer than 64 entries are cut, and Omitted
// says by how many.
func (d Decision) Annotation() (string, error) {
	cut := make(map[string]int)
	d.Tied = clip(cut, "tied", d.Tied)
	d.OutOfDomain = clip(cut, "outOfDomain", d.OutOfDomain)
	d.Skipped = clip(cut, "skipped", d.Skipped)
	d.LeftOut = clip(cut, "leftOut", d.LeftOut)
	d.Cached = clip(cut, "cached", d.Cached)
	d.Notes = clip(cut, "notes", d.Notes)
	if len(cut) > 0 {
		d.Omitted = cut
	}
	data, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encode the decision: %w", err)
	}
	return string(data), nil
}

// ParseDecision decodes what Annotation wrote.
func ParseDecision(annotation string) (*Decision, error) {
	var d Decision
	if err := json.Unmarshal([]byte(annotation), &d); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", AnnotationDecision, err)
	}
	return &d, nil
}

func clip[T any](cut map[string]int, name string, list []T) []T {
	if len(list) <= annotationList {
		return list
	}
	cut[name] = len(list) - annotationList
	return list[:annotationList]
}
