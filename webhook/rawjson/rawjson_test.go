package rawjson

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

var documents = []string{
	`{}`, ` [ ] `, `null`, `true`, `"x"`, `-1.5e+3`, `0`, `{"a":{"b":[1,2,{"c":null}]},"d":"é\u00e9\n\"\\\/"}`, "\"\xff\"", `"\ud800"`,
	``, ` `, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `01`, `-`, `1.`, `1e`, `.5`, `+1`, `nul`, `tru`, `"`, `"\x"`, `"\u12g4"`, "\"\n\"", `{} {}`, `{1:2}`, `'a'`,
	`{"a":"b","a":"c"}`, `{"a":null}`, `{"a":1}`, strings.Repeat("[", 20000),
}

// skip reads a whole document.
func skip(data []byte) error {
	r := New(data)
	if err := r.Skip(); err != nil {
		return err
	}
	return r.End()
}

// check compares with encoding/json: the same documents are valid, and values mean the same.
func check(t *testing.T, data []byte) {
	t.Helper()
	err := skip(data)
	if valid := json.Valid(data); valid != (err == nil) {
		t.Fatalf("%.200q: %v, but encoding/json says %v", data, err, valid)
	}
	if err != nil {
		return
	}
	raw, err := New(data).Raw()
	if err != nil || string(raw) != strings.Trim(string(data), " \t\r\n") {
		t.Fatalf("raw %q of %q, %v", raw, data, err)
	}
	var want map[string]string
	wantErr := json.Unmarshal(data, &want)
	got, err := New(data).StringMap()
	if err != nil && strings.Contains(err.Error(), "twice") {
		return
	}
	if (err == nil) != (wantErr == nil) || err == nil && (!maps.Equal(got, want) || (got == nil) != (want == nil)) {
		t.Fatalf("%q: %v, %v; encoding/json says %v, %v", data, got, err, want, wantErr)
	}
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	for _, d := range documents {
		check(t, []byte(d))
	}
}

func TestTwice(t *testing.T) {
	if _, err := New([]byte(`{"a":"b","\u0061":"c"}`)).StringMap(); err == nil || !strings.Contains(err.Error(), `"a" is there twice`) {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	for _, d := range documents[:len(documents)-1] {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
