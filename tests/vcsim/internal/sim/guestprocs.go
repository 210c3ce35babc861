package sim

import (
	"bufio"
	"errors"
	"io"
	"log"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// remembered is how long Tools tell how a program ended.
const remembered = 5 * time.Minute

// guestProcessManager replaces the stock one, which has the shell of this
// machine start programs and tells the process ids of this machine.
type guestProcessManager struct {
	mo.GuestProcessManager
	engine *engine

	mu      sync.Mutex
	started map[types.ManagedObjectReference][]*started
}

// started is a program that was started through guest operations.
type started struct {
	info types.GuestProcessInfo
}

// launch is how Tools start a program: in the user's home, by a shell, with its
// output going nowhere. The first line is the process id, which stays the same.
const launch = `[ -x "$1" ] && [ -f "$1" ] || exit 16
if [ -n "$3" ]; then cd -- "$3" || exit 10; else cd || cd /; fi
shell=/bin/sh
[ -x /bin/bash ] && shell=/bin/bash
echo $$
exec "$shell" -c "\"$1\" $2" </dev/null >/dev/null 2>&1`

// StartProgramInGuest implements the method of the same name.
func (m *guestProcessManager) StartProgramInGuest(ctx *simulator.Context, req *types.StartProgramInGuest) soap.HasFault {
	body := new(methods.StartProgramInGuestBody)
	in, fault := m.engine.enter(ctx, req.Vm, req.Auth)
	spec, ok := req.Spec.(*types.GuestProgramSpec)
	if fault == nil && !ok {
		fault = &types.InvalidArgument{InvalidProperty: "spec"}
	}
	if fault == nil {
		var pid int64
		if pid, fault = m.start(in, req.Vm, spec); fault == nil {
			body.Res = &types.StartProgramInGuestResponse{Returnval: pid}
			return body
		}
	}
	body.Fault_ = simulator.Fault("", fault)
	return body
}

func (m *guestProcessManager) start(in insider, vm types.ManagedObjectReference, spec *types.GuestProgramSpec) (int64, types.BaseMethodFault) {
	var options []string
	for _, variable := range spec.EnvVariables {
		options = append(options, "--env", variable)
	}
	command := []string{"/bin/sh", "-c", launch, "sh", spec.ProgramPath, spec.Arguments, spec.WorkingDirectory}
	cmd := exec.CommandContext(m.engine.ctx, "docker", in.arguments(options, command...)...)
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		log.Printf("start docker: %v", err)
		return 0, &types.GuestOperationsUnavailable{}
	}
	reader := bufio.NewReader(output)
	line, _ := reader.ReadString('\n')
	pid, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		code := exitCode(cmd.Wait())
		return 0, in.fault(spec.ProgramPath, "", code, nil)
	}
	name := path.Base(spec.ProgramPath)
	process := &started{info: types.GuestProcessInfo{
		Name: name, Pid: pid, Owner: in.user, StartTime: time.Now(),
		CmdLine: strings.TrimSpace(`"` + spec.ProgramPath + `" ` + spec.Arguments),
	}}
	m.mu.Lock()
	m.started[vm] = append(m.started[vm], process)
	m.mu.Unlock()
	go func() {
		_, _ = io.Copy(io.Discard, reader)
		code := exitCode(cmd.Wait())
		m.mu.Lock()
		defer m.mu.Unlock()
		process.info.EndTime = types.NewTime(time.Now())
		process.info.ExitCode = int32(code)
	}()
	return pid, nil
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// forget is what a restart of the guest does.
func (m *guestProcessManager) forget(vm types.ManagedObjectReference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.started, vm)
}

// own gives what was started through guest operations and is remembered.
func (m *guestProcessManager) own(vm types.ManagedObjectReference) []types.GuestProcessInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := slices.DeleteFunc(m.started[vm], func(p *started) bool {
		return p.info.EndTime != nil && time.Since(*p.info.EndTime) > remembered
	})
	m.started[vm] = kept
	var all []types.GuestProcessInfo
	for _, p := range kept {
		all = append(all, p.info)
	}
	return all
}

// ListProcessesInGuest implements the method of the same name.
func (m *guestProcessManager) ListProcessesInGuest(ctx *simulator.Context, req *types.ListProcessesInGuest) soap.HasFault {
	body := new(methods.ListProcessesInGuestBody)
	in, fault := m.engine.enter(ctx, req.Vm, req.Auth)
	if fault == nil {
		var running string
		running, code, err := in.script(nil, `exec ps -e -o pid= -o user:64= -o etimes= -o args=`)
		if fault = in.fault("", running, code, err); fault == nil {
			body.Res = &types.ListProcessesInGuestResponse{Returnval: merged(m.own(req.Vm), running, req.Pids)}
			return body
		}
	}
	body.Fault_ = simulator.Fault("", fault)
	return body
}

// merged puts what was started through guest operations before what else runs.
func merged(own []types.GuestProcessInfo, running string, pids []int64) []types.GuestProcessInfo {
	all := own
	known := make(map[int64]bool)
	for _, p := range own {
		known[p.Pid] = p.EndTime == nil || known[p.Pid]
	}
	for line := range strings.Lines(running) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		pid, err := strconv.ParseInt(fields[0], 10, 64)
		seconds, wrong := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || wrong != nil || known[pid] {
			continue
		}
		all = append(all, types.GuestProcessInfo{
			Name: path.Base(fields[3]), Pid: pid, Owner: fields[1], CmdLine: strings.Join(fields[3:], " "),
			StartTime: time.Now().Add(-time.Duration(seconds) * time.Second),
		})
	}
	if len(pids) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(p types.GuestProcessInfo) bool { return !slices.Contains(pids, p.Pid) })
}

// TerminateProcessInGuest implements the method of the same name.
func (m *guestProcessManager) TerminateProcessInGuest(ctx *simulator.Context, req *types.TerminateProcessInGuest) soap.HasFault {
	body := new(methods.TerminateProcessInGuestBody)
	in, fault := m.engine.enter(ctx, req.Vm, req.Auth)
	if fault == nil {
		script := `[ -d "/proc/$1" ] || exit 10; exec kill "$1"`
		text, code, err := in.script(nil, script, strconv.FormatInt(req.Pid, 10))
		switch {
		case err == nil && code == 0:
			body.Res = new(types.TerminateProcessInGuestResponse)
			return body
		case err == nil && code == exitNotFound:
			fault = &types.GuestProcessNotFound{Pid: req.Pid}
		default:
			fault = in.fault("", text, code, err)
		}
	}
	body.Fault_ = simulator.Fault("", fault)
	return body
}
