package features

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// merge chooses between a type's cached row and its live variants.
func merge(name string, cached *Candidate, live *liveType, domain Domain) Candidate {
	if live == nil {
		return *cached
	}
	variants := live.sorted()
	var why []string
	for _, v := range variants {
		bad := unusable(v, cached, domain)
		if len(bad) == 0 {
			return liveRow(name, v)
		}
		if why == nil {
			why = bad
		}
	}
	if cached == nil {
		return liveRow(name, variants[0])
	}
	row := *cached
	row.Note = fmt.Sprintf("cached labels used: on the live node %s", strings.Join(why, "; "))
	return row
}

// sorted lists the variants, the one with the most nodes first.
func (lt *liveType) sorted() []*variant {
	variants := make([]*variant, 0, len(lt.variants))
	for _, v := range lt.variants {
		variants = append(variants, v)
	}
	if len(variants) > 1 {
		slices.SortFunc(variants, func(a, b *variant) int {
			return cmp.Or(cmp.Compare(b.nodes, a.nodes), bytes.Compare(a.key[:], b.key[:]))
		})
	}
	return variants
}

func liveRow(name string, v *variant) Candidate {
	return Candidate{InstanceType: name, Architecture: v.labels[compat.LabelArch], Labels: v.labels, Live: true}
}

// unusable says why a live variant cannot stand for its type.
func unusable(v *variant, cached *Candidate, domain Domain) []string {
	var bad []string
	if domain != nil {
		bad = domain.OutOfDomain(v.labels)
	}
	if v.labels[compat.LabelArch] == "" && cached != nil && cached.Architecture != "" {
		bad = append(bad, compat.LabelArch+" is absent")
	}
	return bad
}

// digest identifies the features of a node.
type digest [sha256.Size]byte

// anyFeature starts the labels of all features, those of Node Feature Discovery and a site's own.
const anyFeature = "feature.node."

// maxDeclared bounds the labels that specifications and models may declare beside the features.
const maxDeclared = 1024

// distinguishes reports whether a label tells machines of a type apart: a discovered feature, the architecture, or
// what a specification or a model declared an interest in; never a node's name, zone or age by itself.
func (x *Index) distinguishes(label string) bool {
	return strings.HasPrefix(label, anyFeature) || label == compat.LabelArch || x.declared[label]
}

// featureKey digests the labels that distinguish a node.
func (x *Index) featureKey(labels map[string]string) digest {
	var buffer [128]string
	keys := buffer[:0]
	for k := range labels {
		if x.distinguishes(k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	h := sha256.New()
	var line []byte
	for _, k := range keys {
		line = append(append(append(append(line[:0], k...), '='), labels[k]...), '\n')
		h.Write(line)
	}
	var d digest
	h.Sum(d[:0])
	return d
}

// declare makes labels count when nodes are told apart. New ones cost one look at every node; a label beyond the
// limit is told apart by the node that was seen first. The reserve is meant for mistakes: real specifications
// declare a dozen.
func (x *Index) declare(labels []string) {
	x.mu.RLock()
	unknown := slices.ContainsFunc(labels, func(l string) bool { return !x.distinguishes(l) && l != x.identity })
	x.mu.RUnlock()
	if !unknown {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range labels {
		if l != x.identity && !x.distinguishes(l) && len(x.declared) < maxDeclared {
			x.declared[l] = true
		}
	}
	for name, p := range x.nodes {
		x.put(name, p.typ.name, p.labels())
	}
}

// differences lists how labels differ from those of the variant's first node: a name, a zone, seldom more.
func differences(labels, base map[string]string) []override {
	var out []override
	for k, v := range labels {
		if have, ok := base[k]; !ok || have != v {
			out = append(out, override{key: k, value: v})
		}
	}
	if len(labels)-len(out) == len(base) {
		return slices.Clip(out)
	}
	for k := range base {
		if _, ok := labels[k]; !ok {
			out = append(out, override{key: k, absent: true})
		}
	}
	return slices.Clip(out)
}

// labels puts a node's labels together again.
func (p nodeEntry) labels() map[string]string {
	out := maps.Clone(p.variant.labels)
	for _, o := range p.overrides {
		if o.absent {
			delete(out, o.key)
		} else {
			out[o.key] = o.value
		}
	}
	return out
}

// label is one of a node's labels.
func (p nodeEntry) label(key string) (string, bool) {
	for _, o := range p.overrides {
		if o.key == key {
			return o.value, !o.absent
		}
	}
	v, ok := p.variant.labels[key]
	return v, ok
}

// Matching returns the machines that a pod with the given node selector may meet, one row for each way in which they
// differ in the declared labels: live nodes, or, when no live node has what the selector wants, the catalogue's types.
func (x *Index) Matching(selector map[string]string, declared []string) []Candidate {
	x.declare(declared)
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []Candidate
	if x.decidesByVariant(selector) {
		for name, lt := range x.types {
			for _, v := range lt.variants {
				if selects(selector, inMap(v.labels)) {
					out = append(out, liveRow(name, v))
				}
			}
		}
	} else {
		seen := map[*variant]bool{}
		for _, p := range x.nodes {
			if !seen[p.variant] && selects(selector, p.label) {
				seen[p.variant] = true
				out = append(out, liveRow(p.typ.name, p.variant))
			}
		}
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.InstanceType, b.InstanceType), cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)))
	})
	if len(out) > 0 {
		return out
	}
	for _, row := range x.catalogue.Rows() {
		if selects(selector, inMap(row.Labels)) {
			out = append(out, row)
		}
	}
	return out
}

// decidesByVariant reports whether all nodes of a variant agree in what the selector wants.
func (x *Index) decidesByVariant(selector map[string]string) bool {
	for k := range selector {
		if k != x.identity && !x.distinguishes(k) {
			return false
		}
	}
	return true
}

func selects(selector map[string]string, label func(string) (string, bool)) bool {
	for k, want := range selector {
		if have, ok := label(k); !ok || have != want {
			return false
		}
	}
	return true
}

func inMap(labels map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) { v, ok := labels[key]; return v, ok }
}
