// Package sim runs VMware's vCenter simulator with what vmbridge's tests need
// on top: guests that check credentials, sessions that expire, faults on
// command, an inventory with the odd shapes of real ones, and a process that
// survives whatever it is asked. It is an outside referee: what clients read
// from it is answered by VMware's code, not by ours. When it fails, tests
// cannot connect or say "recovered from a panic" in the simulator's log.
package sim

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	// The REST side: sessions, tags and categories.
	_ "github.com/vmware/govmomi/vapi/simulator"
)

// Options say what to simulate. The zero value of a count means none.
type Options struct {
	Port         int // 0: any free one
	ControlPort  int // 0: any free one
	Username     string
	Password     string
	GuestLogin   Login
	Dir          string        // where endpoints.json and the certificates go; empty: nowhere
	InstanceUUID string        // of the vCenter; empty: derived from Seed
	APIVersion   string        // empty: the simulator's own
	Seed         int64         // two servers with one seed have the same VM UUIDs
	SessionIdle  time.Duration // 0: sessions never expire
	TaskDelay    time.Duration // how long each task runs before it does anything
	Inventory    Shape
	// ContainerImage is the image of the first ContainerVMs guests.
	ContainerImage string
	ContainerVMs   int
}

// Endpoints is what a client needs; it is the content of endpoints.json.
type Endpoints struct {
	URL           string `json:"url"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	Thumbprint    string `json:"thumbprint"`
	CAFile        string `json:"caFile"`
	ControlURL    string `json:"controlUrl"`
	InstanceUUID  string `json:"instanceUuid"`
	GuestUsername string `json:"guestUsername"`
	GuestPassword string `json:"guestPassword"`
	VMs           int    `json:"vms"`
	PID           int    `json:"pid"`
	// Containers are the VMs with guests that programs run in.
	Containers []ContainerGuest `json:"containers,omitempty"`
}

// Server is a running simulator.
type Server struct {
	Endpoints Endpoints

	model   *simulator.Model
	server  *simulator.Server
	control *http.Server
	client  *vim25.Client
	front   *front
	sess    *sessions
	rules   *rules
	guest   *guestLogins
	tags    *tagBook
	stop    chan struct{}
	engine  *engine
	doors   *doors
	// processes is what runs in guests that are containers.
	processes *guestProcessManager
	// removing has the MoRefs of snapshots whose removal was accepted.
	removing sync.Map
}

// Start builds the inventory, listens on loopback and writes endpoints.json
// last, so that whoever sees the file can connect.
func Start(o Options) (*Server, error) {
	s := &Server{
		rules:  new(rules),
		guest:  &guestLogins{fallback: o.GuestLogin, perVM: make(map[string]Login)},
		stop:   make(chan struct{}),
		engine: newEngine(),
		doors:  newDoors(),
	}
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	if o.InstanceUUID == "" {
		o.InstanceUUID = seededUUID(o.Seed, "vcenter").String()
	}
	if err := s.build(o); err != nil {
		return nil, fmt.Errorf("build the inventory: %w", err)
	}
	if o.TaskDelay > 0 {
		// LockHandoff: the object of a task can be read while the task waits.
		simulator.TaskDelay = simulator.DelayConfig{
			Delay: int(o.TaskDelay.Milliseconds()), MethodDelay: map[string]int{"LockHandoff": 0},
		}
	}
	if err := s.listen(o, id); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.addContainers(o.ContainerImage, o.ContainerVMs); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if o.Dir != "" {
		if err := s.publish(o.Dir, id); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Server) build(o Options) error {
	model := simulator.VPX()
	about := &model.ServiceContent.About
	about.InstanceUuid = o.InstanceUUID
	about.FullName += " (govmomi simulator)"
	if o.APIVersion != "" {
		about.ApiVersion = o.APIVersion
	}
	o.Inventory.stock(model)
	if err := model.Create(); err != nil {
		return err
	}
	s.model = model
	client, err := vim25.NewClient(context.Background(), model.Service)
	if err != nil {
		return fmt.Errorf("connect inside the process: %w", err)
	}
	s.client = client
	addGuestAuthManager(model.Map(), client.ServiceContent)
	b := &builder{
		client: client, model: model, shape: o.Inventory, seed: o.Seed,
		ctx: model.Service.Context,
	}
	if err := b.enrich(); err != nil {
		return err
	}
	s.tags = &tagBook{plan: b.tags}
	return nil
}

func (s *Server) listen(o Options, id *identity) error {
	service := s.model.Service
	service.RegisterEndpoints = true
	service.Listen = &url.URL{
		Host: fmt.Sprintf("127.0.0.1:%d", o.Port),
		User: url.UserPassword(o.Username, o.Password),
	}
	service.TLS = &tls.Config{
		Certificates: []tls.Certificate{id.certificate},
		MinVersion:   tls.VersionTLS12,
	}
	// The stock server panics when the port is taken; find out first.
	probe, err := net.Listen("tcp", service.Listen.Host)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := probe.Close(); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.server = service.NewServer()
	manager := func() *simulator.SessionManager {
		ref := *s.client.ServiceContent.SessionManager
		m, _ := service.Context.Session.Get(ref).(*simulator.SessionManager)
		return m
	}
	s.sess = newSessions(service.ServeMux, vim25.Path, manager, o.SessionIdle)
	s.front = newFront(service.ServeMux, s.rules, s.sess)
	s.model.Map().Handler = s.guard
	if err := s.tags.create(s); err != nil {
		return fmt.Errorf("create the tags: %w", err)
	}
	s.front.tagged = s.tags.changed(s)
	s.server.Config.Handler = s.front
	go s.sess.sweep(s.stop)

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.ControlPort))
	if err != nil {
		return fmt.Errorf("listen for control: %w", err)
	}
	s.control = &http.Server{Handler: s.controlHandler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.control.Serve(listener) }()

	s.Endpoints = Endpoints{
		URL:      "https://" + s.server.Listener.Addr().String() + vim25.Path,
		Username: o.Username, Password: o.Password,
		Thumbprint:    id.thumbprint,
		ControlURL:    "http://" + listener.Addr().String(),
		InstanceUUID:  o.InstanceUUID,
		GuestUsername: o.GuestLogin.Username,
		GuestPassword: o.GuestLogin.Password,
		VMs:           len(s.model.Map().All("VirtualMachine")),
		PID:           os.Getpid(),
	}
	return nil
}

func (s *Server) publish(dir string, id *identity) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolve the directory: %w", err)
	}
	s.Endpoints.CAFile = filepath.Join(dir, "ca.pem")
	endpoints, err := json.MarshalIndent(s.Endpoints, "", "  ")
	if err != nil {
		return fmt.Errorf("encode endpoints.json: %w", err)
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"ca.pem", id.caPEM},
		{"server.pem", id.leafPEM},
		{"thumbprint", []byte(id.thumbprint + "\n")},
		{"endpoints.json", append(endpoints, '\n')},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path+".new", file.data, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// Close stops serving and removes the simulator's temporary files. Long polls
// are cut off, as they are when a vCenter goes down.
func (s *Server) Close() error {
	select {
	case <-s.stop:
		return nil
	default:
		close(s.stop)
	}
	var err error
	if s.control != nil {
		err = s.control.Close()
	}
	if s.server != nil {
		done := make(chan struct{})
		go func() {
			s.server.CloseClientConnections()
			s.server.Close()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
		}
	}
	s.doors.close()
	s.engine.stop()
	if s.model != nil {
		s.model.Remove()
	}
	return err
}

// seededUUID makes the same UUID for the same seed and name, every time.
func seededUUID(seed int64, name string) uuid.UUID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", seed, name))
	id, err := uuid.FromBytes(sum[:16])
	if err != nil {
		panic(err) // 16 bytes always make a UUID
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// find returns the VM with this MoRef value or, failing that, this name.
func (s *Server) find(name string) (*simulator.VirtualMachine, error) {
	registry := s.model.Map()
	ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: name}
	if vm, ok := registry.Get(ref).(*simulator.VirtualMachine); ok {
		return vm, nil
	}
	for _, entity := range registry.All("VirtualMachine") {
		if vm, ok := entity.(*simulator.VirtualMachine); ok && vm.Name == name {
			return vm, nil
		}
	}
	return nil, fmt.Errorf("no VM has the MoRef or the name %q", name)
}
