package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// clock is a time that only the test moves.
type clock struct{ t time.Time }

func newClock() *clock                { return &clock{time.Date(2025, 7, 21, 0, 49, 0, 0, time.UTC)} }
func (c *clock) now() time.Time       { return c.t }
func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }
func (c *clock) option(o *options) {
	o.now = c.now
	o.tick = time.Hour
	o.ascii = false
	o.colour = false
}

func still(width, height int) Option {
	return func(o *options) { o.size = func() (int, int) { return width, height } }
}
func tick(r Reporter)                                    { l := r.(*live); l.mu.Lock(); l.draw(); l.mu.Unlock() }
func frame(b *strings.Builder, s string, term *terminal) { fmt.Fprintf(b, "--- %s\n%s", s, term) }

// story is one run as every kind of reporter is told it.
func story(r Reporter, c *clock, at func(string)) {
	r.Start("control-plane", "create the control plane (etcd, kube-apiserver)")
	r.Start("registry", "start the registry")
	at("two steps run")
	c.pass(300 * time.Millisecond)
	r.End("registry", step.Result{Elapsed: 300 * time.Millisecond})
	r.Detail("control-plane", "waiting for /readyz:\n\x1b[31metcd not ready")
	c.pass(6 * time.Second)
	r.Detail("control-plane", "waiting for /readyz: 503")
	r.Detail("control-plane", "waiting for /readyz: 502")
	at("one is done, the other waits")
	r.End("control-plane", step.Result{Elapsed: 6300 * time.Millisecond})
	r.Start("node-features", "apply the node features")
	r.End("node-features", step.Result{Skipped: true})
	r.Say("the lab is simulated: figures are replayed")
	r.Start("webhook", "serve the webhook")
	r.Start("nodes", "make the nodes")
	c.pass(2 * time.Minute)
	late := step.Timeout("webhook", 2*time.Minute, "no endpoint yet", nil)
	r.End("webhook", step.Result{Err: step.Try(late, "look into webhook.log"), Elapsed: 2 * time.Minute})
	r.End("nodes", step.Result{Err: step.ErrInterrupted, Elapsed: 2 * time.Minute})
	at("the steps are over")

	fom := r.Counter("fom-model", 5, 8)
	rnd := r.Counter("random", 0, 2)
	fom.Now("installing")
	c.pass(4 * time.Second)
	fom.Now("waiting for node")
	c.pass(12 * time.Second)
	rnd.Now("running")
	at("two series run")
	fom.Finished("36.2 GFLOP/s on hpc7g.16xlarge", nil)
	fom.Now("installing")
	c.pass(20 * time.Second)
	at("one item is done")
	fom.Finished("", errors.New("pod never became ready"))
	fom.Finished("36.1 GFLOP/s on hpc7g.16xlarge", nil)
	rnd.Finished("2.4 GFLOP/s on t3.2xlarge", nil)
	fom.End()
	fom.End()
	at("one series is over")
	rnd.End()
	r.Close()
	r.Close()
	at("closed")
}

func TestPlain(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	story(NewReporter(Plain, &b, c.option), c, func(string) {})
	golden(t, "plain.txt", b.String())
}

func TestPlainVerbose(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	story(NewReporter(Auto, &b, c.option, Verbose()), c, func(string) {})
	golden(t, "verbose.txt", b.String())
}

func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	story(NewReporter(JSONLines, &b, c.option), c, func(string) {})
	golden(t, "lines.jsonl", b.String())
	for line := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestLive(t *testing.T) {
	for name, tc := range map[string]struct{ width, height int }{
		"live.txt":   {100, 12},
		"narrow.txt": {40, 30},
		"low.txt":    {100, 2},
	} {
		t.Run(name, func(t *testing.T) {
			term := newTerminal(t, tc.width, tc.height)
			c := newClock()
			r := NewReporter(TTY, term, c.option, still(tc.width, tc.height))
			var b strings.Builder
			story(r, c, func(what string) { tick(r); frame(&b, what, term) })
			golden(t, name, b.String())
			if !term.cursor || !term.wrap || term.frame || term.col != 0 {
				t.Errorf("the terminal is not as it was: %s", term)
			}
		})
	}
}

