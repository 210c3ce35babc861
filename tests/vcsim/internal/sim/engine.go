package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// engine runs commands in the containers that are the guests of VMs, through
// the docker command. Arguments are handed over one by one: the stock
// simulator joins them for a shell of this machine, where a guest's path could
// become a command.
type engine struct {
	ctx  context.Context
	stop context.CancelFunc
}

func newEngine() *engine {
	ctx, stop := context.WithCancel(context.Background())
	return &engine{ctx: ctx, stop: stop}
}

// insider is a user in the guest of a VM.
type insider struct {
	engine    *engine
	container string
	user      string
}

// arguments are those of docker for a command in the guest.
func (i insider) arguments(options []string, command ...string) []string {
	args := append([]string{"exec", "--user", i.user}, options...)
	return append(append(args, i.container), command...)
}

// script runs a script of the guest's shell with arguments of its own; the
// script says by its exit code what went wrong.
func (i insider) script(input io.Reader, text string, args ...string) (string, int, error) {
	var options []string
	if input != nil {
		options = []string{"--interactive"}
	}
	command := append([]string{"/bin/sh", "-c", text, "sh"}, args...)
	cmd := exec.CommandContext(i.engine.ctx, "docker", i.arguments(options, command...)...)
	cmd.Stdin = input
	var output, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &problem
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return strings.TrimRight(output.String(), "\n"), 0, nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return problem.String(), exit.ExitCode(), nil
	default:
		return "", -1, fmt.Errorf("run docker exec: %w", err)
	}
}

// Exit codes of scripts, and the faults that they stand for.
const (
	exitNotFound  = 10
	exitExists    = 11
	exitNoFile    = 12
	exitNoDir     = 13
	exitNoAccess  = 14
	exitNotEmpty  = 15
	exitNoCommand = 16
)

// fault is what vCenter answers when a script ended with this code.
func (i insider) fault(path string, text string, code int, err error) types.BaseMethodFault {
	if err != nil {
		return &types.GuestOperationsUnavailable{}
	}
	file := types.FileFault{File: path}
	switch code {
	case 0:
		return nil
	case exitNotFound, exitNoCommand:
		return &types.FileNotFound{FileFault: file}
	case exitExists:
		return &types.FileAlreadyExists{FileFault: file}
	case exitNoFile:
		return &types.NotAFile{FileFault: file}
	case exitNoDir:
		return &types.NotADirectory{FileFault: file}
	case exitNoAccess:
		return &types.CannotAccessFile{FileFault: file}
	case exitNotEmpty:
		return &types.DirectoryNotEmpty{FileFault: file}
	}
	if strings.Contains(text, "ermission denied") {
		return &types.GuestPermissionDenied{}
	}
	if strings.Contains(text, "is not running") || strings.Contains(text, "No such container") {
		return &types.GuestOperationsUnavailable{}
	}
	return &types.GuestOperationsFault{}
}

// enter finds the guest of a VM for who may work there. guard has checked the
// credentials before.
func (e *engine) enter(ctx *simulator.Context, ref types.ManagedObjectReference, auth types.BaseGuestAuthentication) (insider, types.BaseMethodFault) {
	vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return insider{}, &types.ManagedObjectNotFound{Obj: ref}
	}
	container := containerOf(vm)
	login, ok := auth.(*types.NamePasswordAuthentication)
	if container == "" || !ok {
		return insider{}, &types.GuestOperationsUnavailable{}
	}
	return insider{engine: e, container: container, user: login.Username}, nil
}

// containerOf is the id of the container that is the guest of a VM, or nothing.
// The field is not exported.
func containerOf(vm *simulator.VirtualMachine) string {
	svm := reflect.ValueOf(vm).Elem().FieldByName("svm")
	if !svm.IsValid() || svm.IsNil() {
		return ""
	}
	c := svm.Elem().FieldByName("c")
	if !c.IsValid() || c.IsNil() {
		return ""
	}
	id := c.Elem().FieldByName("id")
	if !id.IsValid() {
		return ""
	}
	return id.String()
}

// hasContainer reports whether a VM is backed by a container; only then can
// the simulator carry out guest operations.
func hasContainer(vm *simulator.VirtualMachine) bool {
	return containerOf(vm) != ""
}
