package sim

import (
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// guard runs before every SOAP call that comes over the network. It refuses,
// as vCenter does, what would make the stock simulator panic, and answers
// calls without a session the way vCenter does. A panic inside a task kills
// the whole process, because tasks run in goroutines of their own; that is
// why such calls have to be stopped here and cannot be recovered from later.
func (s *Server) guard(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	s.front.remember(ctx, method.This)

	if ctx.Session == nil {
		if fault := withoutSession(method); fault != nil {
			return nil, fault
		}
	} else if fault := s.guest.check(ctx, method); fault != nil {
		return nil, fault
	}

	if vm, ok := ctx.Map.Get(method.This).(*simulator.VirtualMachine); ok {
		// The simulator takes for granted that every VM has a folder.
		if vm.Parent == nil && method.Name != "SetCustomValue" {
			return nil, &types.NotSupported{}
		}
	}
	switch body := method.Body.(type) {
	case *types.ReconfigVM_Task:
		return nil, guardExtraConfig(body.Spec.ExtraConfig)
	case *types.RemoveSnapshot_Task:
		return nil, s.guardRemoveSnapshot(ctx, method.This)
	case *types.PowerOffVM_Task, *types.ResetVM_Task, *types.ShutdownGuest, *types.RebootGuest:
		s.processes.forget(method.This)
	}
	return nil, nil
}

// withoutSession refuses property reads without a session. The stock
// simulator answers them with every property in missingSet; vCenter raises a
// fault. Reading the ServiceInstance stays allowed, as on vCenter.
func withoutSession(method *simulator.Method) types.BaseMethodFault {
	var specs []types.PropertyFilterSpec
	switch body := method.Body.(type) {
	case *types.RetrievePropertiesEx:
		specs = body.SpecSet
	case *types.RetrieveProperties:
		specs = body.SpecSet
	case *types.ContinueRetrievePropertiesEx:
		return notAuthenticated(method.This)
	default:
		return nil
	}
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			if object.Obj.Type != "ServiceInstance" && object.Obj.Type != "SessionManager" {
				return notAuthenticated(object.Obj)
			}
		}
	}
	return nil
}

func notAuthenticated(ref types.ManagedObjectReference) types.BaseMethodFault {
	return &types.NotAuthenticated{
		NoPermission: types.NoPermission{Object: &ref, PrivilegeId: "System.View"},
	}
}

// guardExtraConfig makes the simulator's "SET.path" options safe: a value is
// converted to the property's type, and what cannot be is refused.
func guardExtraConfig(options []types.BaseOptionValue) types.BaseMethodFault {
	for _, option := range options {
		value := option.GetOptionValue()
		path, set := strings.CutPrefix(value.Key, "SET.")
		if value.Key == "ip0" {
			path, set = "guest.ipAddress", true
		}
		if !set {
			continue
		}
		converted, ok := assignable(path, value.Value)
		if !ok {
			return &types.InvalidArgument{InvalidProperty: "configSpec.extraConfig." + value.Key}
		}
		value.Value = converted
	}
	return nil
}

// assignable finds a form of value that the property at path accepts.
func assignable(path string, value any) (any, bool) {
	candidates := []any{value}
	if text, ok := value.(string); ok {
		if b, err := strconv.ParseBool(text); err == nil {
			candidates = append(candidates, b)
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			candidates = append(candidates, n)
			if int64(int32(n)) == n {
				candidates = append(candidates, int32(n))
			}
		}
	} else if path == "guest.ipAddress" || path == "guest.hostName" {
		return nil, false
	}
	for _, candidate := range candidates {
		if candidate != nil && tryAssign(path, candidate) {
			return candidate, true
		}
	}
	return nil, false
}

func tryAssign(path string, value any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	scratch := &mo.VirtualMachine{
		ManagedEntity: mo.ManagedEntity{ExtensibleManagedObject: mo.ExtensibleManagedObject{
			Self: types.ManagedObjectReference{Type: "VirtualMachine", Value: "scratch"},
		}},
	}
	mo.ApplyPropertyChange(scratch, []types.PropertyChange{{
		Name: path, Op: types.PropertyChangeOpAssign, Val: value,
	}})
	return true
}

// guardRemoveSnapshot keeps the task that removes a snapshot from failing,
// which would end the process. The task panics when a root snapshot is the
// current one and others stay, and when the snapshot is removed by another
// task between its start and its execution.
func (s *Server) guardRemoveSnapshot(ctx *simulator.Context, ref types.ManagedObjectReference) types.BaseMethodFault {
	snapshot, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil // the simulator says that it does not exist
	}
	vm, ok := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	if !ok || vm.Snapshot == nil {
		return &types.ManagedObjectNotFound{Obj: ref}
	}
	if _, twice := s.removing.LoadOrStore(ref, true); twice {
		return &types.TaskInProgress{}
	}
	ctx.WithLock(vm, func() {
		if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil || *vm.Snapshot.CurrentSnapshot != ref {
			return
		}
		for _, root := range vm.Snapshot.RootSnapshotList {
			last := len(vm.Snapshot.RootSnapshotList) == 1 && len(root.ChildSnapshotList) == 0
			if root.Snapshot == ref && !last {
				vm.Snapshot.CurrentSnapshot = nil
			}
		}
	})
	return nil
}
