package sim

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// builder adds VMs and the irregularities of real life to a stock model.
type builder struct {
	client *vim25.Client
	model  *simulator.Model
	ctx    *simulator.Context
	shape  Shape
	seed   int64

	fields map[string]types.CustomFieldDef
	tags   []tagging // what is to be attached once REST is up
	sites  []*site
	places []place
	first  *simulator.VirtualMachine
}

// site is a datacenter with what VMs in it can use.
type site struct {
	vmFolder   *simulator.Folder
	folders    []*simulator.Folder
	datastores []*simulator.Datastore
	networks   []network
}

type network struct {
	ref     types.ManagedObjectReference
	name    string
	backing types.BaseVirtualDeviceBackingInfo
}

// place is where a VM can run.
type place struct {
	site  *site
	pool  types.ManagedObjectReference
	app   bool
	hosts []*simulator.HostSystem
}

func (b *builder) random(i int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(b.seed), uint64(i)))
}

func (b *builder) enrich() error {
	ctx := context.Background()
	if err := b.addFields(ctx); err != nil {
		return fmt.Errorf("custom fields: %w", err)
	}
	datacenters, err := find.NewFinder(b.client).DatacenterList(ctx, "/...")
	if err != nil {
		if b.shape.Datacenters == 0 {
			return nil
		}
		return fmt.Errorf("list the datacenters: %w", err)
	}
	for _, dc := range datacenters {
		if err := b.addSite(ctx, dc); err != nil {
			return fmt.Errorf("datacenter %s: %w", dc.InventoryPath, err)
		}
	}
	b.varyHosts()
	b.varyDatastores()
	for i := range b.shape.VMs {
		if err := b.addVM(ctx, i); err != nil {
			return fmt.Errorf("VM %d: %w", i, err)
		}
	}
	return nil
}

func (b *builder) addFields(ctx context.Context) error {
	manager, err := object.GetCustomFieldsManager(b.client)
	if err != nil {
		return err
	}
	b.fields = make(map[string]types.CustomFieldDef)
	for _, field := range []struct{ name, kind string }{
		{"Owner", "VirtualMachine"}, {"Cost Centre", ""}, {"Wartungsfenster", "VirtualMachine"}, {"Rack", "HostSystem"},
	} {
		def, err := manager.Add(ctx, field.name, field.kind, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
		b.fields[field.name] = *def
	}
	b.correctFieldTypes(manager.Reference())
	return nil
}

// correctFieldTypes makes every custom field one of strings, as on vCenter. The
// simulator gives the type of the objects instead, or for a field of all types
// nothing, which pyVmomi refuses to read.
func (b *builder) correctFieldTypes(manager types.ManagedObjectReference) {
	correct := func(defs []types.CustomFieldDef) {
		for i := range defs {
			defs[i].Type = "string"
		}
	}
	registry := b.model.Map()
	if fields, ok := registry.Get(manager).(*simulator.CustomFieldsManager); ok {
		correct(fields.Field)
	}
	for _, host := range registry.All("HostSystem") {
		correct(host.Entity().AvailableField)
	}
}

func (b *builder) addSite(ctx context.Context, dc *object.Datacenter) error {
	registry := b.model.Map()
	datacenter, ok := registry.Get(dc.Reference()).(*simulator.Datacenter)
	if !ok {
		return fmt.Errorf("not a datacenter: %s", dc.Reference())
	}
	vmFolder, ok := registry.Get(datacenter.VmFolder).(*simulator.Folder)
	if !ok {
		return fmt.Errorf("has no VM folder")
	}
	s := &site{vmFolder: vmFolder, folders: []*simulator.Folder{vmFolder}}
	b.sites = append(b.sites, s)

	for i := range b.shape.Folders {
		parent := s.folders[(i*2/3)%len(s.folders)]
		if depth(registry, parent) >= 4 {
			parent = vmFolder
		}
		name := folderNames[i%len(folderNames)]
		if n := i / len(folderNames); n > 0 {
			name = fmt.Sprintf("%s %d", name, n)
		}
		made, err := object.NewFolder(b.client, parent.Self).CreateFolder(ctx, name)
		if err != nil {
			return fmt.Errorf("folder %s: %w", name, err)
		}
		if folder, ok := registry.Get(made.Reference()).(*simulator.Folder); ok {
			s.folders = append(s.folders, folder)
		}
	}
	for _, ref := range datacenter.Datastore {
		if ds, ok := registry.Get(ref).(*simulator.Datastore); ok {
			s.datastores = append(s.datastores, ds)
		}
	}
	if err := b.addNetworks(ctx, s, datacenter.Network); err != nil {
		return err
	}
	b.addPlaces(s, datacenter.HostFolder)
	return nil
}

func (b *builder) addNetworks(ctx context.Context, s *site, refs []types.ManagedObjectReference) error {
	for _, ref := range refs {
		switch net := b.model.Map().Get(ref).(type) {
		case *mo.Network:
			s.networks = append(s.networks, network{ref, net.Name, &types.VirtualEthernetCardNetworkBackingInfo{
				VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: net.Name},
				Network:                        &net.Self,
			}})
		case *simulator.DistributedVirtualPortgroup:
			backing, err := object.NewDistributedVirtualPortgroup(b.client, ref).EthernetCardBackingInfo(ctx)
			if err != nil {
				return fmt.Errorf("port group %s: %w", net.Name, err)
			}
			s.networks = append(s.networks, network{ref, net.Name, backing})
		}
	}
	if len(s.networks) == 0 {
		return fmt.Errorf("has no network")
	}
	return nil
}

