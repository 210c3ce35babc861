package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	vimjson "github.com/vmware/govmomi/vim25/json"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Mutation is a change that some other administrator makes.
type Mutation struct {
	// Op is one of the keys of operations.
	Op string `json:"op"`
	// VM is the MoRef value or the name of the VM.
	VM string `json:"vm"`
	// Name is the new name (rename, clone, snapshot), the custom field, or
	// the tag as "Category:Name".
	Name string `json:"name,omitempty"`
	// Path is the property that "set" changes ("guest.hostName").
	Path string `json:"path,omitempty"`
	// Value is the new value (set: JSON of the property's type; annotation
	// and custom-field: a string).
	Value json.RawMessage `json:"value,omitempty"`
}

// Mutated names the object that changed or was made.
type Mutated struct {
	VM     string `json:"vm"`
	Result string `json:"result,omitempty"` // MoRef of a new object
}

type operation func(*Server, context.Context, *simulator.VirtualMachine, Mutation) (string, error)

var operations = map[string]operation{
	"rename": task(func(ctx context.Context, vm *object.VirtualMachine, m Mutation) (*object.Task, error) {
		return vm.Rename(ctx, m.Name)
	}),
	"power-on": task(func(ctx context.Context, vm *object.VirtualMachine, _ Mutation) (*object.Task, error) {
		return vm.PowerOn(ctx)
	}),
	"power-off": task(func(ctx context.Context, vm *object.VirtualMachine, _ Mutation) (*object.Task, error) {
		return vm.PowerOff(ctx)
	}),
	"suspend": task(func(ctx context.Context, vm *object.VirtualMachine, _ Mutation) (*object.Task, error) {
		return vm.Suspend(ctx)
	}),
	"destroy": task(func(ctx context.Context, vm *object.VirtualMachine, _ Mutation) (*object.Task, error) {
		return vm.Destroy(ctx)
	}),
	"snapshot": task(func(ctx context.Context, vm *object.VirtualMachine, m Mutation) (*object.Task, error) {
		return vm.CreateSnapshot(ctx, m.Name, "", false, false)
	}),
	"remove-snapshots": task(func(ctx context.Context, vm *object.VirtualMachine, _ Mutation) (*object.Task, error) {
		return vm.RemoveAllSnapshot(ctx, nil)
	}),
	"clone":        (*Server).clone,
	"annotation":   (*Server).annotate,
	"custom-field": (*Server).setCustomField,
	"set":          (*Server).set,
	"tag": func(s *Server, _ context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
		return "", s.tags.attach(s, vm.Self, m.Name, true)
	},
	"untag": func(s *Server, _ context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
		return "", s.tags.attach(s, vm.Self, m.Name, false)
	},
}

// Mutate carries out a change and returns when it is visible to clients.
func (s *Server) Mutate(ctx context.Context, m Mutation) (_ *Mutated, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%s %s: the simulator failed: %v", m.Op, m.VM, problem)
		}
	}()
	run, ok := operations[m.Op]
	if !ok {
		return nil, fmt.Errorf("op %q is not known", m.Op)
	}
	vm, err := s.find(m.VM)
	if err != nil {
		return nil, err
	}
	result, err := run(s, ctx, vm, m)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", m.Op, m.VM, err)
	}
	return &Mutated{VM: vm.Self.Value, Result: result}, nil
}

func task(start func(context.Context, *object.VirtualMachine, Mutation) (*object.Task, error)) operation {
	return func(s *Server, ctx context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
		t, err := start(ctx, object.NewVirtualMachine(s.client, vm.Self), m)
		if err != nil {
			return "", err
		}
		info, err := t.WaitForResult(ctx)
		if err != nil {
			return "", err
		}
		if ref, ok := info.Result.(types.ManagedObjectReference); ok {
			return ref.Value, nil
		}
		return "", nil
	}
}

func (s *Server) clone(ctx context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
	parent := vm.Parent
	if parent == nil {
		return "", fmt.Errorf("the VM has no folder to clone into")
	}
	folder := object.NewFolder(s.client, *parent)
	t, err := object.NewVirtualMachine(s.client, vm.Self).Clone(ctx, folder, m.Name, types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{Pool: vm.ResourcePool, Host: vm.Runtime.Host},
	})
	if err != nil {
		return "", err
	}
	info, err := t.WaitForResult(ctx)
	if err != nil {
		return "", err
	}
	if ref, ok := info.Result.(types.ManagedObjectReference); ok {
		return ref.Value, nil
	}
	return "", nil
}

// annotate also announces config.annotation, which the stock Reconfigure does not.
func (s *Server) annotate(_ context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
	var text string
	if err := json.Unmarshal(m.Value, &text); err != nil {
		return "", fmt.Errorf("value is not a string: %w", err)
	}
	s.update(vm, []types.PropertyChange{
		{Name: "config.annotation", Val: text},
		{Name: "summary.config.annotation", Val: text},
	})
	return "", nil
}

// setCustomField also announces customValue, which the stock method does not.
func (s *Server) setCustomField(ctx context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
	var text string
	if err := json.Unmarshal(m.Value, &text); err != nil {
		return "", fmt.Errorf("value is not a string: %w", err)
	}
	_, err := methods.SetCustomValue(ctx, s.client, &types.SetCustomValue{This: vm.Self, Key: m.Name, Value: text})
	if err != nil {
		return "", err
	}
	s.update(vm, []types.PropertyChange{{Name: "customValue", Val: vm.CustomValue}})
	return "", nil
}

func (s *Server) set(_ context.Context, vm *simulator.VirtualMachine, m Mutation) (string, error) {
	kind, err := propertyType(reflect.TypeFor[mo.VirtualMachine](), m.Path)
	if err != nil {
		return "", err
	}
	var value any
	if len(m.Value) > 0 && string(m.Value) != "null" {
		into := reflect.New(kind)
		decoder := vimjson.NewDecoder(bytes.NewReader(m.Value))
		decoder.SetDiscriminator("_typeName", "_value", vimjson.DiscriminatorToTypeFunc(faultTypes))
		if err := decoder.Decode(into.Interface()); err != nil {
			return "", fmt.Errorf("value is not a %s: %w", kind, err)
		}
		value = into.Elem().Interface()
	}
	s.update(vm, []types.PropertyChange{{Name: m.Path, Val: value}})
	return "", nil
}

func (s *Server) update(vm *simulator.VirtualMachine, changes []types.PropertyChange) {
	ctx := s.internal()
	s.model.Map().AtomicUpdate(ctx, vm, changes)
}

// internal makes a context of its own per call: contexts own object locks.
func (s *Server) internal() *simulator.Context {
	ctx := *s.model.Service.Context
	return &ctx
}

// propertyType follows a property path through the fields of the mo types.
func propertyType(kind reflect.Type, path string) (reflect.Type, error) {
	for name := range strings.SplitSeq(path, ".") {
		for kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct || name == "" {
			return nil, fmt.Errorf("%q is not a property of a VM", path)
		}
		field, ok := kind.FieldByName(strings.ToUpper(name[:1]) + name[1:])
		if !ok {
			return nil, fmt.Errorf("%q is not a property of a VM", path)
		}
		kind = field.Type
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return kind, nil
}
