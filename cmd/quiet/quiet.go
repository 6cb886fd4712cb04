// Package quiet keeps linked libraries from talking to the terminal while the program starts. Whoever imports it calls Restore first.
package quiet

import "os"

// noTerminal is the variable by which termenv takes standard output for no terminal. Without it Bubble Tea, which eksctl links for a
// selection that this program never shows, asks the terminal for its colours in an init function, and waits five seconds for terminals
// that do not answer.
const noTerminal = "CI"

var (
	before string
	had    bool
)

// init runs before theirs: of the packages whose imports are initialised Go takes the first by import path. This one imports os alone,
// and termenv, on which the others wait, comes behind it.
func init() {
	before, had = os.LookupEnv(noTerminal)
	_ = os.Setenv(noTerminal, "true")
}

// Restore gives the environment back as the program was started with.
func Restore() {
	if had {
		_ = os.Setenv(noTerminal, before)
		return
	}
	_ = os.Unsetenv(noTerminal)
}
