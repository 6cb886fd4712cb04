package serve

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// Work that does not heed its context is ended with the process soon after the parent is gone.
func TestWorkThatGoesOnIsEnded(t *testing.T) {
	ended := make(chan int, 1)
	exit = func(code int) { ended <- code }
	in, parent := io.Pipe()
	release := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		Request(context.Background(), in, io.Discard, func(context.Context, wire.Request, wire.Log) error {
			<-release
			return nil
		})
	}()
	if _, err := io.WriteString(parent, `{"op":"delete","name":"n","region":"r","owner":"o"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	parent.Close()
	select {
	case code := <-ended:
		if code == 0 {
			t.Error("it ended as if all was done")
		}
	case <-time.After(time.Minute):
		t.Error("the process goes on without its parent")
	}
	close(release)
	<-finished
}
