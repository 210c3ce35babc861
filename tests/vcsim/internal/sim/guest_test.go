package sim

import (
	"net/http"
	"testing"
	"time"

	"github.com/vmware/govmomi/guest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

func validate(t *testing.T, client *vim25.Client, vm types.ManagedObjectReference, login Login) error {
	t.Helper()
	ctx := within(t, 10*time.Second)
	auth, err := guest.NewOperationsManager(client, vm).AuthManager(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return auth.ValidateCredentials(ctx, &types.NamePasswordAuthentication{Username: login.Username, Password: login.Password})
}

// vmWith finds a VM by its state.
func vmWith(t *testing.T, client *vim25.Client, power types.VirtualMachinePowerState, tools types.VirtualMachineToolsRunningStatus) types.ManagedObjectReference {
	t.Helper()
	vms, err := readVMs(t, client, "runtime.powerState", "guest.toolsRunningStatus", "parent")
	if err != nil {
		t.Fatal(err)
	}
	for _, vm := range vms {
		if vm.Runtime.PowerState == power && vm.Guest.ToolsRunningStatus == string(tools) && vm.Parent != nil {
			return vm.Self
		}
	}
	t.Fatalf("no VM is %s with %s", power, tools)
	return types.ManagedObjectReference{}
}

const (
	on      = types.VirtualMachinePowerStatePoweredOn
	off     = types.VirtualMachinePowerStatePoweredOff
	running = types.VirtualMachineToolsRunningStatusGuestToolsRunning
	stopped = types.VirtualMachineToolsRunningStatusGuestToolsNotRunning
)

func TestGuestsCheckCredentials(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vm := vmWith(t, client, on, running)
	good := Login{"root", "guest-Passw0rd"}

	if err := validate(t, client, vm, good); err != nil {
		t.Errorf("the right credentials: %v", err)
	}
	for _, wrong := range []Login{{"root", "wrong"}, {"admin", "guest-Passw0rd"}, {"root", ""}, {}} {
		wantFault(t, validate(t, client, vm, wrong), "InvalidGuestLogin")
	}

	own := Login{"patcher", "another"}
	control[map[string]string](t, s, http.MethodPost, "/guest/credentials",
		map[string]string{"vm": vm.Value, "username": own.Username, "password": own.Password})
	if err := validate(t, client, vm, own); err != nil {
		t.Errorf("the VM's own credentials: %v", err)
	}
	wantFault(t, validate(t, client, vm, good), "InvalidGuestLogin")
}

func TestGuestsThatAreNotThere(t *testing.T) {
	s := start(t, func(o *Options) { o.Inventory.VMs = 60 })
	client, _ := login(t, s)
	good := Login{"root", "guest-Passw0rd"}
	wantFault(t, validate(t, client, vmWith(t, client, off, stopped), good), "InvalidPowerState")
	wantFault(t, validate(t, client, vmWith(t, client, on, stopped), good), "GuestOperationsUnavailable")
	wantFault(t, validate(t, client, ref("VirtualMachine", "vm-0"), good), "ManagedObjectNotFound")
}

func TestAProgramNeedsAGuestToRunIn(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	ctx := within(t, 10*time.Second)
	vm := vmWith(t, client, on, running)
	manager, err := guest.NewOperationsManager(client, vm).ProcessManager(ctx)
	if err != nil {
		t.Fatal(err)
	}
	run := func(login Login) error {
		_, err := manager.StartProgram(ctx,
			&types.NamePasswordAuthentication{Username: login.Username, Password: login.Password},
			&types.GuestProgramSpec{ProgramPath: "/bin/true"})
		return err
	}
	wantFault(t, run(Login{"root", "wrong"}), "InvalidGuestLogin")
	wantFault(t, run(Login{"root", "guest-Passw0rd"}), "GuestOperationsUnavailable")
	if got := stats(t, s).Panics; got != 0 {
		t.Errorf("%d panics", got)
	}
}
