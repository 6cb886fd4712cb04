package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/sim/simclock"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

// starting is a part that has been launched; nil stands for an absent one.
type starting struct {
	name    string
	address chan string
}

// await returns the part's address when it is ready.
func (p *starting) await(ctx context.Context, s *supervisor) (string, error) {
	if p == nil {
		return "", nil
	}
	s.doing(p.name)
	select {
	case address := <-p.address:
		return address, s.board.change(func(r *report) { r.note(p.name, address) })
	case err := <-s.failed:
		return "", err
	case <-ctx.Done():
		return "", fmt.Errorf("%s did not become ready: %w", p.name, ctx.Err())
	}
}

func (r *report) note(part, address string) {
	if address == "" {
		return
	}
	switch part {
	case "registry":
		r.Registry = address
	case "webhook":
		r.Webhook = address
	}
	if _, port, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			r.Ports = append(r.Ports, n)
		}
	}
}

// listen is where a part listens again after a restart: who knows its address by then goes on to find it.
func (r report) listen(part string) string {
	address := map[string]string{"registry": r.Registry, "webhook": r.Webhook}[part]
	if _, port, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.Atoi(port); err == nil && portFree(n) {
			return address
		}
	}
	return "127.0.0.1:0"
}

func (s *supervisor) startPart(ctx context.Context, name string, part Part, env Env) *starting {
	if part == nil {
		return nil
	}
	env.Listen, env.RegistryLogin = s.previous.listen(name), s.login
	env.Dir, env.Clock, env.LogDir, env.Settings, env.Log = s.dir.file(name), s.clock, s.dir.podLogs(), s.settings, s.log
	if env.Config != nil {
		env.Config = rest.AddUserAgent(rest.CopyConfig(env.Config), "ocifit-lab-"+name)
	}
	p := &starting{name: name, address: make(chan string, 1)}
	var once sync.Once
	s.launch(ctx, name, func(ctx context.Context) error {
		return part(ctx, env, func(address string) { once.Do(func() { p.address <- address }) })
	})
	return p
}

// launch runs f; when it ends before its context, the supervisor fails. A panic is an error like others, so that the status file can tell it.
func (s *supervisor) launch(ctx context.Context, name string, f func(ctx context.Context) error) {
	s.parts.Go(func() {
		err := guarded(ctx, f)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case s.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}

func guarded(ctx context.Context, f func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

func (s *supervisor) doing(what string) {
	// A status that cannot be written shows at the next change that matters.
	_ = s.board.change(func(r *report) { r.Doing = "waiting for " + what })
}

// The simulated clock outlives its supervisor: nodes carry its times.
type savedClock struct {
	Now time.Time `json:"now"`
}

func loadClock(file string) time.Time {
	now := time.Now().UTC().Truncate(time.Second)
	var saved savedClock
	if atomicfile.ReadJSON(file, &saved) == nil && saved.Now.After(now) {
		return saved.Now
	}
	return now
}

// catchUp moves the clock on to what the nodes have seen already: a supervisor that was killed had no time to save its last moments,
// and at scale 0 hours may pass in them.
func (s *supervisor) catchUp(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("times of the nodes: %w", err)
	}
	latest := s.clock.Now()
	for _, n := range nodes.Items {
		for _, key := range []string{simulated.RequestedAnnotation, simulated.CreatedAnnotation} {
			if t, err := time.Parse(time.RFC3339, n.Annotations[key]); err == nil && t.After(latest) {
				latest = t
			}
		}
	}
	return s.clock.SleepUntil(ctx, latest)
}

func saveClock(file string, now time.Time) error {
	return atomicfile.WriteJSON(file, savedClock{Now: now}, 0o600)
}

func keepClock(ctx context.Context, file string, clock simclock.Clock) error {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(filepath.Dir(file)); errors.Is(err, os.ErrNotExist) {
			// Without it nothing could find this process any more to end it.
			return fmt.Errorf("the state folder %s was removed", filepath.Dir(file))
		}
		if err := saveClock(file, clock.Now()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
