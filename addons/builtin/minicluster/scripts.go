package minicluster

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"embed"
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"sync"
	"text/template"
)

//go:embed scripts/*.tmpl
var scriptFiles embed.FS

var scriptTemplates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"quote": shellQuote}).ParseFS(scriptFiles, "scripts/*.tmpl")
})

// scriptInput is what the templates are filled with.
type scriptInput struct {
	*cluster
	Index     int
	Container container
	Command   string
}

// Hosts lists the host names of the cluster in Flux's short form.
func (c *cluster) Hosts() string {
	if c.Spec.MaxSize == 1 {
		return c.Name + "-0"
	}
	return fmt.Sprintf("%s-[0-%d]", c.Name, c.Spec.MaxSize-1)
}

// MainHost is the host name of the pod whose broker leads.
func (c *cluster) MainHost() string { return c.Name + "-0" }

const scriptFolder = "/flux_operator"

// Keys of the ConfigMap beside those of the scripts.
const (
	keyCurve  = "curve.cert"
	keyBroker = "broker.toml"
)

// scriptKey is where a container's script is in the ConfigMap: the one that runs Flux waits for it, the others start.
func scriptKey(index int, ct container) string {
	if ct.RunFlux {
		return fmt.Sprintf("wait-%d", index)
	}
	return fmt.Sprintf("start-%d", index)
}

func startScript(index int, ct container) string { return scriptKey(index, ct) + ".sh" }

// scripts are the files that the pods of a cluster find in scriptFolder.
func scripts(c *cluster) (map[string]string, error) {
	files := map[string]string{}
	add := func(name, tmpl string, in scriptInput) error {
		in.cluster = c
		t, err := scriptTemplates()
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, tmpl, in); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		files[name] = b.String()
		return nil
	}
	if err := add(keyBroker, "broker.toml.tmpl", scriptInput{}); err != nil {
		return nil, err
	}
	if !c.Spec.Flux.Container.Disable {
		if err := add(c.Spec.Flux.Container.Name, "flux-init.sh.tmpl", scriptInput{}); err != nil {
			return nil, err
		}
	}
	for i, ct := range c.Spec.Containers {
		if ct.NoWrapEntrypoint && !ct.RunFlux {
			continue
		}
		tmpl := "sidecar.sh.tmpl"
		if ct.RunFlux {
			tmpl = "start.sh.tmpl"
		}
		if err := add(scriptKey(i, ct), tmpl, scriptInput{Index: i, Container: ct, Command: command(c, ct)}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// command is what the broker runs: a launcher as it is, anything else as one Flux job over the cluster.
func command(c *cluster, ct container) string {
	words := []string{ct.Command}
	if !ct.Launcher {
		words = []string{"flux", "run", fmt.Sprintf("-N%d", c.Spec.Size)}
		if c.Spec.Tasks > 0 {
			words = append(words, fmt.Sprintf("-n%d", max(c.Spec.Tasks, c.Spec.Size)))
		}
		if c.Spec.Flux.OptionFlags != "" {
			words = append(words, c.Spec.Flux.OptionFlags)
		}
		if c.Spec.Logging.Debug {
			words = append(words, "-vvv")
		}
		words = append(words, ct.Command)
	}
	if c.Spec.Logging.Timed {
		words = append([]string{"time"}, words...)
	}
	return strings.Join(words, " ")
}

func scriptPath(name string) string { return path.Join(scriptFolder, name) }

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// curveCert makes the pair of CURVE25519 keys by which the brokers of one cluster know each other, in the file format
// of ZeroMQ certificates (ZPL; keys in Z85, ZeroMQ RFC 32).
func curveCert(name string) (string, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make the brokers' key: %w", err)
	}
	return fmt.Sprintf("# Key of the brokers of MiniCluster %s\nmetadata\n    name = %q\ncurve\n    public-key = %q\n    secret-key = %q\n",
		name, name, z85(key.PublicKey().Bytes()), z85(key.Bytes())), nil
}

const z85Digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// z85 encodes a multiple of four bytes, as ZeroMQ RFC 32 says.
func z85(b []byte) string {
	out := make([]byte, 0, len(b)/4*5)
	for ; len(b) >= 4; b = b[4:] {
		v := binary.BigEndian.Uint32(b)
		for div := uint32(85 * 85 * 85 * 85); div > 0; div /= 85 {
			out = append(out, z85Digits[v/div%85])
		}
	}
	return string(out)
}
