// Command hpcg is the workload of the kind test: called as xhpcg it solves a system of equations by conjugate gradients, really, and
// reports what it measured in HPCG's grammar; called as flux it does the little that a trial's script asks Flux for.
//
// Its figures say how fast this program is on the test's machine and nothing else.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
)

const ranksVariable = "STAND_IN_RANKS"

func main() {
	var err error
	if filepath.Base(os.Args[0]) == "flux" {
		err = flux(os.Args[1:])
	} else {
		err = xhpcg()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flux runs what follows its options, for the subcommands that run something.
func flux(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("flux: no subcommand")
	}
	rest := args[1:]
	ranks := "1"
	switch args[0] {
	case "resource":
		fmt.Printf("     STATE NNODES   NCORES    NGPUS NODELIST\n      free      1 %8d        0 stand-in\n allocated      0        0        0 \n      down      0        0        0 \n", runtime.NumCPU())
		return nil
	case "R":
		fmt.Println("{}")
		return nil
	case "jobs":
		return nil
	case "job":
		fmt.Println("{}")
		return nil
	case "broker", "run":
		for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
			switch option := rest[0]; {
			case option == "-n" || option == "-o":
				if option == "-n" {
					ranks = rest[1]
				}
				rest = rest[1:]
			case strings.HasPrefix(option, "-n"):
				ranks = option[2:]
			}
			rest = rest[1:]
		}
	default:
		return fmt.Errorf("flux: the stand-in knows no %q", args[0])
	}
	if len(rest) == 0 {
		return fmt.Errorf("flux %s: nothing to run", args[0])
	}
	cmd := exec.Command(rest[0], rest[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), ranksVariable+"="+ranks)
	return cmd.Run()
}

// xhpcg reads hpcg.dat, works, and writes the two files that HPCG writes.
func xhpcg() error {
	data, err := os.ReadFile("hpcg.dat")
	if err != nil {
		return err
	}
	fields := strings.Fields(string(data))
	if len(fields) != 4 {
		return fmt.Errorf("hpcg.dat has %d numbers", len(fields))
	}
	var n [4]int
	for i, f := range fields {
		if n[i], err = strconv.Atoi(f); err != nil {
			return err
		}
	}
	ranks, err := strconv.Atoi(os.Getenv(ranksVariable))
	if err != nil {
		return err
	}
	rating := measure([3]int{n[0], n[1], n[2]}, time.Duration(n[3])*time.Second)
	log := hpcgtest.Log(hpcgtest.Spec{
		Ratings: []float64{rating}, Ranks: ranks, Cores: runtime.NumCPU(), Local: [3]int{n[0], n[1], n[2]}, Seconds: n[3],
		Seed: uint64(time.Now().UnixNano()),
	})
	_, log, _ = bytes.Cut(log, []byte("\nFLUX-RESULTS START\n"))
	solver, file, found := bytes.Cut(log, []byte("HPCG-BENCHMARKS\n"))
	file, _, ended := bytes.Cut(file, []byte("FLUX-RESULTS END\n"))
	if !found || !ended {
		return fmt.Errorf("the log's grammar has changed")
	}
	stamp := time.Now().UTC().Format("20060102T150405.000000000")
	if err := os.WriteFile("hpcg"+stamp+".txt", solver, 0o644); err != nil {
		return err
	}
	return os.WriteFile("HPCG-Benchmark_3.1_"+stamp+".txt", file, 0o644)
}

// measure solves A x = b on a grid, with A the 27-point stencil of HPCG, again and again until the time is over, and returns GFLOP/s.
func measure(size [3]int, limit time.Duration) float64 {
	g := grid{size}
	b := g.vector(1)
	begin, flops := time.Now(), 0.0
	for {
		flops += g.solve(b, 10)
		if elapsed := time.Since(begin); elapsed >= limit {
			return flops / elapsed.Seconds() / 1e9
		}
	}
}

type grid struct{ n [3]int }

func (g grid) points() int { return g.n[0] * g.n[1] * g.n[2] }

func (g grid) vector(value float64) []float64 {
	v := make([]float64, g.points())
	for i := range v {
		v[i] = value
	}
	return v
}

// times multiplies with the stencil: 26 in the middle, -1 for each neighbour. It returns the number of operations.
func (g grid) times(x, y []float64) (flops float64) {
	nx, ny, nz := g.n[0], g.n[1], g.n[2]
	for k := range nz {
		for j := range ny {
			for i := range nx {
				sum := 27 * x[(k*ny+j)*nx+i]
				for dk := max(k-1, 0); dk <= min(k+1, nz-1); dk++ {
					for dj := max(j-1, 0); dj <= min(j+1, ny-1); dj++ {
						row := x[(dk*ny+dj)*nx+max(i-1, 0) : (dk*ny+dj)*nx+min(i+1, nx-1)+1]
						for _, v := range row {
							sum -= v
						}
						flops += float64(len(row))
					}
				}
				y[(k*ny+j)*nx+i] = sum
				flops += 1
			}
		}
	}
	return flops
}

// solve makes steps of the method of conjugate gradients and returns the number of operations.
func (g grid) solve(b []float64, steps int) float64 {
	x, ap := g.vector(0), g.vector(0)
	r, p := append([]float64(nil), b...), append([]float64(nil), b...)
	flops, rr := 0.0, dot(r, r)
	for range steps {
		flops += g.times(p, ap)
		alpha := rr / dot(p, ap)
		for i := range x {
			x[i] += alpha * p[i]
			r[i] -= alpha * ap[i]
		}
		next := dot(r, r)
		for i := range p {
			p[i] = r[i] + next/rr*p[i]
		}
		rr = next
		flops += 10 * float64(len(x))
		if rr == 0 {
			break
		}
	}
	return flops
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
