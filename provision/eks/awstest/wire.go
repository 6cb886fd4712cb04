package awstest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// node is one XML element; text and kids exclude each other.
type node struct {
	name, text string
	kids       []node
}

// el makes an element of strings, numbers, nodes and lists of nodes; nil is left out.
func el(name string, content ...any) node {
	n := node{name: name}
	for _, c := range content {
		switch v := c.(type) {
		case nil:
		case string:
			n.text += v
		case bool:
			n.text += strconv.FormatBool(v)
		case int:
			n.text += strconv.Itoa(v)
		case time.Time:
			n.text += v.UTC().Format(time.RFC3339)
		case node:
			n.kids = append(n.kids, v)
		case []node:
			n.kids = append(n.kids, v...)
		default:
			panic(fmt.Sprintf("element %s of %T", name, c))
		}
	}
	return n
}

// each makes one element of the given name for each item.
func each[T any](name string, items []T, content func(T) []node) []node {
	var out []node
	for _, i := range items {
		out = append(out, el(name, content(i)))
	}
	return out
}

func tagNodes(wrap, item string, tags map[string]string) node {
	ec2 := item == "item"
	key, value := "Key", "Value"
	if ec2 {
		key, value = "key", "value"
	}
	return el(wrap, each(item, sortedKeys(tags), func(k string) []node { return []node{el(key, k), el(value, tags[k])} }))
}

func (n node) write(b *strings.Builder) {
	if n.name == "" {
		_ = xml.EscapeText(b, []byte(n.text))
		return
	}
	b.WriteString("<" + n.name + ">")
	if n.text != "" {
		_ = xml.EscapeText(b, []byte(n.text))
	}
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + n.name + ">")
}

// answer is what an operation gives back: XML content for query protocols, a value for JSON ones.
type answer struct {
	xml     []node
	json    any
	settled <-chan struct{} // closed when the work that the call began is through
}

func xmlAnswer(content ...node) answer { return answer{xml: content} }
func jsonAnswer(v any) answer          { return answer{json: v} }

// fail is an error as AWS answers it.
type fail struct {
	status        int
	code, message string
}

func (f *fail) Error() string { return f.code + ": " + f.message }

func apiError(status int, code, format string, args ...any) error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &fail{status, code, format}
}

func (s *Server) reply(w http.ResponseWriter, c Call, a answer) {
	w.Header().Set("X-Amzn-Requestid", "r-"+strconv.Itoa(c.N))
	if a.xml == nil && a.json != nil {
		typ := "application/x-amz-json-1.1"
		if c.Service == "eks" {
			typ = "application/json"
		}
		w.Header().Set("Content-Type", typ)
		_ = json.NewEncoder(w).Encode(a.json)
		return
	}
	var b strings.Builder
	request := el("RequestId", "r-"+strconv.Itoa(c.N))
	if c.Service == "ec2" {
		el(c.Operation+"Response", append(a.xml, el("requestId", request.text))).write(&b)
	} else {
		el(c.Operation+"Response", el(c.Operation+"Result", a.xml), el("ResponseMetadata", request)).write(&b)
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprint(w, b.String())
}

func (s *Server) replyError(w http.ResponseWriter, c Call, err error) {
	var f *fail
	if !errors.As(err, &f) {
		f = &fail{400, "InternalFailure", err.Error()}
	}
	w.Header().Set("X-Amzn-Requestid", "r-"+strconv.Itoa(c.N))
	switch c.Service {
	case "eks", "ssm", "pricing", "servicequotas", "ecr", "logs", "cloudtrail", "tagging":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", f.code)
		w.WriteHeader(f.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.code, "message": f.message})
		return
	}
	var b strings.Builder
	detail := []node{el("Code", f.code), el("Message", f.message)}
	if c.Service == "ec2" {
		el("Response", el("Errors", el("Error", detail)), el("RequestID", "r-"+strconv.Itoa(c.N))).write(&b)
	} else {
		el("ErrorResponse", el("Error", append(detail, el("Type", "Sender"))), el("RequestId", "r-"+strconv.Itoa(c.N))).write(&b)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.status)
	fmt.Fprint(w, b.String())
}
