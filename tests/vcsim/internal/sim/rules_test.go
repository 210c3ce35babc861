package sim

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
)

func now(t *testing.T, client *vim25.Client) error {
	t.Helper()
	_, err := methods.GetCurrentTime(within(t, 10*time.Second), client)
	return err
}

func TestAFaultRuleActsAsOftenAsItSays(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CurrentTime", Skip: 1, Count: 2, Fault: "NotAuthenticated", Message: "scripted"})
	for i, want := range []string{"", "NotAuthenticated", "NotAuthenticated", ""} {
		err := now(t, client)
		if got := faultName(err); got != want || (want == "" && err != nil) {
			t.Errorf("call %d: got %q (%v), want %q", i, got, err, want)
		}
		if want != "" && !strings.Contains(err.Error(), "scripted") {
			t.Errorf("call %d: the message is missing in %v", i, err)
		}
	}
	rule := stats(t, s).Rules[0]
	if rule.Seen != 3 || rule.Acted != 2 {
		t.Errorf("the rule saw %d and acted on %d calls, want 3 and 2", rule.Seen, rule.Acted)
	}
	if _, err := names(t, client); err != nil {
		t.Errorf("another method is disturbed: %v", err)
	}
}

func TestClearedRulesDoNothing(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "*", Fault: "SystemError"})
	wantFault(t, now(t, client), "SystemError")
	control[[]RuleState](t, s, http.MethodDelete, "/faults", nil)
	if err := now(t, client); err != nil {
		t.Errorf("still disturbed: %v", err)
	}
}

func TestAnHTTPStatus(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CurrentTime", Status: http.StatusServiceUnavailable, Message: "busy"})
	status, text := post(t, client, soapCall("CurrentTime", "ServiceInstance", "ServiceInstance", ""))
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "busy") {
		t.Errorf("got status %d: %s", status, text)
	}
}

func TestARuleForREST(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	tagging := rest.NewClient(client)
	addRules(t, s, Rule{Method: "/rest/", Count: 1, Status: http.StatusTooManyRequests})
	login := url.UserPassword(user, password)
	if err := tagging.Login(within(t, 10*time.Second), login); !rest.IsStatusError(err, http.StatusTooManyRequests) {
		t.Errorf("got %v, want status 429", err)
	}
	if err := tagging.Login(within(t, 10*time.Second), login); err != nil {
		t.Errorf("the second call is disturbed too: %v", err)
	}
}

func TestAReset(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CurrentTime", Count: 1, Reset: true})
	err := now(t, client)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a connection that was reset", err)
	}
	if err := now(t, client); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestALostAnswer(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CreateSnapshot_Task", Count: 1, Lose: true})
	vm := object.NewVirtualMachine(client, vmWith(t, client, on, running))
	_, err := vm.CreateSnapshot(within(t, 10*time.Second), "lost", "", false, false)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want a connection that was reset", err)
	}
	eventually(t, "what was asked for is done", func() bool {
		_, err := vm.FindSnapshot(within(t, 10*time.Second), "lost")
		return err == nil
	})
}

func TestATruncatedAnswer(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CurrentTime", Count: 1, TruncateAt: 100})
	req, err := http.NewRequestWithContext(within(t, 10*time.Second), http.MethodPost, client.URL().String(),
		strings.NewReader(soapCall("CurrentTime", "ServiceInstance", "ServiceInstance", "")))
	if err != nil {
		t.Fatal(err)
	}
	called := false
	err = client.Client.Do(req.Context(), req, func(res *http.Response) error {
		called = true
		text, err := io.ReadAll(res.Body)
		if len(text) != 100 || res.ContentLength <= 100 {
			t.Errorf("got %d of %d bytes, want 100 of more", len(text), res.ContentLength)
		}
		return err
	})
	if err == nil || !called {
		t.Errorf("want the beginning of an answer and then an error, got %v", err)
	}
	if err := now(t, client); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestAnExpiredSession(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "RetrieveProperties", Count: 1, Expire: true}, Rule{Method: "RetrievePropertiesEx", Count: 1, Expire: true})
	_, err := names(t, client)
	wantFault(t, err, "NotAuthenticated")
	if got := stats(t, s).Sessions; got.SOAP != 0 || got.Ended == 0 {
		t.Errorf("the session is still there: %+v", got)
	}
}

func TestADelay(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	addRules(t, s, Rule{Method: "CurrentTime", DelayMs: 200})
	began := time.Now()
	if err := now(t, client); err != nil {
		t.Errorf("a delay alone must not fail: %v", err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("took %s, want at least 200 ms", took)
	}
}

func TestNonsensicalRulesAreRefused(t *testing.T) {
	s := start(t)
	for _, rule := range []map[string]any{
		{"method": "Login", "fault": "NoSuchFault"},
		{"method": "Login", "fault": "VirtualMachineConfigInfo"},
		{"method": "Login", "status": 200},
		{"method": "Login", "lose": true, "status": 500},
		{"fault": "NotAuthenticated"},
		{"method": "Login", "misspelt": 1},
	} {
		status, text := controlRaw(t, s, http.MethodPost, "/faults", map[string]any{"add": []any{rule}})
		if status != http.StatusBadRequest {
			t.Errorf("%v: status %d: %s", rule, status, text)
		}
	}
	if got := stats(t, s).Rules; len(got) != 0 {
		t.Errorf("refused rules are kept: %+v", got)
	}
}
