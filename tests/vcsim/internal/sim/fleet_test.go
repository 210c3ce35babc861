package sim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/mo"
)

func TestTheNumberOfVMsIsExact(t *testing.T) {
	s := start(t, func(o *Options) {
		o.Inventory = DefaultShape()
		o.Inventory.VMs = 500
	})
	client, _ := login(t, s)
	vms, err := readVMs(t, client, "name", "config.instanceUuid")
	if err != nil {
		t.Fatal(err)
	}
	found, ids := make(map[string]bool), make(map[string]bool)
	for _, vm := range vms {
		found[vm.Name] = true
		ids[vm.Config.InstanceUuid] = true
	}
	if len(vms) != 500 || len(found) != 500 || len(ids) != 500 {
		t.Errorf("got %d VMs with %d names and %d UUIDs, want 500", len(vms), len(found), len(ids))
	}
	if s.Endpoints.VMs != 500 || stats(t, s).VMs != 500 {
		t.Errorf("endpoints.json says %d and /stats %d, want 500", s.Endpoints.VMs, stats(t, s).VMs)
	}
}

// picture is what must not depend on anything but the seed. Paths into the
// temporary directory of the datastore do, so they are left out.
func picture(t *testing.T, s *Server) []string {
	t.Helper()
	client, _ := login(t, s)
	vms, err := readVMs(t, client, "name", "parent", "parentVApp", "config", "runtime", "guest", "datastore", "network",
		"resourcePool", "snapshot", "customValue")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := retrieve[mo.HostSystem](within(t, 10*time.Second), client, "HostSystem", "name", "parent", "summary.hardware", "customValue")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	for _, vm := range vms {
		add(vm)
	}
	for _, host := range hosts {
		add(host)
	}
	slices.Sort(lines)
	return lines
}

func TestOneSeedOneFleet(t *testing.T) {
	a, b := start(t), start(t)
	other := start(t, func(o *Options) { o.Seed = 2 })
	first, second := picture(t, a), picture(t, b)
	if !reflect.DeepEqual(first, second) {
		for i := range min(len(first), len(second)) {
			if first[i] != second[i] {
				t.Fatalf("one seed, two fleets:\n%s\n%s", first[i], second[i])
			}
		}
		t.Fatalf("%d and %d objects", len(first), len(second))
	}
	if a.Endpoints.InstanceUUID != b.Endpoints.InstanceUUID {
		t.Error("the vCenters of one seed have different UUIDs")
	}
	if reflect.DeepEqual(first, picture(t, other)) || a.Endpoints.InstanceUUID == other.Endpoints.InstanceUUID {
		t.Error("another seed makes the same fleet")
	}
}

func TestVMsOfAVAppHaveNoFolder(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	vms, err := readVMs(t, client, "name", "parent", "parentVApp")
	if err != nil {
		t.Fatal(err)
	}
	inside := 0
	for _, vm := range vms {
		if (vm.Parent == nil) != (vm.ParentVApp != nil) {
			t.Errorf("%s: folder %v, vApp %v; want exactly one", vm.Name, vm.Parent, vm.ParentVApp)
		}
		if vm.ParentVApp != nil {
			inside++
		}
	}
	if inside == 0 {
		t.Error("no VM is in a vApp")
	}
	apps, err := retrieve[mo.VirtualApp](within(t, 10*time.Second), client, "VirtualApp", "name", "parentFolder")
	if err != nil || len(apps) == 0 {
		t.Fatalf("%d vApps: %v", len(apps), err)
	}
	for _, app := range apps {
		if app.ParentFolder == nil {
			t.Errorf("%s is in no folder", app.Name)
		}
	}
}

func TestImpossibleShapesAreRefused(t *testing.T) {
	for _, shape := range []Shape{
		{VMs: 1},
		{VMs: 1, Datacenters: 1, Datastores: 1},
		{VMs: 1, Datacenters: 1, Datastores: 1, Clusters: 3},
		{VMs: 1, Datacenters: 1, StandaloneHosts: 1},
		{VMs: -1},
	} {
		if shape.Check() == nil {
			t.Errorf("%+v is accepted", shape)
		}
	}
	if err := DefaultShape().Check(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}

func TestAnEmptyVCenter(t *testing.T) {
	s := start(t, func(o *Options) { o.Inventory = Shape{} })
	client, _ := login(t, s)
	if got, err := names(t, client); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFilesForClientsAndNoneLeftBehind(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(o *Options) { o.Dir = dir })
	text, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Endpoints
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, s.Endpoints) {
		t.Errorf("endpoints.json says %+v (%v), want %+v", got, err, s.Endpoints)
	}
	for _, name := range []string{"ca.pem", "server.pem", "thumbprint"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	client, _ := login(t, s)
	stores, err := retrieve[mo.Datastore](within(t, 10*time.Second), client, "Datastore", "summary.url")
	if err != nil || len(stores) == 0 {
		t.Fatalf("%d datastores: %v", len(stores), err)
	}
	if _, err := os.Stat(stores[0].Summary.Url); err != nil {
		t.Fatalf("before the end: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stores[0].Summary.Url); !os.IsNotExist(err) {
		t.Errorf("the datastore's directory is still there (%v)", err)
	}
}
