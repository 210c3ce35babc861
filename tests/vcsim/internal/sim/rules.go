package sim

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// Rule says what goes wrong with which calls. A rule without any effect but
// Delay only slows the call down.
type Rule struct {
	// Method is a SOAP method name ("RetrievePropertiesEx"), "*" for every
	// SOAP call, or a path prefix ("/rest/") for everything else.
	Method string `json:"method"`
	// Skip lets that many matching calls pass first.
	Skip int `json:"skip,omitempty"`
	// Count limits how often the rule acts; 0 means always.
	Count int `json:"count,omitempty"`
	// DelayMs waits before anything else happens, milliseconds.
	DelayMs int `json:"delayMs,omitempty"`
	// Fault answers with this SOAP fault, by its vim25 type name ("NotAuthenticated").
	Fault string `json:"fault,omitempty"`
	// Message is the faultstring of Fault.
	Message string `json:"message,omitempty"`
	// Status answers with this HTTP status and no SOAP body.
	Status int `json:"status,omitempty"`
	// Reset closes the TCP connection without an answer.
	Reset bool `json:"reset,omitempty"`
	// Lose carries the call out and closes the TCP connection without an answer.
	Lose bool `json:"lose,omitempty"`
	// TruncateAt sends only that many bytes of the true answer, then closes
	// the connection. 0 means not truncated.
	TruncateAt int `json:"truncateAt,omitempty"`
	// Expire ends the caller's session before the call is executed.
	Expire bool `json:"expire,omitempty"`

	seen  int
	acted int
}

// RuleState is a rule with what became of it so far.
type RuleState struct {
	Rule
	Seen  int `json:"seen"`
	Acted int `json:"acted"`
}

type rules struct {
	mu   sync.Mutex
	list []*Rule
}

func (r *Rule) check() error {
	if r.Method == "" {
		return fmt.Errorf("method is missing")
	}
	if r.Status != 0 && (r.Status < 400 || r.Status > 599) {
		return fmt.Errorf("status %d is not an error status", r.Status)
	}
	if r.Lose && (r.Reset || r.Status != 0 || r.Fault != "" || r.TruncateAt != 0) {
		return fmt.Errorf("an answer that is lost cannot be another one too")
	}
	if r.Fault != "" {
		if _, err := newFault(r.Fault); err != nil {
			return err
		}
	}
	return nil
}

func (rs *rules) add(list []Rule) error {
	for i := range list {
		if err := list[i].check(); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for i := range list {
		rule := list[i]
		rs.list = append(rs.list, &rule)
	}
	return nil
}

func (rs *rules) clear() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.list = nil
}

func (rs *rules) states() []RuleState {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := make([]RuleState, 0, len(rs.list))
	for _, r := range rs.list {
		out = append(out, RuleState{Rule: *r, Seen: r.seen, Acted: r.acted})
	}
	return out
}

// pick returns the first rule that acts on this call. method is empty for
// calls that are not SOAP.
func (rs *rules) pick(method, path string) *Rule {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.list {
		switch {
		case strings.HasPrefix(r.Method, "/"):
			if !strings.HasPrefix(path, r.Method) {
				continue
			}
		case method == "" || (r.Method != "*" && r.Method != method):
			continue
		}
		if r.Count > 0 && r.acted >= r.Count {
			continue
		}
		r.seen++
		if r.seen <= r.Skip {
			continue
		}
		r.acted++
		picked := *r
		return &picked
	}
	return nil
}

var faultTypes = types.TypeFunc()

// newFault makes an empty fault of the named vim25 type.
func newFault(name string) (types.BaseMethodFault, error) {
	kind, ok := faultTypes(name)
	if !ok {
		return nil, fmt.Errorf("fault %q is not a vim25 type", name)
	}
	fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault)
	if !ok {
		return nil, fmt.Errorf("%q is a vim25 type but not a fault", name)
	}
	return fault, nil
}
