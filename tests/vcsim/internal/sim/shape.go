package sim

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
)

// Shape is the size of the inventory.
type Shape struct {
	VMs             int // in the whole vCenter
	Datacenters     int
	Clusters        int // per datacenter
	Hosts           int // per cluster
	StandaloneHosts int // per datacenter
	Pools           int // child resource pools per cluster
	Apps            int // vApps per cluster
	Folders         int // VM folders per datacenter, nested up to four deep
	Datastores      int // per datacenter
}

// Check refuses shapes that have no place for their VMs.
func (s Shape) Check() error {
	for _, n := range []struct {
		name  string
		value int
	}{
		{"vms", s.VMs}, {"dcs", s.Datacenters}, {"clusters", s.Clusters}, {"hosts", s.Hosts},
		{"standalone-hosts", s.StandaloneHosts}, {"pools", s.Pools}, {"apps", s.Apps},
		{"folders", s.Folders}, {"datastores", s.Datastores},
	} {
		if n.value < 0 {
			return fmt.Errorf("%s cannot be negative", n.name)
		}
	}
	if s.VMs == 0 {
		return nil
	}
	if s.Datacenters == 0 || s.Datastores == 0 || (s.Clusters*s.Hosts == 0 && s.StandaloneHosts == 0) {
		return fmt.Errorf("VMs need a datacenter, a datastore, and a host")
	}
	return nil
}

// stock asks the simulator's own builder for everything but VMs; building
// those one by one through its API takes 50 ms each.
func (s Shape) stock(m *simulator.Model) {
	m.Datacenter = s.Datacenters
	m.Cluster = s.Clusters
	m.ClusterHost = s.Hosts
	m.Host = s.StandaloneHosts
	m.Pool = s.Pools
	m.App = s.Apps
	m.Datastore = s.Datastores
	m.Machine = 0
	m.Portgroup = 2
	m.OpaqueNetwork = 1
	m.Pod = 1
	if s.Datacenters > 1 {
		m.Folder = 1 // the last datacenter lies in a folder, with folders of its own inside
	}
}

// DefaultShape is large enough to hold one of everything.
func DefaultShape() Shape {
	return Shape{
		VMs: 60, Datacenters: 2, Clusters: 2, Hosts: 3, StandaloneHosts: 1,
		Pools: 2, Apps: 1, Folders: 12, Datastores: 3,
	}
}

// folderNames are as a person types them; "%", "/" and "\" become "%25", "%2f"
// and "%5c" in the inventory.
var folderNames = []string{
	"Prod", "Web", "Büro München", "東京", "Lager/Nord", "Test", "50% spare", `a\b`, "Datenbanken", "Архив", "DMZ", "Discovered virtual machine",
}

// vmNames gives every few VMs a name that trips careless programs. These are
// formats for names as vCenter gives them out, escaped.
var vmNames = []string{
	"web-%04d", "db-%04d", "app-%04d", "win-%04d", "büro-%04d", "サーバー-%04d",
	"a%%2fb-%04d", "100%%25-%04d", "back%%5cslash-%04d", "with space %04d", "quote\"<&>'-%04d",
	"dc-%04d", "cache-%04d", "mail-%04d", "UPPER.Case_%04d",
}
