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
}

// byFeatures finds the image for the machines that the pod may meet. They need not be alike, but must agree in the
// image: the pod goes wherever its node selector allows. The selection adds nothing to the selector.
func (d *Decider) byFeatures(o *patch.Object, a *artifact.Artifact) *selection {
	key := cacheKey{features: a.Features, selector: fullSelectorKey(o.NodeSelector())}
	return d.cached(key, func() *selection {
		rows := d.cfg.Features.Matching(o.NodeSelector(), a.Features.Labels())
		skipped := 0
		rows = slices.DeleteFunc(rows, func(c features.Candidate) bool {
			skip := slices.Contains(d.cfg.Skip, c.InstanceType)
			if skip {
				skipped++
			}
			return skip
		})
		s := &selection{machines: machines(a.Features, rows)}
		if s.err = disagreement(s.machines, skipped, o.NodeSelector(), d.cfg.Features.Identity()); s.err != nil {
			return s
		}
		first := s.machines[0]
		s.decision = compat.Decision{
			Direction: compat.ByFeatures, Image: first.Image, Weight: &first.Weight, InstanceType: first.InstanceType, Architecture: first.Architecture,
			ArtifactRef: a.Reference, ArtifactDigest: a.Digest, CatalogueHash: d.cfg.Features.Hash(), Candidates: len(rows),
		}
		for _, m := range s.machines[1:] {
			if m.InstanceType != first.InstanceType {
				s.decision.InstanceType = ""
			}
			if m.Architecture != first.Architecture {
				s.decision.Architecture = ""
			}
		}
		return s.finish()
	})
}

func machines(spec *compat.Features, rows []features.Candidate) []Machine {
	out := make([]Machine, 0, len(rows))
	for _, c := range rows {
		m := Machine{InstanceType: c.InstanceType, Architecture: c.Architecture, Live: c.Live}
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
			have := l.Have
			if !l.Present {
				have = "no such label"
			}
			out = append(out, fmt.Sprintf("%s wants %s %s %s, there is %s", l.Tag, l.Label, l.Op, strings.Join(l.Values, ","), have))
			break
		}
		if len(out) == most {
			break
		}
	}
	return out
}

// disagreement denies when there is no machine, one without image, or more than one image.
func disagreement(list []Machine, skipped int, selector map[string]string, identity string) error {
	if len(list) == 0 {
		text := "no node and no type of the catalogue has what the node selector wants"
		if len(selector) == 0 {
			text = "no node is live and the catalogue is empty"
		}
		if skipped > 0 {
			text += fmt.Sprintf(" (%d on the skip list)", skipped)
		}
		return deny(ReasonNoCandidate, http.StatusUnprocessableEntity, "%s; change the selector, or add nodes or types", text)
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
		types := byImage[image]
		if len(types) > 4 {
			types = append(types[:4:4], fmt.Sprintf("%d more", len(types)-4))
		}
		parts = append(parts, fmt.Sprintf("%s for %s", image, strings.Join(types, ", ")))
	}
	return deny(ReasonAmbiguous, http.StatusUnprocessableEntity,
		"the machines that the pod may meet need different images: %s; add a node selector, e.g. %s: %s", strings.Join(parts, "; "), identity, list[0].InstanceType)
}
