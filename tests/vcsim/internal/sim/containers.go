package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// ContainerGuest is a VM whose guest is a container, in which programs really
// run.
type ContainerGuest struct {
	VM        string `json:"vm"`
	Name      string `json:"name"`
	Container string `json:"container"`
}

// idle is what a container does: it waits, ends at once when it is told to, and
// buries the processes that others left behind, as the first process of a
// machine does. The stock simulator has a shell of this machine read it.
const idle = `'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'`

// addContainers replaces the stock managers by ours and gives VMs guests of
// this image.
func (s *Server) addContainers(image string, count int) error {
	s.replaceGuestManagers()
	if image == "" || count == 0 {
		return nil
	}
	suitable := s.suitable()
	if len(suitable) < count {
		return fmt.Errorf("%d VMs can have a container, %d are wanted", len(suitable), count)
	}
	for n, vm := range suitable[:count] {
		guest, err := s.contain(context.Background(), vm, image, fmt.Sprintf("guest-%02d", n+1))
		if err != nil {
			return fmt.Errorf("give %s a guest: %w", vm.Name, err)
		}
		s.Endpoints.Containers = append(s.Endpoints.Containers, *guest)
	}
	return nil
}

// suitable are plain VMs, in the order of their MoRefs.
func (s *Server) suitable() []*simulator.VirtualMachine {
	var found []*simulator.VirtualMachine
	for _, entity := range s.model.Map().All("VirtualMachine") {
		vm, ok := entity.(*simulator.VirtualMachine)
		if ok && !vm.Config.Template && vm.Parent != nil && vm.Snapshot == nil && vm.Config.ManagedBy == nil && vm.Config.FtInfo == nil &&
			vm.Runtime.ConnectionState == types.VirtualMachineConnectionStateConnected && vm.Runtime.Host != nil &&
			vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			found = append(found, vm)
		}
	}
	slices.SortFunc(found, func(a, b *simulator.VirtualMachine) int {
		if d := len(a.Self.Value) - len(b.Self.Value); d != 0 {
			return d
		}
		return strings.Compare(a.Self.Value, b.Self.Value)
	})
	return found
}

// contain makes a container the guest of a VM.
func (s *Server) contain(ctx context.Context, vm *simulator.VirtualMachine, image, name string) (*ContainerGuest, error) {
	if err := s.doors.open(s, *vm.Runtime.Host); err != nil {
		return nil, err
	}
	handle := object.NewVirtualMachine(s.client, vm.Self)
	wait := func(task *object.Task, err error) error {
		if err != nil {
			return err
		}
		return task.Wait(ctx)
	}
	if err := wait(handle.Rename(ctx, name)); err != nil {
		return nil, fmt.Errorf("rename: %w", err)
	}
	if err := wait(handle.PowerOff(ctx)); err != nil {
		return nil, fmt.Errorf("power off: %w", err)
	}
	// The network of this machine: what a guest has to reach is on loopback.
	run, err := json.Marshal([]string{"--network=host", "--hostname=" + name, image, "/bin/sh", "-c", idle})
	if err != nil {
		return nil, fmt.Errorf("encode the options of the container: %w", err)
	}
	// Mounting the DMI files needs one more image.
	options := []types.BaseOptionValue{
		&types.OptionValue{Key: "RUN.mountdmi", Value: "false"},
		&types.OptionValue{Key: "RUN.container", Value: string(run)},
	}
	if err := wait(handle.Reconfigure(ctx, types.VirtualMachineConfigSpec{ExtraConfig: options})); err != nil {
		return nil, fmt.Errorf("reconfigure: %w", err)
	}
	const id, full, family = "debian12_64Guest", "Debian GNU/Linux 12 (64-bit)", "linuxGuest"
	s.internal().AutoUpdate(vm, func() {
		vm.Config.GuestId, vm.Config.GuestFullName = id, full
		vm.Summary.Config.GuestId, vm.Summary.Config.GuestFullName = id, full
		guest := vm.Guest
		guest.GuestFamily, guest.GuestId, guest.GuestFullName = family, id, full
		guest.ToolsVersion, guest.ToolsVersionStatus, guest.ToolsVersionStatus2 = "12352", "guestToolsUnmanaged", "guestToolsUnmanaged"
		guest.HostName = name
	})
	if err := wait(handle.PowerOn(ctx)); err != nil {
		return nil, fmt.Errorf("power on: %w", err)
	}
	container := containerOf(vm)
	if container == "" {
		return nil, fmt.Errorf("there is no container")
	}
	// Last: it says that all of this works.
	s.internal().AutoUpdate(vm, func() {
		vm.Guest.GuestState = "running"
		vm.Guest.GuestOperationsReady = types.NewBool(true)
	})
	return &ContainerGuest{VM: vm.Self.Value, Name: name, Container: container}, nil
}

// replaceGuestManagers puts ours where the stock ones are, under their names.
func (s *Server) replaceGuestManagers() {
	registry := s.model.Map()
	manager, ok := registry.Get(*s.client.ServiceContent.GuestOperationsManager).(*simulator.GuestOperationsManager)
	if !ok || manager.FileManager == nil || manager.ProcessManager == nil {
		return
	}
	files := &guestFileManager{engine: s.engine, doors: s.doors}
	files.Self = *manager.FileManager
	registry.Put(files)
	s.processes = &guestProcessManager{engine: s.engine, started: make(map[types.ManagedObjectReference][]*started)}
	s.processes.Self = *manager.ProcessManager
	registry.Put(s.processes)
}
