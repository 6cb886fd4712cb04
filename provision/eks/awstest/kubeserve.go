package awstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func (a *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := checkToken(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
		status(w, 401, "Unauthorized", err.Error())
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	if d, ok := discovery(path); ok {
		send(w, 200, d)
		return
	}
	group, _, found := collectionOf(path)
	if !found {
		status(w, 404, "NotFound", "the server could not find the requested resource")
		return
	}
	switch {
	case r.Method == "POST" || (r.Method == "GET" && group == path) || r.URL.Query().Get("watch") != "":
		a.collection(w, r, path)
	default:
		a.object(w, r, path)
	}
}

func (a *kubeAPI) collection(w http.ResponseWriter, r *http.Request, path string) {
	q := r.URL.Query()
	switch {
	case r.Method == "POST":
		o, err := read(r)
		if err != nil {
			status(w, 400, "BadRequest", err.Error())
			return
		}
		if ns := strings.Split(path, "/namespaces/"); len(ns) == 2 {
			meta(o)["namespace"], _, _ = strings.Cut(ns[1], "/")
		}
		at := path + "/" + fmt.Sprint(meta(o)["name"])
		a.mu.Lock()
		taken := a.objects[at] != nil
		a.mu.Unlock()
		if taken {
			status(w, 409, "AlreadyExists", at+" already exists")
			return
		}
		send(w, 201, a.put(at, o))
	case q.Get("watch") == "true" || q.Get("watch") == "1":
		a.serveWatch(w, r, path, q.Get("labelSelector"))
	default:
		_, kind, _ := collectionOf(path)
		items := a.list(path, q.Get("labelSelector"))
		if items == nil {
			items = []object{}
		}
		a.mu.Lock()
		version := strconv.Itoa(a.version)
		a.mu.Unlock()
		send(w, 200, object{"apiVersion": apiVersion(path), "kind": kind + "List", "metadata": object{"resourceVersion": version}, "items": items})
	}
}

func (a *kubeAPI) object(w http.ResponseWriter, r *http.Request, path string) {
	a.mu.Lock()
	have := a.objects[path]
	a.mu.Unlock()
	_, name := cutLast(path)
	if have == nil {
		status(w, 404, "NotFound", fmt.Sprintf("%q not found", name))
		return
	}
	switch r.Method {
	case "GET":
		send(w, 200, have)
	case "PUT":
		o, err := read(r)
		if err != nil {
			status(w, 400, "BadRequest", err.Error())
			return
		}
		send(w, 200, a.put(path, o))
	case "DELETE":
		send(w, 200, a.drop(path))
	default:
		status(w, 405, "MethodNotAllowed", r.Method)
	}
}

func (a *kubeAPI) serveWatch(w http.ResponseWriter, r *http.Request, path, selector string) {
	ch := make(chan event, 256)
	a.mu.Lock()
	a.watchers[ch] = path
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.watchers, ch)
		a.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	enc, flush := json.NewEncoder(w), w.(http.Flusher)
	for _, o := range a.list(path, selector) {
		_ = enc.Encode(event{Type: "ADDED", Object: o})
	}
	flush.Flush()
	for {
		select {
		case e := <-ch:
			if selects(selector, e.Object) && enc.Encode(e) != nil {
				return
			}
			flush.Flush()
		case <-r.Context().Done():
			return
		case <-a.done:
			return
		}
	}
}
