package kube

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/step"
)

// container stands in for a container with a log, behind an API server.
type container struct {
	mu       sync.Mutex
	lines    []string // each with its time in front
	from     int      // what is before was rotated away
	ended    bool
	waiting  int // how often the answer is that it has not started
	unknown  bool
	noTimes  bool
	openings []string
	opened   func(n int)
	// broken, if set, changes the answer to the nth opening: what is sent, and whether the connection is cut then.
	broken func(n int, follow bool, text string) (string, bool)
}

func line(second float64, text string) string {
	at := time.Date(2025, 7, 21, 0, 49, 0, 0, time.UTC).Add(time.Duration(second * float64(time.Second)))
	return at.Format(time.RFC3339Nano) + " " + text + "\n"
}

func (c *container) text(lines []string) string {
	text := strings.Join(lines, "")
	if c.noTimes {
		text = bare(lines)
	}
	return text
}

// bare is what the container wrote.
func bare(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		_, text, _ := strings.Cut(l, " ")
		b.WriteString(text)
	}
	return b.String()
}

func (c *container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.URL.Query()
	if !strings.HasSuffix(r.URL.Path, "/log") {
		c.servePod(w, q.Get("watch") != "")
		return
	}
	n, follow := len(c.openings), q.Get("follow") == "true"
	c.openings = append(c.openings, fmt.Sprintf("follow=%v since=%s", follow, q.Get("sinceTime")))
	if q.Get("timestamps") != "true" || q.Get("container") != "hpcg" {
		panic("asked for " + r.URL.String())
	}
	if c.opened != nil {
		c.opened(n)
	}
	if c.unknown {
		refuse(w, 400, metav1.StatusReasonBadRequest, "container hpcg is not valid for pod hpcg-0")
		return
	}
	if c.waiting > 0 {
		c.waiting--
		refuse(w, 400, metav1.StatusReasonBadRequest, `container "hpcg" in pod "hpcg-0" is waiting to start: ContainerCreating`)
		return
	}
	var lines []string
	since, _ := time.Parse(time.RFC3339, q.Get("sinceTime"))
	for _, l := range c.lines[c.from:] {
		stamp, _, _ := strings.Cut(l, " ")
		if at, _ := time.Parse(time.RFC3339Nano, stamp); c.noTimes || !at.Before(since) {
			lines = append(lines, l)
		}
	}
	text, cut := c.text(lines), false
	if c.broken != nil {
		text, cut = c.broken(n, follow, text)
	}
	_, _ = w.Write([]byte(text))
	w.(http.Flusher).Flush()
	if cut {
		panic(http.ErrAbortHandler)
	}
	c.ended = c.ended || follow && n > 20 // a container that never ends would hide faults in the tests
}

func (c *container) servePod(w http.ResponseWriter, watch bool) {
	p := versioned(pod("hpcg-0", phase(corev1.PodRunning)), "7")
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	if c.ended {
		state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "hpcg", State: state}}
	if watch {
		change(w, "MODIFIED", p)
		return
	}
	reply(w, 200, podList("7", p))
}

func sample(n int) []string {
	var lines []string
	for i := range n {
		text := fmt.Sprintf("line %d", i)
		if i%5 == 4 {
			text = "" // equal lines, some of them at the same time
		}
		lines = append(lines, line(float64(i/3)*0.4, text))
	}
	return lines
}

func stream(t *testing.T, c *container) (string, error) {
	t.Helper()
	var b bytes.Buffer
	l := &logReader{serve(t, c.ServeHTTP), "trial", "hpcg-0", "hpcg", newLineLog(&b), 20 * time.Millisecond}
	err := l.follow(t.Context())
	if err == nil {
		err = l.check(t.Context())
	}
	return b.String(), err
}

func TestStreamLogs(t *testing.T) {
	c := &container{lines: sample(10), waiting: 2}
	c.broken = func(_ int, _ bool, text string) (string, bool) { c.ended = true; return text, false }
	got, err := stream(t, c)
	if err != nil || got != bare(c.lines) {
		t.Errorf("%v\n%s", err, got)
	}
	if all := strings.Join(c.openings, ";"); !strings.HasPrefix(all, "follow=true since=;follow=true since=;follow=true since=;") ||
		!strings.HasSuffix(all, ";follow=false since=") {
		t.Errorf("openings %v", c.openings)
	}
}

// Whatever breaks, each line comes once and in order.
func TestStreamLogsResumes(t *testing.T) {
	for _, noTimes := range []bool{false, true} {
		for seed := range uint64(30) {
			t.Run(fmt.Sprintf("noTimes=%v/%d", noTimes, seed), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(seed, 1))
				c := &container{lines: sample(40), noTimes: noTimes}
				breaks := 3
				c.broken = func(n int, follow bool, text string) (string, bool) {
					if breaks == 0 {
						c.ended = true
						return text, false
					}
					breaks--
					return text[:rnd.IntN(len(text)+1)], rnd.IntN(2) == 0
				}
				got, err := stream(t, c)
				if err != nil || got != bare(c.lines) {
					t.Errorf("%v after %v\n%s", err, c.openings, got)
				}
			})
		}
	}
}

