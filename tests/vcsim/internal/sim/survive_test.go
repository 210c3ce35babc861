package sim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// alive checks that the simulator still answers, and that no object is locked
// by a call that failed.
func alive(t *testing.T, s *Server, after string) {
	t.Helper()
	client, manager := login(t, s)
	if got, err := names(t, client); err != nil || len(got) < small.VMs-1 {
		t.Fatalf("after %s: %d VMs, %v", after, len(got), err)
	}
	if err := manager.Logout(within(t, 10*time.Second)); err != nil {
		t.Fatalf("after %s: %v", after, err)
	}
}

func TestSurvivesWeirdRequests(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vm, err := s.find("web-0000")
	if err != nil {
		t.Fatal(err)
	}
	id := vm.Self.Value
	deep := strings.Repeat("<a>", 20000) + strings.Repeat("</a>", 20000)
	auth := `<auth xsi:type="NamePasswordAuthentication"><interactiveSession>false</interactiveSession>` +
		`<username>root</username><password>guest-Passw0rd</password></auth>`
	for what, body := range map[string]string{
		"nothing":                      "",
		"no XML":                       "hello",
		"an open element":              "<soapenv:Envelope",
		"an empty body":                `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Envelope>`,
		"deep nesting":                 soapCall("CurrentTime", "ServiceInstance", "ServiceInstance", deep),
		"an unknown method":            soapCall("MakeCoffee", "ServiceInstance", "ServiceInstance", ""),
		"a method of another type":     soapCall("PowerOnVM_Task", "Folder", "group-d1", ""),
		"an unknown object":            soapCall("PowerOnVM_Task", "VirtualMachine", "vm-nowhere", ""),
		"an unknown type":              soapCall("PowerOnVM_Task", "Teapot", "t-1", ""),
		"no this":                      `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"/></Body></Envelope>`,
		"no argument":                  soapCall("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", ""),
		"a filter of nothing":          soapCall("CreateFilter", "PropertyCollector", "propertyCollector", ""),
		"a token of nobody":            soapCall("ContinueRetrievePropertiesEx", "PropertyCollector", "propertyCollector", "<token>x</token>"),
		"a view of nothing":            soapCall("CreateContainerView", "ViewManager", "ViewManager", `<container type="Folder">group-x</container><recursive>true</recursive>`),
		"a view of a strange type":     soapCall("CreateContainerView", "ViewManager", "ViewManager", `<container type="Folder">group-d1</container><type>Teapot</type><recursive>true</recursive>`),
		"a second login":               soapCall("Login", "SessionManager", "SessionManager", "<userName>x</userName><password>y</password>"),
		"a revert to no snapshot":      soapCall("RevertToCurrentSnapshot_Task", "VirtualMachine", id, ""),
		"a rename to nothing":          soapCall("Rename_Task", "VirtualMachine", id, "<newName></newName>"),
		"a clone without a spec":       soapCall("CloneVM_Task", "VirtualMachine", id, ""),
		"a reconfigure without a spec": soapCall("ReconfigVM_Task", "VirtualMachine", id, ""),
		"a move without a spec":        soapCall("RelocateVM_Task", "VirtualMachine", id, ""),
		"a program without a guest":    soapCall("StartProgramInGuest", "GuestProcessManager", "guestOperationsProcessManager", `<vm type="VirtualMachine">`+id+`</vm>`+auth+`<spec><programPath>/bin/true</programPath><arguments></arguments></spec>`),
		"a program without anything":   soapCall("StartProgramInGuest", "GuestProcessManager", "guestOperationsProcessManager", ""),
		"a file without anything":      soapCall("InitiateFileTransferToGuest", "GuestFileManager", "guestOperationsFileManager", ""),
		"an event without a type":      soapCall("PostEvent", "EventManager", "EventManager", ""),
		"a tag of an unknown field":    soapCall("SetField", "CustomFieldsManager", "CustomFieldsManager", `<entity type="VirtualMachine">`+id+`</entity><key>999</key><value>x</value>`),
		"a field of an unknown VM":     soapCall("SetField", "CustomFieldsManager", "CustomFieldsManager", `<entity type="VirtualMachine">vm-nowhere</entity><key>0</key><value>x</value>`),
	} {
		t.Run(what, func(t *testing.T) {
			status, text := post(t, client, body)
			if status == 0 || text == "" {
				t.Errorf("no answer: status %d, %q", status, text)
			}
			alive(t, s, what)
		})
	}
	anonymous := connect(t, s)
	for what, body := range map[string]string{
		"a logout of nobody":   soapCall("Logout", "SessionManager", "SessionManager", ""),
		"a wait of nobody":     soapCall("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", "<version></version>"),
		"a view of nobody":     soapCall("CreateContainerView", "ViewManager", "ViewManager", `<container type="Folder">group-d1</container><recursive>true</recursive>`),
		"a power-on of nobody": soapCall("PowerOnVM_Task", "VirtualMachine", id, ""),
	} {
		t.Run(what, func(t *testing.T) {
			if status, _ := post(t, anonymous, body); status != http.StatusInternalServerError {
				t.Errorf("got status %d, want a fault", status)
			}
			alive(t, s, what)
		})
	}
}

