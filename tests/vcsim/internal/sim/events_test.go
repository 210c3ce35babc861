package sim

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"
)

func TestTagChangesPostEvents(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	ctx := within(t, 20*time.Second)
	collector, err := event.NewManager(client).CreateCollectorForEvents(ctx, types.EventFilterSpec{
		EventTypeId: []string{"com.vmware.cis.tagging.attach", "com.vmware.cis.tagging.detach"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if page, err := collector.LatestPage(ctx); err != nil || len(page) != 0 {
		t.Fatalf("before any change: %d events, %v", len(page), err)
	}
	const tag = "Größe:100%/groß"
	vm := mutate(t, s, Mutation{Op: "tag", VM: "db-0001", Name: tag}).VM
	wantEvent(ctx, t, collector, 1, "com.vmware.cis.tagging.attach", vm)
	if got := attached(ctx, t, s, vm); !slices.Contains(got, "100%/groß") {
		t.Errorf("the tag is not attached: %v", got)
	}
	mutate(t, s, Mutation{Op: "untag", VM: vm, Name: tag})
	wantEvent(ctx, t, collector, 2, "com.vmware.cis.tagging.detach", vm)
	if got := attached(ctx, t, s, vm); slices.Contains(got, "100%/groß") {
		t.Errorf("the tag is still attached: %v", got)
	}
}

func TestTagChangesOfClientsPostEventsToo(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	ctx := within(t, 20*time.Second)
	collector, err := event.NewManager(client).CreateCollectorForEvents(ctx, types.EventFilterSpec{
		EventTypeId: []string{"com.vmware.cis.tagging.attach"},
	})
	if err != nil {
		t.Fatal(err)
	}
	vm, err := s.find("db-0001")
	if err != nil {
		t.Fatal(err)
	}
	m := tagManager(ctx, t, s)
	tag, err := m.GetTagForCategory(ctx, "never attached", "Unused")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AttachTag(ctx, tag.ID, vm.Self); err != nil {
		t.Fatal(err)
	}
	wantEvent(ctx, t, collector, 1, "com.vmware.cis.tagging.attach", vm.Self.Value)
}

func wantEvent(ctx context.Context, t *testing.T, collector *event.HistoryCollector, count int, kind, vm string) {
	t.Helper()
	page, err := collector.LatestPage(ctx)
	if err != nil || len(page) != count {
		t.Fatalf("got %d events (%v), want %d", len(page), err, count)
	}
	last := slices.MaxFunc(page, func(a, b types.BaseEvent) int { return int(a.GetEvent().Key - b.GetEvent().Key) })
	e, ok := last.(*types.EventEx)
	if !ok {
		t.Fatalf("got a %T, want an EventEx", last)
	}
	if e.EventTypeId != kind || e.ObjectId != vm || e.ObjectType != "VirtualMachine" {
		t.Errorf("got %s of %s %s, want %s of %s", e.EventTypeId, e.ObjectType, e.ObjectId, kind, vm)
	}
	var keys []string
	for _, argument := range e.Arguments {
		keys = append(keys, argument.Key)
	}
	for _, want := range []string{"User", "Tag", "Object"} {
		if !slices.Contains(keys, want) {
			t.Errorf("argument %s is missing in %v", want, keys)
		}
	}
}

func tagManager(ctx context.Context, t *testing.T, s *Server) *tags.Manager {
	t.Helper()
	client := rest.NewClient(connect(t, s))
	if err := client.Login(ctx, url.UserPassword(user, password)); err != nil {
		t.Fatal(err)
	}
	return tags.NewManager(client)
}

func attached(ctx context.Context, t *testing.T, s *Server, vm string) []string {
	t.Helper()
	list, err := tagManager(ctx, t, s).GetAttachedTags(ctx, ref("VirtualMachine", vm))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, tag := range list {
		found = append(found, tag.Name)
	}
	return found
}
