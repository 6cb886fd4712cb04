package admit

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/patch"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Machine is one kind of machine that a pod may meet, and what the specification has for it.
type Machine struct {
	InstanceType string `json:"instanceType"`
	Architecture string `json:"architecture,omitempty"`
	Live         bool   `json:"live"`
	// Image is empty when no entry fits.
	Image  string `json:"image,omitempty"`
	Weight int    `json:"weight"`
	// Why says for a machine without image what stood in the way, by entry.
	Why []string `json:"why,omitempty"`
	// Note says why the catalogue's labels were used although a node of the type runs.
	Note string `json:"note,omitempty"`
}

// byFeatures finds the image for the machines that the pod may meet: of every type that its own requirements and the
// skip list leave, the live nodes or else the catalogue's row. They need not be alike, but must agree in the image: the
// pod goes wherever its requirements allow. The selection adds nothing to the node selector.
func (d *Decider) byFeatures(o *patch.Object, a *artifact.Artifact) *selection {
	return d.cached(cacheKey{features: a.Features, scheduling: o.SchedulingKey()}, func() *selection {
		j, err := d.judge(o, true)
		if err != nil {
			return &selection{err: err}
		}
		rows := d.cfg.Features.Machines(a.Features.Labels(), j.Excludes, j.Requirements.Labels())
		left := leftovers{known: len(rows)}
		rows = slices.DeleteFunc(rows, func(c features.Candidate) bool { return left.takes(d.cfg.Skip, c, j.Excludes) })
		s := &selection{machines: machines(a.Features, rows)}
		if s.err = disagreement(s.machines, left, d.cfg.Features.Identity()); s.err != nil {
			return s
		}
		first := s.machines[0]
		s.decision = compat.Decision{
			Direction: compat.ByFeatures, Image: first.Image, Weight: &first.Weight, InstanceType: first.InstanceType, Architecture: first.Architecture,
			ArtifactRef: a.Reference, ArtifactDigest: a.Digest, CatalogueHash: d.cfg.Features.Hash(), Candidates: len(rows),
			Skipped: left.skipped, LeftOut: left.out,
		}
		for _, m := range s.machines {
			if m.InstanceType != first.InstanceType {
				s.decision.InstanceType = ""
			}
			if m.Architecture != first.Architecture {
				s.decision.Architecture = ""
			}
			if m.Note != "" {
				s.decision.Cached = append(s.decision.Cached, compat.LeftOut{InstanceType: m.InstanceType, Reason: m.Note})
			}
		}
		return s.finish()
	})
}

// leftovers are the types that take no part.
type leftovers struct {
	known   int
	skipped []string
	out     []compat.LeftOut
}

// takes reports whether a machine takes no part, and writes down why.
func (l *leftovers) takes(skip []string, c features.Candidate, excludes func(features.Candidate) string) bool {
	if slices.Contains(skip, c.InstanceType) {
		if !slices.Contains(l.skipped, c.InstanceType) {
			l.skipped = append(l.skipped, c.InstanceType)
		}
		return true
	}
	reason := excludes(c)
	if reason != "" {
		l.out = append(l.out, compat.LeftOut{InstanceType: c.InstanceType, Reason: reason})
	}
	return reason != ""
}

func machines(spec *compat.Features, rows []features.Candidate) []Machine {
	out := make([]Machine, 0, len(rows))
	for _, c := range rows {
		m := Machine{InstanceType: c.InstanceType, Architecture: c.Architecture, Live: c.Live, Note: c.Note}
		if best, ok := spec.Best(c.Labels); ok {
			m.Image, m.Weight = best.Tag, best.Weight
		} else {
			m.Why = why(spec, c.Labels)
		}
		out = append(out, m)
	}
	return out
}

// why names, for each entry, the first expressions that do not hold.
func why(spec *compat.Features, labels map[string]string) []string {
	const most = 8
	var out []string
	for i := range spec.Entries {
		for _, l := range spec.Entries[i].Check(labels) {
			if l.OK {
				continue
			}
			want := fmt.Sprintf("%s %s", l.Label, l.Op)
			if len(l.Values) > 0 {
				want += " " + strings.Join(l.Values, ",")
			}
			have := "it is " + l.Have
			if !l.Present {
				have = "there is no such label"
			}
			out = append(out, fmt.Sprintf("%s wants %s, but %s", l.Tag, want, have))
			break
		}
		if len(out) == most {
			break
		}
	}
	return out
}

// nothing says why no machine is left.
func (l *leftovers) nothing() error {
	if l.known == 0 {
		return deny(ReasonNoCandidate, http.StatusUnprocessableEntity, "no node is live and the catalogue is empty; add nodes to the cluster or types to the catalogue of node features")
	}
	text := fmt.Sprintf("of %d machines known none is left that the pod may meet", l.known)
	var advice []string
	if n := len(l.skipped); n > 0 {
		text += fmt.Sprintf(", %d types on the skip list (%s)", n, predict.Few(l.skipped))
		advice = append(advice, "shorten the skip list")
	}
	if len(l.out) > 0 {
		text += ", " + requirements(l.out)
		advice = append(advice, "loosen what the pod requires")
	}
	return deny(ReasonNoCandidate, http.StatusUnprocessableEntity, "%s; %s, or add nodes or types", text, strings.Join(advice, ", "))
}

// disagreement denies when there is no machine, one without image, or more than one image.
func disagreement(list []Machine, left leftovers, identity string) error {
	if len(list) == 0 {
		return left.nothing()
	}
	byImage := map[string][]string{}
	for _, m := range list {
		if m.Image == "" {
			return deny(ReasonNoCandidate, http.StatusUnprocessableEntity,
				"no image of the specification fits %s (%s); add an entry for it, or a node selector that avoids it", m.InstanceType, strings.Join(m.Why, "; "))
		}
		if !slices.Contains(byImage[m.Image], m.InstanceType) {
			byImage[m.Image] = append(byImage[m.Image], m.InstanceType)
		}
	}
	if len(byImage) == 1 {
		return nil
	}
	var parts []string
	for _, image := range slices.Sorted(maps.Keys(byImage)) {
		parts = append(parts, fmt.Sprintf("%s for %s", image, predict.Few(byImage[image])))
	}
	return deny(ReasonAmbiguous, http.StatusUnprocessableEntity,
		"the machines that the pod may meet need different images: %s; add a node selector, e.g. %s: %s", strings.Join(parts, "; "), identity, list[0].InstanceType)
}
