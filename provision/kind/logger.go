package kind

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/compspec/ocifit-lab/provision/step"
)

// logger writes everything that kind says to a file, and its main messages to the running step.
type logger struct {
	mu   sync.Mutex
	file io.Writer
	say  step.Log
}

var _ log.Logger = (*logger)(nil)

func (l *logger) write(loud bool, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text = strings.TrimSpace(text)
	if l.file != nil {
		fmt.Fprintln(l.file, text)
	}
	if loud && l.say != nil && text != "" {
		l.say("%s", strings.Trim(text, " •.✓✗"))
	}
}

// Warn and its kin implement log.Logger.
func (l *logger) Warn(message string)               { l.write(false, "warning: "+message) }
func (l *logger) Warnf(format string, args ...any)  { l.Warn(fmt.Sprintf(format, args...)) }
func (l *logger) Error(message string)              { l.write(true, message) }
func (l *logger) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }
func (l *logger) V(level log.Level) log.InfoLogger  { return info{l, level} }

type info struct {
	*logger
	level log.Level
}

func (i info) Info(message string)              { i.write(i.level == 0, message) }
func (i info) Infof(format string, args ...any) { i.Info(fmt.Sprintf(format, args...)) }
func (i info) Enabled() bool                    { return i.level <= 1 }

// createOutput finds the output of the command that made kind fail.
func createOutput(err error) string {
	var run *exec.RunError
	if errors.As(err, &run) {
		return lastLines(string(run.Output), 8)
	}
	return err.Error()
}
