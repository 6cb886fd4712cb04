package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/lab"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	// The provider calls its own program to drive eksctl and to get tokens, and in tests that is this one.
	if len(os.Args) > 1 && os.Args[1] == "eks" {
		os.Exit(Main())
	}
	testscript.Main(m, map[string]func(){
		"ocifit-lab": func() { os.Exit(Main()) },
	})
}

// TestStories runs the command line as a user would. Each story has a folder and a lab of its own.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "awaits": awaits, "counts": counts, "within": within},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			repository, err := filepath.Abs(filepath.Join("..", ".."))
			if err != nil {
				return err
			}
			env.Setenv("REPO", repository)
			env.Setenv("OCIFIT_PUBLISHED_CHART", os.Getenv("OCIFIT_PUBLISHED_CHART"))
			// Whatever a story leaves running when it fails in the middle goes with its folder.
			env.Defer(func() { downAll(t, env.WorkDir) })
			return nil
		},
	})
}

// exits runs a command and demands an exit code: exits 4 ocifit-lab ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// awaits waits until a pattern of file names matches: awaits 'results/*/run.json'. It gives up after two minutes.
func awaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaits PATTERN")
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(found) > 0 {
			return
		}
	}
	ts.Fatalf("nothing matches %s", args[0])
}

// counts demands a number of files that match a pattern: counts 6 'results/*/trial.json'.
func counts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: counts N PATTERN")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != want {
		ts.Fatalf("%d match %s, want %d: %v", len(found), args[1], want, found)
	}
}

// within demands that two numbers of JSON files differ by a share of the second at most: within 0.1 plan.json forecast.usd status.json
// spent.usd. With below as the share, the first must not be above the second.
func within(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: within SHARE|below FILE PATH FILE PATH")
	}
	a, b := figureAt(ts, args[1], args[2]), figureAt(ts, args[3], args[4])
	ts.Logf("%s %.4f, %s %.4f, ratio %.4f", args[2], a, args[4], b, a/b)
	if args[0] == "below" {
		if a > b {
			ts.Fatalf("%s is %v, above %s, which is %v", args[2], a, args[4], b)
		}
		return
	}
	share, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	if !(math.Abs(a-b) <= share*math.Abs(b)) {
		ts.Fatalf("%s is %v, and %s is %v", args[2], a, args[4], b)
	}
}

// figureAt is the number at a path of names with dots between.
func figureAt(ts *testscript.TestScript, file, path string) float64 {
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &at))
	for name := range strings.SplitSeq(path, ".") {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	v, ok := at.(float64)
	if !ok {
		ts.Fatalf("%s has no number at %s", file, path)
	}
	return v
}

func downAll(t *testing.T, dir string) {
	states, err := filepath.Glob(filepath.Join(dir, ".ocifit-lab", "*", "state.json"))
	if err != nil {
		t.Error(err)
	}
	for _, s := range states {
		name := filepath.Base(filepath.Dir(s))
		file := filepath.Join(t.TempDir(), "lab.yaml")
		if err := os.WriteFile(file, []byte("apiVersion: "+lab.APIVersion+"\nname: "+name+"\n"), 0o600); err != nil {
			t.Error(err)
		}
		args := []string{"down", "-q", "--lab", file, "--state", filepath.Join(dir, ".ocifit-lab")}
		if code := Run(context.Background(), command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, args); code != command.ExitOK {
			t.Errorf("lab %s was left and could not be removed: exit code %d", name, code)
		}
	}
}

// TestCommentedLabIsTheDefault keeps the template of init and the defaults in step.
func TestCommentedLabIsTheDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(file, []byte(commentedLab()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := lab.Load(file, false)
	if err != nil {
		t.Fatal(err)
	}
	a, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := yaml.Marshal(lab.Default())
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("init writes\n%s\nthe defaults are\n%s", a, b)
	}
}
