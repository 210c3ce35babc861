package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	user     = "administrator@vsphere.local"
	password = "vcsim-Passw0rd"
)

// small is the smallest inventory that has one of each place.
var small = Shape{VMs: 12, Datacenters: 1, Clusters: 1, Hosts: 1, StandaloneHosts: 1, Pools: 1, Apps: 1, Folders: 5, Datastores: 1}

// start runs a simulator until the end of the test. It calls the same code as
// the command does, over TLS.
func start(t *testing.T, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{
		Username: user, Password: password,
		GuestLogin: Login{"root", "guest-Passw0rd"},
		Dir:        t.TempDir(), Seed: 1, Inventory: small,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := Start(o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// connect makes a client that verifies TLS and has not logged in.
func connect(t *testing.T, s *Server) *vim25.Client {
	t.Helper()
	u, err := url.Parse(s.Endpoints.URL)
	if err != nil {
		t.Fatal(err)
	}
	wire := soap.NewClient(u, false)
	if err := wire.SetRootCAs(s.Endpoints.CAFile); err != nil {
		t.Fatal(err)
	}
	client, err := vim25.NewClient(within(t, 10*time.Second), wire)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return client
}

// login makes a client with a session.
func login(t *testing.T, s *Server) (*vim25.Client, *session.Manager) {
	t.Helper()
	client := connect(t, s)
	manager := session.NewManager(client)
	if err := manager.Login(within(t, 10*time.Second), url.UserPassword(user, password)); err != nil {
		t.Fatalf("log in: %v", err)
	}
	return client, manager
}

// control calls the control port and decodes its answer into T.
func control[T any](t *testing.T, s *Server, method, path string, body any) T {
	t.Helper()
	status, text := controlRaw(t, s, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, status, text)
	}
	var into T
	if err := json.Unmarshal(text, &into); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return into
}

func controlRaw(t *testing.T, s *Server, method, path string, body any) (int, []byte) {
	t.Helper()
	var content io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(within(t, 20*time.Second), method, s.Endpoints.ControlURL+path, content)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}

func stats(t *testing.T, s *Server) Stats {
	t.Helper()
	return control[Stats](t, s, http.MethodGet, "/stats", nil)
}

func mutate(t *testing.T, s *Server, m Mutation) Mutated {
	t.Helper()
	return control[Mutated](t, s, http.MethodPost, "/mutate", m)
}

func addRules(t *testing.T, s *Server, rules ...Rule) {
	t.Helper()
	control[[]RuleState](t, s, http.MethodPost, "/faults", map[string]any{"clear": true, "add": rules})
}

// faultName is the vim25 type of the fault in an error, or "".
func faultName(err error) string {
	if !soap.IsSoapFault(err) {
		return ""
	}
	fault := soap.ToSoapFault(err).VimFault()
	if fault == nil {
		return ""
	}
	kind := reflect.TypeOf(fault)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return kind.Name()
}

func wantFault(t *testing.T, err error, name string) {
	t.Helper()
	if got := faultName(err); got != name {
		t.Fatalf("got fault %q (%v), want %s", got, err, name)
	}
}

// names reads the names of all VMs over the network.
func names(t *testing.T, client *vim25.Client) ([]string, error) {
	t.Helper()
	vms, err := readVMs(t, client, "name")
	found := make([]string, 0, len(vms))
	for _, vm := range vms {
		found = append(found, vm.Name)
	}
	return found, err
}

func readVMs(t *testing.T, client *vim25.Client, paths ...string) ([]mo.VirtualMachine, error) {
	t.Helper()
	return retrieve[mo.VirtualMachine](within(t, 20*time.Second), client, "VirtualMachine", paths...)
}

// eventually waits for a condition, at most five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// post sends raw bytes to the SOAP endpoint in the name of a client's session.
func post(t *testing.T, client *vim25.Client, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t, 10*time.Second), http.MethodPost, client.URL().String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", "urn:vim25/8.0.0.0")
	var status int
	var text []byte
	err = client.Client.Do(req.Context(), req, func(res *http.Response) error {
		status = res.StatusCode
		text, err = io.ReadAll(res.Body)
		return err
	})
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", body, err)
	}
	return status, string(text)
}

func soapCall(method, kind, this, inner string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>` +
		`<` + method + ` xmlns="urn:vim25"><_this type="` + kind + `">` + this + `</_this>` + inner + `</` + method + `></soapenv:Body></soapenv:Envelope>`
}

func ref(kind, value string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: kind, Value: value}
}

// retrieve reads all objects of a type through a container view.
func retrieve[T any](ctx context.Context, client *vim25.Client, kind string, paths ...string) ([]T, error) {
	v, err := view.NewManager(client).CreateContainerView(ctx, client.ServiceContent.RootFolder, []string{kind}, true)
	if err != nil {
		return nil, err
	}
	var found []T
	if err := v.Retrieve(ctx, []string{kind}, paths, &found); err != nil {
		return found, err // as it is: soap.IsSoapFault looks no deeper
	}
	return found, v.Destroy(ctx)
}
