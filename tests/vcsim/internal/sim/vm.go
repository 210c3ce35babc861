package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// epoch is when everything in the inventory was made; a fixed time keeps two
// runs with one seed alike.
var epoch = time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)

// addVM puts the i-th VM into the inventory.
func (b *builder) addVM(ctx context.Context, i int) error {
	r := b.random(i)
	p := b.places[i%len(b.places)]
	folder := p.site.folders[r.IntN(len(p.site.folders))]
	if b.first == nil {
		first, err := b.makeFirst(ctx, "first", p, folder)
		if err != nil {
			return err
		}
		b.first = first
		b.place(first, i, r, p, folder)
		return b.files(first, p)
	}
	vm := b.copyOf(b.first)
	b.model.Map().Put(vm)
	b.place(vm, i, r, p, folder)
	if vm.Parent != nil {
		folder.ChildEntity = append(folder.ChildEntity, vm.Self)
	}
	host := p.hosts[(i/len(b.places))%len(p.hosts)]
	vm.Runtime.Host = &host.Self
	vm.Summary.Runtime.Host = &host.Self
	host.Vm = append(host.Vm, vm.Self)
	if !vm.Config.Template {
		switch pool := b.model.Map().Get(p.pool).(type) {
		case *simulator.ResourcePool:
			pool.Vm = append(pool.Vm, vm.Self)
		case *simulator.VirtualApp:
			pool.Vm = append(pool.Vm, vm.Self)
		}
	}
	for _, ds := range p.site.datastores {
		if slices.Contains(vm.Datastore, ds.Self) && !slices.Contains(ds.Vm, vm.Self) {
			ds.Vm = append(ds.Vm, vm.Self)
		}
	}
	return b.files(vm, p)
}

// copyOf copies a VM so far that no later change of one shows in the other.
func (b *builder) copyOf(first *simulator.VirtualMachine) *simulator.VirtualMachine {
	vm := new(simulator.VirtualMachine)
	vm.VirtualMachine = first.VirtualMachine
	vm.Self = types.ManagedObjectReference{}
	vm.DataSets = make(map[string]*simulator.DataSet)
	vm.Config = clone(first.Config)
	vm.Config.Files = first.Config.Files
	vm.Config.Tools = clone(first.Config.Tools)
	vm.Config.BootOptions = clone(first.Config.BootOptions)
	vm.Config.CpuAllocation = clone(first.Config.CpuAllocation)
	vm.Config.MemoryAllocation = clone(first.Config.MemoryAllocation)
	vm.Config.ExtraConfig = slices.Clone(first.Config.ExtraConfig)
	vm.Guest = new(types.GuestInfo)
	vm.Layout = new(types.VirtualMachineFileLayout)
	vm.LayoutEx = &types.VirtualMachineFileLayoutEx{Timestamp: epoch}
	vm.Storage = &types.VirtualMachineStorageInfo{Timestamp: epoch}
	vm.Summary.Storage = &types.VirtualMachineStorageSummary{Timestamp: epoch}
	vm.Summary.Guest = new(types.VirtualMachineGuestSummary)
	vm.AvailableField = slices.Clone(first.AvailableField)
	vm.Snapshot = nil
	vm.RootSnapshot = nil
	vm.CustomValue = nil
	vm.Value = nil
	var devices []types.BaseVirtualDevice
	for _, device := range first.Config.Hardware.Device {
		if _, disk := device.(*types.VirtualDisk); disk {
			continue
		}
		if _, nic := device.(types.BaseVirtualEthernetCard); nic {
			continue
		}
		dup := reflect.New(reflect.TypeOf(device).Elem())
		dup.Elem().Set(reflect.ValueOf(device).Elem())
		if d, ok := dup.Interface().(types.BaseVirtualDevice); ok {
			devices = append(devices, d)
		}
	}
	vm.Config.Hardware.Device = devices
	return vm
}

func clone[T any](v *T) *T {
	if v == nil {
		return nil
	}
	c := *v
	return &c
}

