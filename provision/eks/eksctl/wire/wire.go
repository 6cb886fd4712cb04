// Package wire is what goes over the pipe between the program and the child process that runs eksctl: one request in, log lines and an
// outcome out.
package wire

import (
	"fmt"
	"strings"
	"time"
)

// Op is what a child shall do.
type Op string

// The operations, in the order in which up and down use them.
const (
	Check        Op = "check"         // read and validate the cluster file; calls nothing
	ControlPlane Op = "control-plane" // the cluster's stack and its networking addons
	Identity     Op = "identity"      // OIDC provider, roles for service accounts, further addons of a user's file
	NodeGroups   Op = "node-groups"   // the named node groups, and their nodes ready
	Drop         Op = "drop"          // delete the named node groups, all if none is named
	Delete       Op = "delete"        // delete everything
)

// Request is one order to a child.
type Request struct {
	Op     Op     `json:"op"`
	Name   string `json:"name"` // of the cluster
	Region string `json:"region"`
	// Profile of the shared AWS configuration; empty for the default.
	Profile string `json:"profile,omitempty"`
	// Owner is the value of the lab's tag: stacks and clusters that bear another, or none, are not touched.
	Owner string `json:"owner"`
	// Config is the eksctl file; Drop and Delete do without.
	Config []byte `json:"config,omitempty"`
	// Groups are the node groups that NodeGroups and Drop are about.
	Groups []string `json:"groups,omitempty"`
	// Repositories are the names of the lab's repositories in the account's registry, and Issuer is the cluster's OIDC issuer where it is
	// known; both are for Delete.
	Repositories []string `json:"repositories,omitempty"`
	Issuer       string   `json:"issuer,omitempty"`
	// Recreate is the consent to delete failed stacks and make them again.
	Recreate bool `json:"recreate,omitempty"`
	// Poll is the shortest time between two looks at a stack.
	Poll time.Duration `json:"poll,omitempty"`
	// Debug has eksctl say everything.
	Debug bool `json:"debug,omitempty"`
}

// Code tells what kind of failure an Error is.
type Code string

// The failures that a caller handles in its own way.
const (
	Failed   Code = ""         // anything else
	NotOurs  Code = "not-ours" // something of this name exists and is somebody else's
	Consent  Code = "consent"  // a failed stack is in the way, and Recreate was not set
	Expired  Code = "expired"  // the AWS session has ended
	Refused  Code = "refused"  // the cluster file is wrong
	Crashed  Code = "crashed"  // the child ended without an answer
	Stopped  Code = "stopped"  // the caller ended it
	Conflict Code = "conflict" // CloudFormation is at work on the same stack for somebody else
)

// Error is why a child failed.
type Error struct {
	Code Code   `json:"code,omitempty"`
	Text string `json:"text"`
	// Causes are what CloudFormation and EKS say went wrong, oldest first.
	Causes []string `json:"causes,omitempty"`
	Try    string   `json:"try,omitempty"`
	// Stacks are those that failed or are in the way.
	Stacks []string `json:"stacks,omitempty"`
}

func (e *Error) Error() string {
	text := e.Text
	for _, c := range e.Causes {
		if !strings.Contains(text, c) {
			text += "\n  " + c
		}
	}
	return text
}

// Event is one line that a child writes.
type Event struct {
	Level string `json:"level,omitempty"` // of a log line: debug, info, warning, error
	Text  string `json:"text,omitempty"`
	Done  bool   `json:"done,omitempty"` // the last line
	Error *Error `json:"error,omitempty"`
}

// Validate tells what is missing from a request.
func (r Request) Validate() error {
	switch {
	case r.Op == "":
		return fmt.Errorf("no operation")
	case r.Name == "" || r.Region == "" || r.Owner == "":
		return fmt.Errorf("%s: name, region and owner are needed, got %q, %q, %q", r.Op, r.Name, r.Region, r.Owner)
	case len(r.Config) == 0 && r.Op != Drop && r.Op != Delete:
		return fmt.Errorf("%s: no cluster file", r.Op)
	}
	return nil
}

// Log takes one line of what the child does.
type Log func(level, text string)