// configure sets options of a VM and waits for the end of the task.
func configure(t *testing.T, client *vim25.Client, vm types.ManagedObjectReference, key, value string) error {
	t.Helper()
	ctx := within(t, 10*time.Second)
	task, err := object.NewVirtualMachine(client, vm).Reconfigure(ctx, types.VirtualMachineConfigSpec{
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: key, Value: value}},
	})
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}

func TestSurvivesOptionsThatSetProperties(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vm := vmWith(t, client, on, running)
	if err := configure(t, client, vm, "SET.guest.guestOperationsReady", "true"); err != nil {
		t.Errorf("a bool: %v", err)
	}
	if err := configure(t, client, vm, "SET.guest.hostName", "renamed"); err != nil {
		t.Errorf("a string: %v", err)
	}
	for key, value := range map[string]string{
		"SET.config.hardware.numCPU": "many", "SET.no.such.path": "x", "SET.guest.net": "10.0.0.1", "SET.": "x",
	} {
		if configure(t, client, vm, key, value) == nil {
			t.Errorf("%s=%s is accepted", key, value)
		}
		alive(t, s, key)
	}
	vms, err := readVMs(t, client, "guest.hostName", "guest.guestOperationsReady")
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range vms {
		if got.Self == vm && (got.Guest.HostName != "renamed" || got.Guest.GuestOperationsReady == nil || !*got.Guest.GuestOperationsReady) {
			t.Errorf("the options did nothing: %+v", got.Guest)
		}
	}
}

func TestSurvivesTheRemovalOfASnapshotThatIsCurrent(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	ctx := within(t, 20*time.Second)
	ref := vmWith(t, client, on, running)
	vm := object.NewVirtualMachine(client, ref)
	wait := func(task *object.Task, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := task.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mutate(t, s, Mutation{Op: "remove-snapshots", VM: ref.Value})
	wait(vm.CreateSnapshot(ctx, "parent", "", false, false))
	wait(vm.CreateSnapshot(ctx, "child", "", false, false))
	wait(vm.RevertToSnapshot(ctx, "parent", false))
	wait(vm.RemoveSnapshot(ctx, "parent", false, nil))
	if _, err := vm.FindSnapshot(ctx, "child"); err != nil {
		t.Errorf("the child is gone too: %v", err)
	}
	alive(t, s, "the removal")
}

func TestSurvivesTheRemovalOfASnapshotTwice(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	ctx := within(t, 20*time.Second)
	ref := vmWith(t, client, on, running)
	vm := object.NewVirtualMachine(client, ref)
	for range 10 {
		mutate(t, s, Mutation{Op: "snapshot", VM: ref.Value, Name: "short-lived"})
		found, err := vm.FindSnapshot(ctx, "short-lived")
		if err != nil {
			t.Fatal(err)
		}
		removed := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := methods.RemoveSnapshot_Task(ctx, client, &types.RemoveSnapshot_Task{This: *found})
				removed <- err
			}()
		}
		first, second := <-removed, <-removed
		if (first == nil) == (second == nil) {
			t.Fatalf("got %v and %v, want exactly one removal", first, second)
		}
		eventually(t, "the snapshot is gone", func() bool {
			_, err := vm.FindSnapshot(ctx, "short-lived")
			return err != nil
		})
	}
	alive(t, s, "ten removals")
}

