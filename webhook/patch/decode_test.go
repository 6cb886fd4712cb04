package patch

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	kjson "sigs.k8s.io/json"
)

// FuzzDecode compares with the API server's own decoder: the same objects are accepted and read the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"name":"p","generateName":"g-","namespace":"n","labels":{"a":"b"},"annotations":null,"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"j","uid":"u","controller":true}]},"spec":{"nodeSelector":{"c":"d"},"containers":[{"name":"x","image":"y","env":[1]}],"initContainers":[null]}}`,
		`{"spec":{"pod":{"nodeSelector":{},"annotations":{"a":null}},"flux":{"container":{"image":"i"},"x":1e9}}}`,
		`{"spec":null,"metadata":null}`, `{"Spec":{},"spec":{"pod":null}}`, `null`, `[]`, `{"spec":{},"spec":{}}`, `{"metadata":{"labels":{"a":"b","a":"c"}}}`,
		`{"metadata":{"ownerReferences":[{"controller":null}]}}`, `{"metadata":{"labels":7}}`, `{"spec":{"containers":{}}}`,
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, isPod bool) {
		kind := MiniCluster
		if isPod {
			kind = Pod
		}
		want := &Object{Kind: kind}
		strict, wantErr := kjson.UnmarshalStrict(raw, want, kjson.DisallowDuplicateFields)
		wantErr = errors.Join(append(strict, wantErr)...)
		got, err := Decode(kind, raw)
		if err != nil && strings.Contains(err.Error(), "nested too deep") {
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v; the API server's decoder: %v", raw, err, wantErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q: %s", raw, diff)
		}
	})
}
