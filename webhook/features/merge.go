package features

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// typeRows is what is known of a type: its cached row, its live nodes, or both.
type typeRows struct {
	name   string
	cached *Candidate
	live   *liveType
	// nodes has a row for every node, by variant, when nodes are told apart by name.
	nodes map[*variant][]Candidate
}

// nodesByVariant lists all live nodes, those of a variant by name.
func (x *Index) nodesByVariant() map[*variant][]Candidate {
	out := map[*variant][]Candidate{}
	for _, name := range slices.Sorted(maps.Keys(x.nodes)) {
		p := x.nodes[name]
		row := liveRow(p.typ.name, p.variant)
		row.Labels = p.labels()
		out[p.variant] = append(out[p.variant], row)
	}
	return out
}

// liveRow is the row of a variant: that of its first node that the object can use, if they are told apart. complete, if not nil, adds
// to a row what the node does not show.
func (t *typeRows) liveRow(v *variant, complete func(Candidate) Candidate, excludes func(Candidate) string) Candidate {
	for _, row := range t.nodes[v] {
		if complete != nil {
			row = complete(row)
		}
		if excludes(row) == "" {
			return row
		}
	}
	row := liveRow(t.name, v)
	if complete != nil {
		row = complete(row)
	}
	return row
}

// completed fills the labels that were not discovered on a node from the cached row of its type; the node's own stay. Nil when none is
// missing.
func completed(cached *Candidate, missing []string) func(Candidate) Candidate {
	if len(missing) == 0 {
		return nil
	}
	return func(row Candidate) Candidate {
		row.Labels = maps.Clone(row.Labels)
		for _, l := range missing {
			row.Labels[l] = cached.Labels[l]
		}
		row.Architecture = row.Labels[compat.LabelArch]
		row.Note = cachedUsed(absent(missing))
		return row
	}
}

func cachedUsed(why []string) string {
	return fmt.Sprintf("cached labels used: on the live node %s", strings.Join(why, "; "))
}

func absent(labels []string) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = l + " is absent"
	}
	return out
}

// merge chooses between a type's cached row and its live variants.
func (t *typeRows) merge(domain Domain, excludes func(Candidate) string) Candidate {
	cached, live := t.cached, t.live
	if live == nil {
		return *cached
	}
	variants := live.sorted()
	var why []string
	var judged *Candidate // the first that the domain knows, though the object cannot use it
	for _, v := range variants {
		row := t.liveRow(v, nil, excludes)
		bad := unusable(v, cached, domain)
		if len(bad) == 0 {
			reason := ""
			if excludes != nil {
				reason = excludes(row)
			}
			if reason == "" {
				return row
			}
			if judged == nil {
				judged = &row
			}
			bad = []string{reason}
		}
		if why == nil {
			why = bad
		}
	}
	if cached != nil {
		row := stand(cached, live, why)
		if judged == nil || excludes(row) == "" {
			return row
		}
	}
	if judged != nil {
		return *judged
	}
	return liveRow(t.name, variants[0])
}

// machines lists the live variants of a type that an object can use, or else its cached row, or else all variants.
func (t *typeRows) machines(needs []string, excludes func(Candidate) string) []Candidate {
	cached, live := t.cached, t.live
	if live == nil {
		return []Candidate{*cached}
	}
	var all, usable []Candidate
	for _, v := range live.sorted() {
		row := t.liveRow(v, completed(cached, undiscovered(v, cached, needs)), excludes)
		all = append(all, row)
		if excludes == nil || excludes(row) == "" {
			usable = append(usable, row)
		}
	}
	switch {
	case len(usable) > 0:
		return usable
	case cached != nil && excludes != nil:
		if row := stand(cached, live, []string{excludes(all[0])}); excludes(row) == "" {
			return []Candidate{row}
		}
	}
	return all
}

// stand is the cached row in the place of live nodes: what they take and give is known from them.
func stand(cached *Candidate, live *liveType, why []string) Candidate {
	row := *cached
	row.Note = cachedUsed(why)
	for i, v := range live.sorted() {
		for _, topology := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
			if where := v.labels[topology]; where != "" && row.Labels[topology] == "" {
				row.Labels = maps.Clone(row.Labels)
				row.Labels[topology] = where
			}
		}
		if i == 0 || len(v.taints) < len(row.Taints) {
			row.Taints = v.taints
		}
		if row.Allocatable == nil {
			row.Allocatable = v.allocatable
		}
	}
	return row
}

// undiscovered lists the needed labels that a type has in the catalogue and this variant of its nodes has not.
func undiscovered(v *variant, cached *Candidate, needs []string) []string {
	if cached == nil {
		return nil
	}
	var missing []string
	for _, l := range append([]string{compat.LabelArch}, needs...) {
		if _, has := v.labels[l]; !has && cached.Labels[l] != "" {
			missing = append(missing, l)
		}
	}
	return missing
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
	return Candidate{InstanceType: name, Architecture: v.labels[compat.LabelArch], Labels: v.labels, Live: true, Taints: v.taints, Allocatable: v.allocatable}
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

// lasting keeps the taints that a node has for what it is, without those for the state it is in.
func lasting(taints []corev1.Taint) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range taints {
		if t.Effect == corev1.TaintEffectPreferNoSchedule || passing(t.Key) {
			continue
		}
		out = append(out, corev1.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect})
	}
	slices.SortFunc(out, func(a, b corev1.Taint) int { return strings.Compare(a.ToString(), b.ToString()) })
	return out
}

// passing tells the taints by which the node controller, cloud providers and autoscalers mark a node for a while.
func passing(key string) bool {
	for _, prefix := range []string{"node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "node.cilium.io/agent-not-ready", "ebs.csi.aws.com/agent-not-ready"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
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

// undeclared tells labels that nodes are not told apart by, but could be.
func (x *Index) undeclared(label string) bool {
	return label != x.identity && label != corev1.LabelHostname && !x.distinguishes(label)
}

// featureKey digests the labels and the taints that distinguish a node.
func (x *Index) featureKey(labels map[string]string, taints []corev1.Taint) digest {
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
	for _, t := range taints {
		h.Write([]byte("\x00" + t.ToString()))
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
	unknown := slices.ContainsFunc(labels, x.undeclared)
	x.mu.RUnlock()
	if !unknown {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range labels {
		if x.undeclared(l) && len(x.declared) < maxDeclared {
			x.declared[l] = true
		}
	}
	for name, p := range x.nodes {
		x.put(p.typ.name, Node{Name: name, Labels: p.labels(), Taints: p.variant.taints, Allocatable: p.variant.allocatable})
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