func TestVMsOfAVAppCannotBeChanged(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vms, err := readVMs(t, client, "parentVApp")
	if err != nil {
		t.Fatal(err)
	}
	for _, vm := range vms {
		if vm.ParentVApp == nil {
			continue
		}
		_, err := object.NewVirtualMachine(client, vm.Self).PowerOff(within(t, 10*time.Second))
		wantFault(t, err, "NotSupported")
		alive(t, s, "a change of a VM in a vApp")
		return
	}
	t.Fatal("no VM is in a vApp")
}

func TestEveryMutation(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vm := vmWith(t, client, on, running).Value
	text := func(v any) json.RawMessage {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	done := map[string]bool{}
	for _, m := range []Mutation{
		{Op: "rename", Name: "renamed"},
		{Op: "suspend"}, {Op: "power-on"}, {Op: "power-off"}, {Op: "power-on"},
		{Op: "annotation", Value: text("a note")},
		{Op: "custom-field", Name: "Owner", Value: text("somebody")},
		{Op: "set", Path: "guest.hostName", Value: text("host.example.test")},
		{Op: "tag", Name: "Unused:never attached"}, {Op: "untag", Name: "Unused:never attached"},
		{Op: "remove-snapshots"}, {Op: "snapshot", Name: "taken"},
		{Op: "clone", Name: "copy"},
	} {
		m.VM = vm
		mutate(t, s, m)
		done[m.Op] = true
	}
	if got := stats(t, s).VMs; got != small.VMs+1 {
		t.Errorf("%d VMs after the clone, want %d", got, small.VMs+1)
	}
	mutate(t, s, Mutation{Op: "destroy", VM: "copy"})
	done["destroy"] = true
	for op := range operations {
		if !done[op] {
			t.Errorf("%s is not tested", op)
		}
	}
	vms, err := readVMs(t, client, "name", "config.annotation", "guest.hostName", "snapshot", "customValue")
	if err != nil || len(vms) != small.VMs {
		t.Fatalf("%d VMs: %v", len(vms), err)
	}
	for _, got := range vms {
		if got.Self.Value != vm {
			continue
		}
		if got.Name != "renamed" || got.Config.Annotation != "a note" || got.Guest.HostName != "host.example.test" {
			t.Errorf("got %s, %q, %s", got.Name, got.Config.Annotation, got.Guest.HostName)
		}
		if got.Snapshot == nil || len(got.Snapshot.RootSnapshotList) != 1 || got.Snapshot.RootSnapshotList[0].Name != "taken" {
			t.Errorf("snapshots: %+v", got.Snapshot)
		}
		found := false
		for _, value := range got.CustomValue {
			field, ok := value.(*types.CustomFieldStringValue)
			found = found || ok && field.Value == "somebody"
		}
		if !found {
			t.Errorf("the custom field is not set: %+v", got.CustomValue)
		}
	}
}

func TestNonsensicalMutationsAreRefused(t *testing.T) {
	s := start(t)
	for _, m := range []map[string]any{
		{"op": "explode", "vm": "web-0000"},
		{"op": "rename", "vm": "nobody", "name": "x"},
		{"op": "tag", "vm": "web-0000", "name": "no such tag"},
		{"op": "set", "vm": "web-0000", "path": "no.such.path", "value": 1},
		{"op": "set", "vm": "web-0000", "path": "guest.hostName", "value": 7},
		{"op": "annotation", "vm": "web-0000", "value": 7},
		{"op": "rename", "vm": "web-0000", "nmae": "x"},
	} {
		if status, text := controlRaw(t, s, http.MethodPost, "/mutate", m); status != http.StatusBadRequest {
			t.Errorf("%v: status %d: %s", m, status, text)
		}
	}
	alive(t, s, "refused mutations")
}
