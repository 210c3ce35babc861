package sim

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// ticketLife is how long the address of a transfer is good for.
const ticketLife = 2 * time.Minute

// transfer is what a ticket allows, once.
type transfer struct {
	in    insider
	put   bool
	path  string
	mode  int64
	size  int64
	until time.Time
}

// doors are the ESXi hosts as far as they take part in guest operations: the
// bytes of files go to the host of the VM, over HTTPS, with a certificate that
// no authority signed and that vCenter tells (HostSystem.config.certificate).
// The stock simulator serves them itself, under the certificate of vCenter, to
// everybody who knows the container.
type doors struct {
	mu      sync.Mutex
	hosts   map[types.ManagedObjectReference]*door
	tickets map[string]transfer
}

type door struct {
	address string
	server  *http.Server
	pem     []byte
}

func newDoors() *doors {
	return &doors{hosts: make(map[types.ManagedObjectReference]*door), tickets: make(map[string]transfer)}
}

// open lets a host listen and tells its certificate, unless it does already.
func (d *doors) open(s *Server, ref types.ManagedObjectReference) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.hosts[ref]; ok {
		return nil
	}
	host, ok := s.model.Map().Get(ref).(*simulator.HostSystem)
	if !ok {
		return fmt.Errorf("%s is no host", ref.Value)
	}
	id, err := newIdentity()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen as %s: %w", ref.Value, err)
	}
	opened := &door{
		address: listener.Addr().String(),
		server: &http.Server{
			Handler: http.HandlerFunc(d.serve), ReadHeaderTimeout: 10 * time.Second,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{id.certificate}, MinVersion: tls.VersionTLS12},
		},
		pem: id.leafPEM,
	}
	d.hosts[ref] = opened
	go func() { _ = opened.server.ServeTLS(listener, "", "") }()
	s.model.Map().AtomicUpdate(s.internal(), host, []types.PropertyChange{
		{Name: "config.certificate", Val: types.ByteSlice(id.leafPEM)},
	})
	return nil
}

func (d *doors) ticket(host types.ManagedObjectReference, token string, t transfer) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	opened, ok := d.hosts[host]
	if !ok {
		return "", fmt.Errorf("the host %s does not listen", host.Value)
	}
	for known, old := range d.tickets {
		if old.until.Before(time.Now()) {
			delete(d.tickets, known)
		}
	}
	d.tickets[token] = t
	return fmt.Sprintf("https://%s/guestFile?id=%d&token=%s", opened.address, len(d.tickets), token), nil
}

func (d *doors) take(token string, put bool) (transfer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.tickets[token]
	if !ok || t.put != put || t.until.Before(time.Now()) {
		return transfer{}, false
	}
	delete(d.tickets, token)
	return t, true
}

func (d *doors) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/guestFile" || (r.Method != http.MethodPut && r.Method != http.MethodGet) {
		http.NotFound(w, r)
		return
	}
	t, ok := d.take(r.URL.Query().Get("token"), r.Method == http.MethodPut)
	if !ok {
		http.Error(w, "the ticket is not valid", http.StatusForbidden)
		return
	}
	err := t.send(w)
	if t.put {
		err = t.receive(w, r)
	}
	if err != nil {
		log.Printf("a guest: %s: %v", shown(t), err)
	}
}

func (t transfer) receive(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength != t.size {
		http.Error(w, "the length is not the one that was announced", http.StatusBadRequest)
		return fmt.Errorf("%d bytes instead of %d", r.ContentLength, t.size)
	}
	text, code, err := t.in.script(io.LimitReader(r.Body, t.size), putScript, t.path, strconv.FormatInt(t.mode, 8))
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, text)
	}
	if err != nil {
		http.Error(w, "the file could not be written", http.StatusInternalServerError)
	}
	return err
}

func (t transfer) send(w http.ResponseWriter) error {
	if t.put {
		return nil
	}
	cmd := exec.CommandContext(t.in.engine.ctx, "docker", t.in.arguments(nil, "cat", "--", t.path)...)
	w.Header().Set("Content-Length", strconv.FormatInt(t.size, 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	cmd.Stdout = w
	return cmd.Run()
}

func (d *doors) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, opened := range d.hosts {
		_ = opened.server.Close()
	}
}
