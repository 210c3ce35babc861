package sim

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func TestFilesGoToAHostWhoseCertificateIsTold(t *testing.T) {
	s := start(t)
	client, _ := login(t, s)
	host := s.model.Map().Any("HostSystem").Reference()
	if err := s.doors.open(s, host); err != nil {
		t.Fatal(err)
	}
	var told mo.HostSystem
	err := property.DefaultCollector(client).RetrieveOne(within(t, 10*time.Second), host, []string{"config.certificate"}, &told)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(told.Config.Certificate)
	if block == nil {
		t.Fatal("the certificate is not told")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	hostClient := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}

	// Nobody is in there: what matters is what is let through to the guest.
	nobody := transfer{in: insider{engine: s.engine, container: "none", user: "root"}, put: true, path: "/x", size: 3, until: time.Now().Add(time.Minute)}
	late := nobody
	late.until = time.Now().Add(-time.Second)
	for token, ticket := range map[string]transfer{"once": nobody, "late": late} {
		if _, err := s.doors.ticket(host, token, ticket); err != nil {
			t.Fatal(err)
		}
	}
	send := func(method, token, body string) int {
		address := s.doors.hosts[host].address
		request, err := http.NewRequestWithContext(within(t, 10*time.Second), method, "https://"+address+"/guestFile?id=1&token="+token, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := hostClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, c := range []struct {
		method, token, body string
		want                int
	}{
		{http.MethodPut, "unknown", "abc", http.StatusForbidden},
		{http.MethodPut, "late", "abc", http.StatusForbidden},
		{http.MethodGet, "once", "", http.StatusForbidden},
		{http.MethodPut, "once", "too long", http.StatusBadRequest},
		{http.MethodPut, "once", "abc", http.StatusForbidden},
		{http.MethodPost, "once", "abc", http.StatusNotFound},
	} {
		if got := send(c.method, c.token, c.body); got != c.want {
			t.Errorf("%s with the ticket %q: %d, want %d", c.method, c.token, got, c.want)
		}
	}
	other := types.ManagedObjectReference{Type: "HostSystem", Value: "host-none"}
	if _, err := s.doors.ticket(other, "x", nobody); err == nil {
		t.Error("a host that does not listen gives tickets")
	}
}

func TestProcessesAreTheGuestsOwn(t *testing.T) {
	ended := time.Now()
	own := []types.GuestProcessInfo{
		{Name: "sh", Pid: 20, CmdLine: `"/bin/sh" x`, EndTime: &ended, ExitCode: 21},
		{Name: "sh", Pid: 30, CmdLine: `"/bin/sh" y`},
	}
	running := "    1 root   100 /bin/sh -c wait\n   30 root 2 /bin/sh y\n  nonsense\n   31 daemon 2 /usr/bin/amazon-ssm-agent\n"
	var got []string
	for _, p := range merged(own, running, nil) {
		got = append(got, p.Name+" "+p.CmdLine)
	}
	want := []string{`sh "/bin/sh" x`, `sh "/bin/sh" y`, "sh /bin/sh -c wait", "amazon-ssm-agent /usr/bin/amazon-ssm-agent"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
	if one := merged(own, running, []int64{20, 99}); len(one) != 1 || one[0].ExitCode != 21 {
		t.Errorf("asked for one: %+v", one)
	}
}

func TestWhatAScriptSaysIsTheFaultThatVCenterNames(t *testing.T) {
	for code, want := range map[int]string{
		exitNotFound: "FileNotFound", exitExists: "FileAlreadyExists", exitNoFile: "NotAFile", exitNoDir: "NotADirectory",
		exitNoAccess: "CannotAccessFile", exitNotEmpty: "DirectoryNotEmpty", exitNoCommand: "FileNotFound", 1: "GuestOperationsFault",
	} {
		fault := insider{}.fault("/x", "", code, nil)
		if got := strings.TrimPrefix(typeName(fault), "*types."); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
	if fault := (insider{}).fault("/x", "mkdir: Permission denied", 1, nil); typeName(fault) != "*types.GuestPermissionDenied" {
		t.Errorf("got %s", typeName(fault))
	}
}

func typeName(fault types.BaseMethodFault) string {
	return fmt.Sprintf("%T", fault)
}