func TestLiveColourAndASCII(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	r := NewReporter(TTY, &b, c.option, func(o *options) { o.colour, o.ascii = true, true }, still(60, 10))
	r.Start("registry", "start the registry, which takes a longer plan than fits")
	c.pass(time.Second)
	r.End("registry", step.Result{Elapsed: time.Second})
	r.Close()
	got := b.String()
	for _, want := range []string{styleGreen + "+" + styleReset + " registry", "start the registry, which take...", showCursor} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestLiveAfterTheWindowGotNarrower(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	width := 100
	r := NewReporter(TTY, &b, c.option, func(o *options) { o.size = func() (int, int) { return width, 24 } })
	r.Start("registry", strings.Repeat("x", 200))
	b.Reset()
	width = 50
	tick(r)
	if !strings.Contains(b.String(), fmt.Sprintf(cursorUp, 2)) {
		t.Errorf("the folded row takes two lines: %q", b.String())
	}
	r.Close()
}

func TestEnvironmentChoosesLooks(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	t.Setenv("TERM", "xterm")
	r := NewReporter(TTY, io.Discard).(*live)
	defer r.Close()
	if r.screen.colour {
		t.Error("NO_COLOR is not honoured")
	}
	for want, env := range map[bool]map[string]string{
		false: {"LANG": "C.UTF-8"},
		true:  {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"},
	} {
		if got := asciiLocale(func(k string) string { return env[k] }); got != want {
			t.Errorf("%v: ascii = %v", env, got)
		}
	}
	if asciiLocale(func(string) string { return "" }) {
		t.Error("no setting must count as UTF-8")
	}
}

func TestReportersAreSafeForConcurrentUse(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind, func(t *testing.T) {
			r := NewReporter(Kind(kind), io.Discard, func(o *options) { o.tick = time.Millisecond })
			var steps []step.Step
			for i := range 20 {
				steps = append(steps, step.Step{Name: fmt.Sprintf("s%d", i), Timeout: time.Minute, Run: func(_ context.Context, log step.Log) error {
					for n := range 50 {
						log("at %d", n)
					}
					return nil
				}})
			}
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					c := r.Counter(fmt.Sprintf("arm%d", i), 0, 50)
					for range 50 {
						c.Now("running")
						c.Finished("fine", nil)
						_ = c.Count()
					}
					c.End()
					r.Say("arm %d is through", i)
				})
			}
			if err := step.Up(t.Context(), steps, r, nil); err != nil {
				t.Error(err)
			}
			wg.Wait()
			r.Close()
		})
	}
}

func TestKindIsAFlagValue(t *testing.T) {
	k := Auto
	if err := k.Set("json"); err != nil || k != JSONLines || k.String() != "json" || k.Type() == "" {
		t.Errorf("%v %v", k, err)
	}
	if err := k.Set("loud"); err == nil || !strings.Contains(err.Error(), "auto, tty, plain, json") {
		t.Errorf("error = %v", err)
	}
}

func TestETA(t *testing.T) {
	c := newClock()
	r := NewReporter(JSONLines, io.Discard, c.option)
	n := r.Counter("a", 10, 20)
	if got := n.Count(); got.ETA >= 0 || got.String() != "a 10/20" {
		t.Errorf("before anything: %v, ETA %v", got, got.ETA)
	}
	c.pass(time.Hour) // what came before does not count
	for range 5 {
		n.Now("run")
		c.pass(10 * time.Second)
		n.Finished("", nil)
	}
	n.Now("run")
	c.pass(4 * time.Second)
	if got := n.Count().String(); got != "a 15/20, now: run (4s), ETA 46s" {
		t.Error(got)
	}
	c.pass(time.Hour)
	if got := n.Count().ETA; got != 0 {
		t.Errorf("overdue: %v", got)
	}
}

func TestFailure(t *testing.T) {
	var b bytes.Buffer
	Failure(&b, step.Try(fmt.Errorf("2 errors:\n- a\n- b"), "run ocifit-lab doctor"))
	if got := b.String(); got != "error: 2 errors:\n- a\n- b\ntry: run ocifit-lab doctor\n" {
		t.Errorf("%q", got)
	}
}
