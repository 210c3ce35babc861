// Command vcsim runs VMware's vCenter simulator, extended for vmbridge's
// tests, until SIGTERM or SIGINT. See ../../README.md.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"vmbridge/tests/vcsim/internal/sim"
)

func main() {
	if err := run(); err != nil {
		log.Fatalf("vcsim: %v", err)
	}
}

func run() error {
	o := sim.Options{Inventory: sim.DefaultShape()}
	shape := &o.Inventory
	flag.IntVar(&o.Port, "port", 0, "loopback port for clients (0: any free one)")
	flag.IntVar(&o.ControlPort, "control-port", 0, "loopback port for control (0: any free one)")
	flag.StringVar(&o.Dir, "dir", "", "directory for endpoints.json, ca.pem, server.pem and thumbprint")
	flag.StringVar(&o.Username, "username", "administrator@vsphere.local", "the user who may log in")
	flag.StringVar(&o.Password, "password", "vcsim-Passw0rd", "the password of that user")
	flag.StringVar(&o.GuestLogin.Username, "guest-username", "root", "the user whom guests accept")
	flag.StringVar(&o.GuestLogin.Password, "guest-password", "guest-Passw0rd", "the password whom guests accept")
	flag.StringVar(&o.InstanceUUID, "instance-uuid", "", "instance UUID of the vCenter (default: from the seed)")
	flag.StringVar(&o.APIVersion, "api-version", "8.0.3.0", "API version to announce; empty: the simulator's own, which is older than its answers")
	flag.Int64Var(&o.Seed, "seed", 1, "source of UUIDs and of every choice; the same seed gives the same fleet")
	flag.DurationVar(&o.SessionIdle, "session-idle", 0, "sessions idle for longer end (0: never)")
	flag.DurationVar(&o.TaskDelay, "task-delay", 0, "how long each task runs before it does anything")
	flag.IntVar(&shape.VMs, "vms", shape.VMs, "VMs in all")
	flag.IntVar(&shape.Datacenters, "dcs", shape.Datacenters, "datacenters")
	flag.IntVar(&shape.Clusters, "clusters", shape.Clusters, "clusters per datacenter")
	flag.IntVar(&shape.Hosts, "hosts", shape.Hosts, "hosts per cluster")
	flag.IntVar(&shape.StandaloneHosts, "standalone-hosts", shape.StandaloneHosts, "hosts outside clusters per datacenter")
	flag.IntVar(&shape.Pools, "pools", shape.Pools, "resource pools per cluster")
	flag.IntVar(&shape.Apps, "apps", shape.Apps, "vApps per cluster")
	flag.IntVar(&shape.Folders, "folders", shape.Folders, "VM folders per datacenter")
	flag.IntVar(&shape.Datastores, "datastores", shape.Datastores, "datastores per datacenter")
	flag.StringVar(&o.ContainerImage, "container-image", "", "image of the guests that are containers")
	flag.IntVar(&o.ContainerVMs, "container-vms", 0, "VMs whose guests are containers (needs docker)")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if err := shape.Check(); err != nil {
		return err
	}

	// Before anything is started: a signal during the start must clean up too.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)

	began := time.Now()
	server, err := sim.Start(o)
	if err != nil {
		return err
	}
	log.Printf("serving %d VMs at %s, control at %s, after %s",
		server.Endpoints.VMs, server.Endpoints.URL, server.Endpoints.ControlURL, time.Since(began).Round(time.Millisecond))
	log.Printf("stopping on %s", <-signals)
	return server.Close()
}
