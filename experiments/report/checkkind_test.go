package report

import "testing"

// TestEveryOutcomeOfACheckHasWords keeps a new check from printing an empty phrase.
func TestEveryOutcomeOfACheckHasWords(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range checkKinds {
		if k.name == "" || seen[k.name] {
			t.Errorf("the name %q is empty or taken", k.name)
		}
		seen[k.name] = true
		if k.pass+k.note+k.limit+k.refuse == "" {
			t.Errorf("%s has no outcome", k.name)
		}
		if (k.limit == "") != (k.within == "") {
			t.Errorf("%s: limit %q and within %q belong together", k.name, k.limit, k.within)
		}
	}
}
