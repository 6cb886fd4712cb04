package ui

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0.0s",
		340 * time.Millisecond:   "0.3s",
		9940 * time.Millisecond:  "9.9s",
		9960 * time.Millisecond:  "10s",
		59600 * time.Millisecond: "1m00s",
		245 * time.Second:        "4m05s",
		2*time.Hour + 3*time.Minute + 4*time.Second: "2h03m",
		76 * time.Hour:   "3d04h",
		-3 * time.Second: "-3.0s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 10240: "10.0 KiB", 102400: "100 KiB",
		1024 * 1024: "1.00 MiB", 1024*1024 - 1: "1.00 MiB", 1610612736: "1.50 GiB", math.MaxInt64: "8.00 EiB", -2048: "-2.00 KiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestDollars(t *testing.T) {
	for _, tc := range []struct {
		usd  float64
		want string
	}{
		{0, "$0.00"},
		{0.5, "$0.50"},
		{0.3328, "$0.3328"},
		{0.125, "$0.125"},
		{0.00001, "<$0.0001"},
		{0.99999, "$1.00"},
		{1.699, "$1.70"},
		{999.999, "$1,000.00"},
		{1234567.891, "$1,234,567.89"},
		{-2.5, "-$2.50"},
		{math.NaN(), "unknown"},
		{math.Inf(1), "unknown"},
	} {
		if got := Dollars(tc.usd); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.usd, got, tc.want)
		}
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	err := Table(&b, []string{"ARM", "TRIALS", "MEAN", "COST", "NOTE"}, [][]string{
		{"fom-model", "30", "36.2", "$1,250.00", "one\nline"},
		{"größer", "7", "-", "$0.50"},
		{"日本", "", "2.41", "", "\x1b[31mred"},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.String())
	b.Reset()
	if err := Table(&b, []string{"A", "B"}, nil); err != nil || b.String() != "A  B\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, map[string]any{"image": "<none>"}); err != nil || b.String() != "{\n  \"image\": \"<none>\"\n}\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	if err := JSON(&b, math.NaN()); err == nil {
		t.Error("NaN has no JSON")
	}
}
