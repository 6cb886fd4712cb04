package awstest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
		var body bytes.Buffer
		_ = json.NewEncoder(&body).Encode(a.json)
		s.send(w, c, http.StatusOK, typ, body.Bytes())
		return
	}
	var b strings.Builder
	request := el("RequestId", "r-"+strconv.Itoa(c.N))
	if c.Service == "ec2" {
		el(c.Operation+"Response", append(a.xml, el("requestId", request.text))).write(&b)
	} else {
		el(c.Operation+"Response", el(c.Operation+"Result", a.xml), el("ResponseMetadata", request)).write(&b)
	}
	s.send(w, c, http.StatusOK, "text/xml", []byte(b.String()))
}

// Answer is what a call was answered with.
type Answer struct {
	Service, Operation string
	Version            string // of the interface, where the call names it
	Status             int
	Header             http.Header
	Body               []byte
}

// mostAnswers bounds the answers kept of one operation and status.
const mostAnswers = 8

// Answers returns answers that differ in length, some of each operation and status.
func (s *Server) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

func (s *Server) send(w http.ResponseWriter, c Call, status int, typ string, body []byte) {
	w.Header().Set("Content-Type", typ)
	a := Answer{c.Service, c.Operation, c.form.Get("Version"), status, w.Header().Clone(), body}
	s.mu.Lock()
	alike := 0
	for _, have := range s.answers {
		if have.Service == a.Service && have.Operation == a.Operation && have.Status == status {
			if alike++; len(have.Body) == len(body) {
				alike = mostAnswers
			}
		}
	}
	if alike < mostAnswers {
		s.answers = append(s.answers, a)
	}
	s.mu.Unlock()
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (s *Server) replyError(w http.ResponseWriter, c Call, err error) {
	var f *fail
	if !errors.As(err, &f) {
		f = &fail{400, "InternalFailure", err.Error()}
	}
	w.Header().Set("X-Amzn-Requestid", "r-"+strconv.Itoa(c.N))
	switch c.Service {
	case "eks", "ssm", "pricing", "servicequotas", "ecr", "logs", "cloudtrail", "tagging":
		w.Header().Set("X-Amzn-Errortype", f.code)
		body, _ := json.Marshal(map[string]string{"__type": f.code, "message": f.message})
		s.send(w, c, f.status, "application/json", body)
		return
	}
	var b strings.Builder
	detail := []node{el("Code", f.code), el("Message", f.message)}
	if c.Service == "ec2" {
		el("Response", el("Errors", el("Error", detail)), el("RequestID", "r-"+strconv.Itoa(c.N))).write(&b)
	} else {
		el("ErrorResponse", el("Error", append(detail, el("Type", "Sender"))), el("RequestId", "r-"+strconv.Itoa(c.N))).write(&b)
	}
	s.send(w, c, f.status, "text/xml", []byte(b.String()))
}