// addPlaces walks the host folder of a datacenter.
func (b *builder) addPlaces(s *site, folder types.ManagedObjectReference) {
	registry := b.model.Map()
	parent, ok := registry.Get(folder).(*simulator.Folder)
	if !ok {
		return
	}
	for _, child := range parent.ChildEntity {
		var compute *mo.ComputeResource
		switch c := registry.Get(child).(type) {
		case *simulator.Folder:
			b.addPlaces(s, child)
		case *simulator.ClusterComputeResource:
			compute = &c.ComputeResource
		case *mo.ComputeResource:
			compute = c
		}
		if compute == nil || compute.ResourcePool == nil {
			continue
		}
		var hosts []*simulator.HostSystem
		for _, ref := range compute.Host {
			if host, ok := registry.Get(ref).(*simulator.HostSystem); ok {
				hosts = append(hosts, host)
			}
		}
		if len(hosts) > 0 {
			b.addPools(s, *compute.ResourcePool, hosts)
		}
	}
}

func (b *builder) addPools(s *site, ref types.ManagedObjectReference, hosts []*simulator.HostSystem) {
	var children []types.ManagedObjectReference
	app := false
	switch pool := b.model.Map().Get(ref).(type) {
	case *simulator.ResourcePool:
		children = pool.ResourcePool.ResourcePool
	case *simulator.VirtualApp:
		children = pool.ResourcePool.ResourcePool
		app = true
		// The simulator puts every vApp into the top folder, and tells the folder nothing.
		folder := s.folders[len(b.places)%len(s.folders)]
		pool.ParentFolder = &folder.Self
		folder.ChildEntity = append(folder.ChildEntity, pool.Self)
	}
	b.places = append(b.places, place{s, ref, app, hosts})
	for _, child := range children {
		b.addPools(s, child, hosts)
	}
}

func depth(registry *simulator.Registry, folder *simulator.Folder) int {
	n := 0
	for folder.Parent != nil {
		parent, ok := registry.Get(*folder.Parent).(*simulator.Folder)
		if !ok {
			break
		}
		folder = parent
		n++
	}
	return n
}

func (b *builder) varyHosts() {
	n := 0
	for _, s := range b.sites {
		seen := make(map[types.ManagedObjectReference]bool)
		for _, p := range b.places {
			if p.site != s {
				continue
			}
			for _, host := range p.hosts {
				if seen[host.Self] {
					continue
				}
				seen[host.Self] = true
				b.varyHost(host, n)
				n++
			}
		}
	}
}

func (b *builder) varyHost(host *simulator.HostSystem, n int) {
	if host.Summary.Hardware != nil {
		hardware := *host.Summary.Hardware
		hardware.Uuid = seededUUID(b.seed, "host/"+host.Name).String()
		hardware.Vendor = []string{"Dell Inc.", "HPE", "VMware, Inc."}[n%3]
		hardware.Model = []string{"PowerEdge R750", "ProLiant DL380 Gen10", "VMware Virtual Platform"}[n%3]
		hardware.NumCpuCores = []int16{16, 32, 64}[n%3]
		hardware.MemorySize = int64(256+128*(n%4)) << 30
		host.Summary.Hardware = &hardware
	}
	rack := &types.CustomFieldStringValue{
		CustomFieldValue: types.CustomFieldValue{Key: b.fields["Rack"].Key}, Value: fmt.Sprintf("R%02d", n),
	}
	host.CustomValue = append(host.CustomValue, rack)
	host.Value = append(host.Value, rack)
	if n == 2 {
		host.Runtime.InMaintenanceMode = true
		host.Summary.Runtime.InMaintenanceMode = true
	}
	b.tags = append(b.tags, tagging{"Environment", "Production", host.Self})
}

func (b *builder) varyDatastores() {
	for _, s := range b.sites {
		for n, ds := range s.datastores {
			ds.Summary.Type = []string{"VMFS", "NFS", "vsan"}[n%3]
			ds.Summary.Capacity = int64(n+1) << 42
			ds.Summary.FreeSpace = int64(n+1)<<42 - int64(n+3)<<37 - 12345
			ds.Summary.MaintenanceMode = string(types.DatastoreSummaryMaintenanceModeStateNormal)
			if n == 2 {
				ds.Summary.MaintenanceMode = string(types.DatastoreSummaryMaintenanceModeStateInMaintenance)
			}
		}
	}
}

// makeFirst has the simulator itself create one powered-off VM; the others
// are copies of it.
func (b *builder) makeFirst(ctx context.Context, name string, p place, folder *simulator.Folder) (*simulator.VirtualMachine, error) {
	ds := p.site.datastores[0]
	var devices object.VirtualDeviceList // disks follow, as for the copies
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return nil, err
	}
	devices = append(devices, scsi)
	nic := esx.EthernetCard
	nic.Backing = p.site.networks[0].backing
	devices = append(devices, &nic)
	change, err := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		return nil, err
	}
	spec := types.VirtualMachineConfigSpec{
		Name: name, GuestId: "otherGuest", DeviceChange: change,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + ds.Name + "]"},
	}
	var host *object.HostSystem
	if len(p.hosts) == 1 {
		host = object.NewHostSystem(b.client, p.hosts[0].Self)
	}
	t, err := object.NewFolder(b.client, folder.Self).CreateVM(ctx, spec, object.NewResourcePool(b.client, p.pool), host)
	if err != nil {
		return nil, err
	}
	info, err := t.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := info.Result.(types.ManagedObjectReference)
	if !ok {
		return nil, fmt.Errorf("CreateVM gave no VM but %T", info.Result)
	}
	vm, ok := b.model.Map().Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return nil, fmt.Errorf("the created VM %s is gone", ref)
	}
	return vm, nil
}
