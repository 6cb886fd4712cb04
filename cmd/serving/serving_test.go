package serving

import (
	"slices"
	"testing"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Who may create a pod must not choose what the webhook connects to, unless whoever runs it says so.
func TestRegistriesThatMayBeNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		env  string
		args []string
		want []string // nil: all with public addresses
	}{
		"by default the study's":    {"", nil, []string{compat.PublishedRegistry}},
		"of the environment":        {"r.example,*.site.example", nil, []string{"r.example", "*.site.example"}},
		"of flags, not both":        {"r.example", []string{"--allow-registry", "other.example"}, []string{"other.example"}},
		"what has a mirror besides": {"", []string{"--mirror", "up.example=mirror.example/x"}, []string{"up.example", compat.PublishedRegistry}},
		"all":                       {"", []string{"--allow-registry", "*"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ALLOW_REGISTRIES", tc.env)
			cmd, o := command()
			if err := cmd.ParseFlags(tc.args); err != nil {
				t.Fatal(err)
			}
			c, err := o.settings()
			if err != nil || !slices.Equal(c.AllowRegistries, tc.want) || (c.AllowRegistries == nil) != (tc.want == nil) {
				t.Errorf("%v, %v; want %v", c.AllowRegistries, err, tc.want)
			}
		})
	}
}