// place gives a VM its name, hardware, guest and everything else.
func (b *builder) place(vm *simulator.VirtualMachine, i int, r *rand.Rand, p place, folder *simulator.Folder) {
	vm.Name = fmt.Sprintf(vmNames[i%len(vmNames)], i)
	vm.Parent = &folder.Self
	vm.ResourcePool = &p.pool
	vm.ParentVApp = nil
	if p.app {
		vm.ParentVApp = &p.pool
	}
	vm.Summary.Vm = &vm.Self

	c := vm.Config
	c.Name = vm.Name
	c.Uuid = seededUUID(b.seed, fmt.Sprintf("bios/%d", i)).String()
	c.InstanceUuid = seededUUID(b.seed, fmt.Sprintf("instance/%d", i)).String()
	if i%23 == 22 && i > 22 {
		// A restored VM: the BIOS UUID of another one.
		c.Uuid = seededUUID(b.seed, fmt.Sprintf("bios/%d", i-1)).String()
	}
	c.ChangeVersion = epoch.Format(time.RFC3339Nano)
	c.Modified = epoch
	created := epoch.Add(-time.Duration(r.IntN(5*365*24)) * time.Hour)
	c.CreateDate = &created
	c.Version = []string{"vmx-13", "vmx-15", "vmx-19", "vmx-20", "vmx-21"}[r.IntN(5)]
	c.Firmware = []string{"bios", "efi"}[r.IntN(2)]
	c.Annotation = annotations[i%len(annotations)]
	c.Hardware.NumCPU = []int32{1, 2, 4, 8, 16}[r.IntN(5)]
	cores := min(c.Hardware.NumCPU, []int32{1, 2, 4}[r.IntN(3)])
	c.Hardware.NumCoresPerSocket = &cores
	c.Hardware.MemoryMB = []int32{1024, 2048, 4096, 16384, 65536}[r.IntN(5)]
	if i%29 == 28 {
		c.ManagedBy = &types.ManagedByInfo{ExtensionKey: "com.vmware.vcDr", Type: "placeholderVm"}
	}
	if i%41 == 40 {
		c.FtInfo = &types.FaultToleranceConfigInfo{Role: 1, InstanceUuids: []string{c.InstanceUuid}, ConfigPaths: []string{"[" + p.site.datastores[0].Name + "] ft/ft.vmx"}}
	}
	b.addDisks(vm, i, r, p)
	nics := b.addNICs(vm, i, r, p)
	b.setState(vm, i, r)
	b.setGuest(vm, i, r, nics)
	b.setFields(vm, i, r)
	if i%7 == 3 {
		b.addSnapshots(vm, i)
	}
	b.planTags(vm, i, r)
	if vm.ParentVApp != nil {
		vm.Parent = nil // as on vCenter: it is in the vApp, not in a folder
	}

	s := &vm.Summary
	s.Config.Name = vm.Name
	s.Config.Uuid = c.Uuid
	s.Config.InstanceUuid = c.InstanceUuid
	s.Config.Annotation = c.Annotation
	s.Config.NumCpu = c.Hardware.NumCPU
	s.Config.MemorySizeMB = c.Hardware.MemoryMB
	s.Config.GuestId = c.GuestId
	s.Config.GuestFullName = c.GuestFullName
	s.Config.Template = c.Template
	host := vm.Runtime.Host
	s.Runtime = vm.Runtime
	s.Runtime.Host = host
	s.Guest.GuestId = vm.Guest.GuestId
	s.Guest.GuestFullName = vm.Guest.GuestFullName
	s.Guest.HostName = vm.Guest.HostName
	s.Guest.IpAddress = vm.Guest.IpAddress
	s.Guest.ToolsRunningStatus = vm.Guest.ToolsRunningStatus
}

var annotations = []string{
	"", "Managed by the web team", "Zeile 1\nZeile 2 <&> \"Anführung\"", "", "備考: 東京", "owner=ops;tier=1", "  leading and trailing  ",
}

// files makes the VM's directory, so that Destroy and Clone find what they
// expect, and tells the simulator about it.
func (b *builder) files(vm *simulator.VirtualMachine, p place) error {
	ds := p.site.datastores[0]
	name := "vm-" + vm.Self.Value
	dir := filepath.Join(ds.Summary.Url, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make its directory: %w", err)
	}
	log := filepath.Join(dir, "vmware.log")
	for _, path := range []string{log, filepath.Join(dir, name+".vmx")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return fmt.Errorf("write its files: %w", err)
		}
	}
	at := fmt.Sprintf("[%s] %s", ds.Name, name)
	vm.Config.Files = types.VirtualMachineFileInfo{
		VmPathName: at + "/" + name + ".vmx", SnapshotDirectory: at, SuspendDirectory: at, LogDirectory: at,
	}
	vm.Summary.Config.VmPathName = vm.Config.Files.VmPathName
	setUnexported(vm, "log", log)
	id, err := parseUUID(vm.Config.Uuid)
	if err != nil {
		return fmt.Errorf("its BIOS UUID: %w", err)
	}
	setUnexported(vm, "uid", id)
	return nil
}

// setUnexported sets what the simulator sets when it creates a VM itself and
// does not export: the name of its log file, and the UUID that its guest sees.
// It does nothing when a later version of the simulator drops the field.
func setUnexported[T any](vm *simulator.VirtualMachine, name string, value T) {
	field := reflect.ValueOf(vm).Elem().FieldByName(name)
	if !field.IsValid() || field.Type() != reflect.TypeFor[T]() {
		return
	}
	*(*T)(unsafe.Pointer(field.UnsafeAddr())) = value
}

