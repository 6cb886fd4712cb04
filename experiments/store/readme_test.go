package store_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/store"
)

// TestReadmeNamesEveryField keeps the description of the files whole.
func TestReadmeNamesEveryField(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{store.Trial{}, store.Node{}, store.Phases{}, store.Seconds{}, store.Info{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(data), "`"+name+"`") {
				t.Errorf("%s: field %s is not described", typ.Name(), name)
			}
		}
	}
}
