package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	soapCookie  = "vmware_soap_session"
	restCookie  = "vmware-api-session-id"
	restSession = "/rest/com/vmware/cis/session"
)

// front stands between the network and the stock simulator: it counts, breaks
// calls on request, keeps the books of sessions, and recovers from panics.
type front struct {
	next  http.Handler
	rules *rules
	sess  *sessions
	// tagged is told of each change of a tag association made over REST.
	tagged func(r *http.Request, body []byte)

	mu       sync.Mutex
	calls    map[string]int
	inFlight map[string]int
	bytesOut int64
	panics   int
	// running maps a request (by address) to what it executes, so that a lock
	// left behind by a panic can be released.
	running map[uintptr]execution
}

type execution struct {
	ctx *simulator.Context
	ref types.ManagedObjectReference
}

func newFront(next http.Handler, rules *rules, sess *sessions) *front {
	return &front{
		next: next, rules: rules, sess: sess,
		calls:    make(map[string]int),
		inFlight: make(map[string]int),
		running:  make(map[uintptr]execution),
	}
}

var (
	soapMethod = regexp.MustCompile(`<(?:[\w.-]+:)?Body[^>]*>\s*<(?:[\w.-]+:)?([\w.-]+)`)
	soapThis   = regexp.MustCompile(`<(?:[\w.-]+:)?_this[^>]*>\s*([^<\s]+)`)
)

// remember links the network request behind ctx to the object it locks. The
// simulator does not export the request of its context.
func (f *front) remember(ctx *simulator.Context, ref types.ManagedObjectReference) {
	req := reflect.ValueOf(ctx).Elem().FieldByName("req")
	if !req.IsValid() || req.IsNil() {
		return // a call from inside the process
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.running[req.Pointer()]; ok {
		f.running[req.Pointer()] = execution{ctx, ref}
	}
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		http.Error(w, "the request body could not be read", http.StatusBadRequest)
		return
	}
	var method, this string
	name := r.Method + " " + r.URL.Path
	if strings.HasPrefix(r.URL.Path, "/sdk") && r.Method == http.MethodPost {
		head := body[:min(len(body), 64<<10)]
		if m := soapMethod.FindSubmatch(head); m != nil {
			method = string(m[1])
			name = method
		}
		if m := soapThis.FindSubmatch(head); m != nil {
			this = string(m[1])
		}
	}
	f.begin(name)
	defer f.end(name)

	rule := f.rules.pick(method, r.URL.Path)
	out := &response{ResponseWriter: w, status: http.StatusOK}
	if rule != nil && f.disturb(out, r, rule) {
		return
	}

	var call *call
	if method != "" {
		call = f.sess.enter(soapSessionID(r), method, this)
		defer f.sess.leave(call)
	} else if strings.HasPrefix(r.URL.Path, "/rest/") || strings.HasPrefix(r.URL.Path, "/api") {
		f.sess.touchREST(restSessionID(r))
	}

	r.Body = io.NopCloser(bytes.NewReader(body))
	truncate := rule != nil && rule.TruncateAt > 0
	lose := rule != nil && rule.Lose
	if truncate || lose || r.URL.Path == restSession {
		out.buffer = new(bytes.Buffer)
	}
	f.serve(out, r)
	f.mu.Lock()
	f.bytesOut += out.written
	f.mu.Unlock()
	if out.buffer != nil {
		f.noteRESTSession(out, r)
		if lose {
			out.reset()
			return
		}
		if truncate && out.buffer.Len() > rule.TruncateAt {
			out.truncate(rule.TruncateAt)
		}
		out.flush()
	}
	if f.tagged != nil && out.status == http.StatusOK && r.Method == http.MethodPost &&
		strings.Contains(r.URL.Path, "/tagging/tag-association") {
		f.tagged(r, body)
	}
}

// serve calls the stock simulator and survives its panics.
func (f *front) serve(w *response, r *http.Request) {
	key := reflect.ValueOf(r).Pointer()
	f.mu.Lock()
	f.running[key] = execution{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		done := f.running[key]
		delete(f.running, key)
		f.mu.Unlock()
		problem := recover()
		if problem == nil {
			return
		}
		if problem == http.ErrAbortHandler { //nolint:errorlint // net/http compares it this way
			panic(problem)
		}
		log.Printf("recovered from a panic of the simulator in %s: %v\n%s", r.URL.Path, problem, debug.Stack())
		f.mu.Lock()
		f.panics++
		f.mu.Unlock()
		if done.ctx != nil {
			release(done)
		}
		if !w.started {
			writeFault(w, "the simulator failed: "+fmt.Sprint(problem), &types.SystemError{Reason: fmt.Sprint(problem)})
		}
	}()
	f.next.ServeHTTP(w, r)
}

// release gives back the lock that a panic left behind. A lock counts how
// often its owner took it; the panic skipped one release. Acquiring once more
// yields the function that releases, which is then called for both.
func release(left execution) {
	defer func() {
		// Releasing a lock that is not held panics: then it was not left behind.
		_ = recover()
	}()
	if left.ctx.Map == nil || left.ctx.Map.Get(left.ref) == nil {
		return
	}
	unlock := left.ctx.Map.AcquireLock(left.ctx, left.ref)
	unlock()
	unlock()
}

// disturb carries out a rule; true means the call has been answered.
func (f *front) disturb(w *response, r *http.Request, rule *Rule) bool {
	if rule.DelayMs > 0 {
		select {
		case <-time.After(time.Duration(rule.DelayMs) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	if rule.Expire {
		f.sess.terminate(soapSessionID(r), restSessionID(r))
	}
	switch {
	case rule.Reset:
		w.reset()
	case rule.Status != 0:
		http.Error(w, rule.Message, rule.Status)
	case rule.Fault != "":
		fault, err := newFault(rule.Fault)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return true
		}
		writeFault(w, rule.Message, fault)
	default:
		return false
	}
	return true
}

func (f *front) begin(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
	f.inFlight[name]++
}

func (f *front) end(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight[name]--; f.inFlight[name] <= 0 {
		delete(f.inFlight, name)
	}
}

// noteRESTSession keeps the list of REST sessions, which the simulator does
// not let us read.
func (f *front) noteRESTSession(w *response, r *http.Request) {
	if w.status != http.StatusOK || r.URL.Path != restSession {
		return
	}
	switch r.Method {
	case http.MethodPost:
		var answer struct{ Value string }
		if r.URL.RawQuery == "" && json.Unmarshal(w.buffer.Bytes(), &answer) == nil && answer.Value != "" {
			f.sess.addREST(answer.Value)
		}
	case http.MethodDelete:
		f.sess.dropREST(restSessionID(r))
	}
}

func soapSessionID(r *http.Request) string {
	if cookie, err := r.Cookie(soapCookie); err == nil {
		return strings.Trim(cookie.Value, `"`)
	}
	return ""
}

func restSessionID(r *http.Request) string {
	if id := r.Header.Get(restCookie); id != "" {
		return id
	}
	if cookie, err := r.Cookie(restCookie); err == nil {
		return cookie.Value
	}
	return ""
}