func TestStreamLogsFetchesWhatAStreamMissedAtItsEnd(t *testing.T) {
	c := &container{lines: sample(10), ended: true}
	c.lines[9] = strings.TrimSuffix(c.lines[9], "\n")
	c.broken = func(n int, follow bool, text string) (string, bool) {
		if follow {
			return text[:len(text)/2], false
		}
		return text, false
	}
	got, err := stream(t, c)
	if err != nil || got != bare(c.lines) {
		t.Errorf("%v\n%q", err, got)
	}
}

func TestStreamLogsAcrossRotation(t *testing.T) {
	c := &container{lines: sample(30)}
	c.broken = func(n int, follow bool, text string) (string, bool) {
		c.from, c.ended = 5, true // an unbroken stream goes on over the rotation; the last reading finds less
		return text, false
	}
	got, err := stream(t, c)
	if err != nil || got != bare(c.lines) {
		t.Errorf("%v\n%q", err, got)
	}
}

func TestStreamLogsTellsGaps(t *testing.T) {
	c := &container{lines: sample(30)}
	c.broken = func(n int, follow bool, text string) (string, bool) {
		if n == 0 {
			c.from = 20
			return text[:len(text)/3], true
		}
		return text, false
	}
	_, err := stream(t, c)
	if !errors.Is(err, ErrLogGap) {
		t.Errorf("error = %v", err)
	}
	contains(t, err, "between 00:49:0", "read the log of trial/hpcg-0/hpcg")
}

func TestStreamLogsRefusesAnotherLog(t *testing.T) {
	c := &container{lines: sample(5), ended: true}
	c.broken = func(n int, follow bool, text string) (string, bool) {
		if !follow {
			text = strings.Replace(text, "line 3", "line X", 1)
		}
		return text, false
	}
	_, err := stream(t, c)
	contains(t, err, "line 4 of the log is not what it was", "line X")

	c = &container{lines: sample(5), ended: true}
	c.broken = func(n int, follow bool, text string) (string, bool) {
		if !follow {
			text = ""
		}
		return text, false
	}
	_, err = stream(t, c)
	contains(t, err, "shorter than what was read")
}

func TestStreamLogsKeepsNoiseOut(t *testing.T) {
	c := &container{lines: sample(10)}
	c.broken = func(n int, follow bool, text string) (string, bool) {
		if n == 0 {
			return text[:len(text)/2] + "\nfailed to watch file: too many open files\n", false
		}
		c.ended = true
		return text, false
	}
	got, err := stream(t, c)
	if err != nil || got != bare(c.lines) {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestStreamLogsErrors(t *testing.T) {
	_, err := stream(t, &container{unknown: true})
	contains(t, err, "hpcg is not valid")

	full := errors.New("no space left")
	err = serve(t, (&container{lines: sample(3)}).ServeHTTP).StreamLogs(t.Context(), "trial", "hpcg-0", "hpcg", writer(func([]byte) (int, error) { return 0, full }))
	if !errors.Is(err, full) {
		t.Errorf("error = %v", err)
	}

	ctx := newLate(t)
	never := &container{waiting: 1 << 30, opened: func(n int) {
		if n == 1 {
			ctx.expire()
		}
	}}
	err = serve(t, never.ServeHTTP).StreamLogs(ctx, "trial", "hpcg-0", "hpcg", &bytes.Buffer{})
	contains(t, err, "read the log of trial/hpcg-0/hpcg: timed out", "0 lines read", "waiting to start: ContainerCreating")
	if !errors.Is(err, step.ErrTimeout) {
		t.Errorf("not a timeout: %v", err)
	}

	gone := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			_, _ = w.Write([]byte(line(0, "a")))
			return
		}
		reply(w, 200, podList("7"))
	})
	contains(t, gone.StreamLogs(t.Context(), "trial", "hpcg-0", "hpcg", &bytes.Buffer{}), "pod hpcg-0 is gone")

	evicted := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			refuse(w, 400, metav1.StatusReasonBadRequest, "container is waiting to start")
			return
		}
		reply(w, 200, podList("7", versioned(pod("hpcg-0", phase(corev1.PodFailed)), "7")))
	})
	contains(t, evicted.StreamLogs(t.Context(), "trial", "hpcg-0", "hpcg", &bytes.Buffer{}), "never ran", "Failed")
}

func TestLineLogTakesLongLines(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	var b bytes.Buffer
	lines := newLineLog(&b)
	text := line(0, long) + line(1, "end")
	for range 2 {
		if err := lines.read(strings.NewReader(text), true); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != long+"\nend\n" || len(lines.entries) != 2 {
		t.Errorf("%d bytes, %d lines", b.Len(), len(lines.entries))
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
