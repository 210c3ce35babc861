package sim

import (
	"reflect"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Login is a user name and password valid inside guests.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// guestLogins knows which credentials each guest accepts; the stock simulator
// accepts any that are not empty.
type guestLogins struct {
	mu       sync.Mutex
	fallback Login
	perVM    map[string]Login // by MoRef value
}

func (g *guestLogins) set(vm string, login Login) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.perVM[vm] = login
}

func (g *guestLogins) accepts(vm string, auth types.BaseGuestAuthentication) bool {
	given, ok := auth.(*types.NamePasswordAuthentication)
	if !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	want, ok := g.perVM[vm]
	if !ok {
		want = g.fallback
	}
	return given.Username == want.Username && given.Password == want.Password
}

// check refuses a guest operation in the order in which vCenter does: no such
// VM, not powered on, Tools not running, wrong credentials, and last what
// only this simulator lacks, a guest.
func (g *guestLogins) check(ctx *simulator.Context, method *simulator.Method) types.BaseMethodFault {
	switch method.This.Type {
	case "GuestAuthManager", "GuestFileManager", "GuestProcessManager":
	default:
		return nil
	}
	body := reflect.Indirect(reflect.ValueOf(method.Body))
	target, ok := field[types.ManagedObjectReference](body, "Vm")
	if !ok {
		return nil
	}
	vm, ok := ctx.Map.Get(target).(*simulator.VirtualMachine)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: target}
	}
	if state := vm.Runtime.PowerState; state != types.VirtualMachinePowerStatePoweredOn {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn,
			ExistingState:  state,
		}
	}
	container := hasContainer(vm)
	tools := types.VirtualMachineToolsRunningStatusGuestToolsRunning
	if vm.Guest == nil || (!container && vm.Guest.ToolsRunningStatus != string(tools)) {
		return &types.GuestOperationsUnavailable{}
	}
	auth, _ := field[types.BaseGuestAuthentication](body, "Auth")
	if !g.accepts(target.Value, auth) {
		return &types.InvalidGuestLogin{}
	}
	if method.This.Type != "GuestAuthManager" && !container {
		return &types.GuestOperationsUnavailable{}
	}
	return nil
}

func field[T any](body reflect.Value, name string) (T, bool) {
	var none T
	if body.Kind() != reflect.Struct {
		return none, false
	}
	value := body.FieldByName(name)
	if !value.IsValid() || !value.CanInterface() {
		return none, false
	}
	found, ok := value.Interface().(T)
	return found, ok
}

// guestAuthManager is the object that the stock simulator lacks. guard has
// already checked the credentials when one of its methods is called.
type guestAuthManager struct {
	mo.GuestAuthManager
}

// ValidateCredentialsInGuest implements the method of the same name.
func (*guestAuthManager) ValidateCredentialsInGuest(*simulator.Context, *types.ValidateCredentialsInGuest) soap.HasFault {
	return &methods.ValidateCredentialsInGuestBody{Res: new(types.ValidateCredentialsInGuestResponse)}
}

func addGuestAuthManager(registry *simulator.Registry, content types.ServiceContent) {
	manager, ok := registry.Get(*content.GuestOperationsManager).(*simulator.GuestOperationsManager)
	if !ok {
		return
	}
	auth := new(guestAuthManager)
	auth.Self = types.ManagedObjectReference{Type: "GuestAuthManager", Value: "guestOperationsAuthManager"}
	registry.Put(auth)
	manager.AuthManager = &auth.Self
}