func (b *builder) setState(vm *simulator.VirtualMachine, i int, r *rand.Rand) {
	run := &vm.Runtime
	run.PowerState = types.VirtualMachinePowerStatePoweredOn
	run.ConnectionState = types.VirtualMachineConnectionStateConnected
	run.ConsolidationNeeded = i%37 == 36
	switch {
	case i%20 == 19:
		vm.Config.Template = true
		vm.ResourcePool = nil
		vm.ParentVApp = nil
		run.PowerState = types.VirtualMachinePowerStatePoweredOff
	case i%8 == 5:
		run.PowerState = types.VirtualMachinePowerStatePoweredOff
	case i%33 == 32:
		run.PowerState = types.VirtualMachinePowerStateSuspended
	}
	switch i % 50 {
	case 47:
		run.ConnectionState = types.VirtualMachineConnectionStateDisconnected
	case 48:
		run.ConnectionState = types.VirtualMachineConnectionStateOrphaned
	}
	run.BootTime = nil
	if run.PowerState == types.VirtualMachinePowerStatePoweredOn {
		boot := epoch.Add(time.Duration(r.IntN(200*24*60)) * time.Minute)
		run.BootTime = &boot
	}
}

func (b *builder) setFields(vm *simulator.VirtualMachine, i int, r *rand.Rand) {
	add := func(name, value string) {
		entry := &types.CustomFieldStringValue{
			CustomFieldValue: types.CustomFieldValue{Key: b.fields[name].Key}, Value: value,
		}
		vm.CustomValue = append(vm.CustomValue, entry)
		vm.Value = append(vm.Value, entry)
	}
	if i%2 == 0 {
		add("Owner", []string{"ops", "Team Büro", "a&b"}[r.IntN(3)])
	}
	if i%3 == 0 {
		add("Cost Centre", fmt.Sprintf("%d", 4000+r.IntN(50)))
	}
	if i%11 == 0 {
		add("Wartungsfenster", "")
	}
}

func (b *builder) planTags(vm *simulator.VirtualMachine, i int, r *rand.Rand) {
	add := func(category, name string) { b.tags = append(b.tags, tagging{category, name, vm.Self}) }
	if i%4 != 3 {
		add("Patch Group", []string{"web", "db", "app"}[r.IntN(3)])
	}
	if i%3 == 0 {
		add("Environment", []string{"Production", "Test", "Déjà vu"}[r.IntN(3)])
	}
	if i%9 == 0 {
		add("Backup", "Production")
	}
	if i%13 == 0 {
		add("Größe", "100%/groß")
	}
}

// addSnapshots gives a VM a tree: a chain, and for some a branch.
func (b *builder) addSnapshots(vm *simulator.VirtualMachine, i int) {
	id := int32(0)
	take := func(name string, state types.VirtualMachinePowerState, children ...types.VirtualMachineSnapshotTree) types.VirtualMachineSnapshotTree {
		id++
		snapshot := &simulator.VirtualMachineSnapshot{DataSets: make(map[string]*simulator.DataSet)}
		snapshot.Vm = vm.Self
		snapshot.Config = *vm.Config
		b.model.Map().Put(snapshot)
		for _, child := range children {
			snapshot.ChildSnapshot = append(snapshot.ChildSnapshot, child.Snapshot)
		}
		return types.VirtualMachineSnapshotTree{
			Snapshot: snapshot.Self, Vm: vm.Self, Name: name,
			Description: strings.TrimSpace("taken for " + vm.Name), Id: id,
			CreateTime: epoch.Add(time.Duration(i)*time.Hour + time.Duration(id)*time.Minute),
			State:      state, Quiesced: id%2 == 0, ReplaySupported: types.NewBool(false),
			ChildSnapshotList: children,
		}
	}
	off, on := types.VirtualMachinePowerStatePoweredOff, types.VirtualMachinePowerStatePoweredOn
	leaf := take("VEEAM BACKUP TEMPORARY SNAPSHOT", off)
	root := leaf
	if i%2 == 1 {
		middle := take("before patch & reboot", on, leaf, take("branch ü", off))
		root = take("base%2fline", off, middle)
	}
	vm.Snapshot = &types.VirtualMachineSnapshotInfo{
		CurrentSnapshot: &leaf.Snapshot, RootSnapshotList: []types.VirtualMachineSnapshotTree{root},
	}
	vm.RootSnapshot = []types.ManagedObjectReference{root.Snapshot}
	setUnexported(vm, "sid", id)
}
