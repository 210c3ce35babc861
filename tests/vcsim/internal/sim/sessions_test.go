package sim

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

func TestOnlyTheRightPasswordLogsIn(t *testing.T) {
	s := start(t)
	for _, wrong := range []*url.Userinfo{
		url.UserPassword(user, "wrong"),
		url.UserPassword(user, ""),
		url.UserPassword("somebody", password),
	} {
		client := connect(t, s)
		err := session.NewManager(client).Login(within(t, 10*time.Second), wrong)
		wantFault(t, err, "InvalidLogin")

		if err := rest.NewClient(client).Login(within(t, 10*time.Second), wrong); !rest.IsStatusError(err, http.StatusUnauthorized) {
			t.Errorf("REST login as %s: got %v, want status 401", wrong, err)
		}
	}
	if got := stats(t, s).Sessions; got.SOAP != 0 || got.REST != 0 {
		t.Errorf("refused logins left sessions: %+v", got)
	}
	client, _ := login(t, s)
	if err := rest.NewClient(client).Login(within(t, 10*time.Second), url.UserPassword(user, password)); err != nil {
		t.Errorf("the right password is refused over REST: %v", err)
	}
}

func TestNothingIsReadWithoutALogin(t *testing.T) {
	s := start(t)
	_, err := property.DefaultCollector(connect(t, s)).RetrieveProperties(within(t, 10*time.Second), types.RetrieveProperties{
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{Obj: ref("Folder", "group-d1")}},
			PropSet:   []types.PropertySpec{{Type: "Folder", PathSet: []string{"name"}}},
		}},
	})
	wantFault(t, err, "NotAuthenticated")
}

func TestSessionsAreCountedAndEndWithLogout(t *testing.T) {
	s := start(t)
	first, firstManager := login(t, s)
	_, secondManager := login(t, s)
	tagging := rest.NewClient(first)
	if err := tagging.Login(within(t, 10*time.Second), url.UserPassword(user, password)); err != nil {
		t.Fatal(err)
	}
	if got := stats(t, s).Sessions; got.SOAP != 2 || got.REST != 1 {
		t.Fatalf("got %d SOAP and %d REST sessions, want 2 and 1", got.SOAP, got.REST)
	}
	if got := stats(t, s).Calls["Login"]; got != 2 {
		t.Errorf("counted %d calls of Login, want 2", got)
	}
	for _, m := range []*session.Manager{firstManager, secondManager} {
		if err := m.Logout(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tagging.Logout(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := stats(t, s).Sessions; got.SOAP != 0 || got.REST != 0 || got.Ended != 0 {
		t.Errorf("after logout: %+v", got)
	}
	_, err := names(t, first)
	wantFault(t, err, "NotAuthenticated")
}

func TestTerminatingAllSessionsEndsALongPoll(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	over := hang(t, s, client)

	ended := control[map[string]int](t, s, http.MethodPost, "/sessions/terminate", map[string]any{})
	if ended["terminated"] != 1 {
		t.Errorf("terminated %d sessions, want 1", ended["terminated"])
	}
	select {
	case err := <-over:
		wantFault(t, err, "RequestCanceled")
	case <-time.After(5 * time.Second):
		t.Fatal("the long poll goes on")
	}
	if got := stats(t, s); got.Sessions.SOAP != 0 || got.Sessions.Ended != 1 || got.Panics != 0 {
		t.Errorf("after termination: %d sessions, %d ended, %d panics", got.Sessions.SOAP, got.Sessions.Ended, got.Panics)
	}
	_, err := names(t, client)
	wantFault(t, err, "NotAuthenticated")

	if again, _ := login(t, s); again != nil {
		if got, err := names(t, again); err != nil || len(got) != small.VMs {
			t.Errorf("a new session reads %d VMs: %v", len(got), err)
		}
	}
}

func TestTerminatingOneSessionLeavesTheOthers(t *testing.T) {
	s := start(t)
	gone, goneManager := login(t, s)
	stays, _ := login(t, s)
	mine, err := goneManager.UserSession(within(t, 10*time.Second))
	if err != nil || mine == nil {
		t.Fatalf("session of the first client: %v", err)
	}
	control[map[string]int](t, s, http.MethodPost, "/sessions/terminate", map[string]any{"keys": []string{mine.Key}})
	_, err = names(t, gone)
	wantFault(t, err, "NotAuthenticated")
	if _, err := names(t, stays); err != nil {
		t.Errorf("the other session ended too: %v", err)
	}
}

func TestIdleSessionsExpireButALongPollIsNotIdle(t *testing.T) {
	s := start(t, func(o *Options) { o.SessionIdle = time.Second })
	idle, _ := login(t, s)
	polling, _ := login(t, s)
	over := hang(t, s, polling)
	eventually(t, "one session expired", func() bool { return stats(t, s).Sessions.SOAP == 1 })
	time.Sleep(1500 * time.Millisecond)
	select {
	case err := <-over:
		t.Fatalf("the long poll ended: %v", err)
	default:
	}
	_, err := names(t, idle)
	wantFault(t, err, "NotAuthenticated")
}

// hang starts a WaitForUpdatesEx that nothing will answer, and returns when
// the server executes it. The channel gets what ended it.
func hang(t *testing.T, s *Server, client *vim25.Client) <-chan error {
	t.Helper()
	ctx := within(t, 30*time.Second)
	collector, err := property.DefaultCollector(client).Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = collector.CreateFilter(ctx, types.CreateFilter{Spec: types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: client.ServiceContent.RootFolder}},
		PropSet:   []types.PropertySpec{{Type: "Folder", PathSet: []string{"name"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	wait := func(ctx context.Context, version string) (string, error) {
		res, err := methods.WaitForUpdatesEx(ctx, client, &types.WaitForUpdatesEx{
			This: collector.Reference(), Version: version, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(25)},
		})
		if err != nil || res.Returnval == nil {
			return "", err
		}
		return res.Returnval.Version, nil
	}
	version, err := wait(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := wait(ctx, version)
		over <- err
	}()
	eventually(t, "the long poll is running", func() bool { return stats(t, s).InFlight["WaitForUpdatesEx"] == 1 })
	return over
}
