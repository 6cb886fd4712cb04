package assembly

import (
	"os"
	"path/filepath"
	"testing"
)

// The image is made of the small program where it stands beside this one.
func TestWebhookProgram(t *testing.T) {
	dir := t.TempDir()
	program, small := filepath.Join(dir, "ocifit-lab"), filepath.Join(dir, "ocifit-webhook")
	if got := WebhookProgram(program); got != program {
		t.Errorf("nothing stands beside it, and the image is made of %s", got)
	}
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := WebhookProgram(program); got != program {
		t.Errorf("a folder is no program, and the image is made of %s", got)
	}
	if err := os.Remove(small); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(small, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := WebhookProgram(program); got != small {
		t.Errorf("the image is made of %s", got)
	}
}
