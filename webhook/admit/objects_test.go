package admit

import (
	"fmt"
	"strings"
	"testing"
)

func TestExplainAll(t *testing.T) {
	d, _ := newDecider(t, nil)
	good := pod(map[string]string{"image-ref": ref, "model": "fom"}, "")
	inner := strings.TrimPrefix(strings.TrimSuffix(good, "}"), `{"kind":"Pod",`) + "}"
	bad := pod(map[string]string{"image-ref": ref, "model": "nobody"}, "")
	for name, c := range map[string]struct{ file, want string }{
		"one":          {good, "Pod selected"},
		"two":          {good + "\n---\n" + bad, "Pod selected, Pod denied"},
		"a BOM":        {"\ufeff" + good, "Pod selected"},
		"comments":     {"# nothing\n---\n" + good + "\n---\n", "Pod selected"},
		"a list":       {`{"kind":"List","apiVersion":"v1","items":[` + good + "," + bad + `]}`, "Pod selected, Pod denied"},
		"a Deployment": {`{"kind":"Deployment","metadata":{"name":"x","namespace":"n"},"spec":{"template":{` + inner + `}}`, "Pod selected"},
		"a CronJob":    {`{"kind":"CronJob","metadata":{"name":"x"},"spec":{"jobTemplate":{"spec":{"template":{` + inner + `}}}}`, "Pod selected"},
		"a ConfigMap":  {`{"kind":"ConfigMap","metadata":{"name":"x"}}`, "ConfigMap unchanged"},
	} {
		list, err := d.ExplainAll(t.Context(), []byte(c.file))
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprintf("%s %s", e.Kind, e.Result))
		}
		if strings.Join(got, ", ") != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "---\n", "x: 1", "[1]", "{"} {
		if _, err := d.ExplainAll(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%q was explained", bad)
		}
	}
}
