package registry

import (
	"context"
	"io"
	"log"
	"reflect"

	"github.com/sirupsen/logrus"
)

// withLog makes the library log to w, or to nowhere when w is nil, without touching the logger that is global to the
// process. The library looks its logger up in the context, under a key whose type it does not export.
func withLog(ctx context.Context, w io.Writer) context.Context {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	if w != nil {
		logger.SetOutput(w)
	}
	return loggingContext{Context: ctx, entry: logrus.NewEntry(logger)}
}

type loggingContext struct {
	context.Context
	entry *logrus.Entry
}

const libraryLoggerKey = "dcontext.loggerKey"

// Value answers the library's question for a logger and passes on all others.
func (c loggingContext) Value(key any) any {
	if t := reflect.TypeOf(key); t != nil && t.String() == libraryLoggerKey {
		return c.entry
	}
	return c.Context.Value(key)
}

func errorLog(w io.Writer) *log.Logger {
	if w == nil {
		w = io.Discard
	}
	return log.New(w, "registry: ", log.LstdFlags)
}
