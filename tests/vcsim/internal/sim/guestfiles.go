package sim

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// guestFileManager is the stock one where that does what vCenter does. What it
// overrides works as the user who logged in instead of root, names the fault
// that vCenter names, and sends bytes over the ESXi host.
type guestFileManager struct {
	simulator.GuestFileManager
	engine *engine
	doors  *doors
}

const makeTemporary = `dir=${1:-/tmp}
[ -e "$dir" ] || exit 10
[ -d "$dir" ] || exit 13
umask 077
exec mktemp $4 -p "$dir" --suffix="$3" -- "${2}vmwareXXXXXX"`

func (m *guestFileManager) temporary(ctx *simulator.Context, req *types.CreateTemporaryFileInGuest, kind string) (string, types.BaseMethodFault) {
	in, fault := m.engine.enter(ctx, req.Vm, req.Auth)
	if fault != nil {
		return "", fault
	}
	text, code, err := in.script(nil, makeTemporary, req.DirectoryPath, req.Prefix, req.Suffix, kind)
	return text, in.fault(req.DirectoryPath, text, code, err)
}

// CreateTemporaryFileInGuest implements the method of the same name.
func (m *guestFileManager) CreateTemporaryFileInGuest(ctx *simulator.Context, req *types.CreateTemporaryFileInGuest) soap.HasFault {
	body := new(methods.CreateTemporaryFileInGuestBody)
	made, fault := m.temporary(ctx, req, "")
	if fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = &types.CreateTemporaryFileInGuestResponse{Returnval: made}
	return body
}

// CreateTemporaryDirectoryInGuest implements the method of the same name.
func (m *guestFileManager) CreateTemporaryDirectoryInGuest(ctx *simulator.Context, req *types.CreateTemporaryDirectoryInGuest) soap.HasFault {
	body := new(methods.CreateTemporaryDirectoryInGuestBody)
	same := types.CreateTemporaryFileInGuest(*req)
	made, fault := m.temporary(ctx, &same, "-d")
	if fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = &types.CreateTemporaryDirectoryInGuestResponse{Returnval: made}
	return body
}

// run does something to a path as the user who logged in.
func (m *guestFileManager) run(ctx *simulator.Context, vm types.ManagedObjectReference, auth types.BaseGuestAuthentication, script string, args ...string) (string, types.BaseMethodFault) {
	in, fault := m.engine.enter(ctx, vm, auth)
	if fault != nil {
		return "", fault
	}
	text, code, err := in.script(nil, script, args...)
	return text, in.fault(args[0], text, code, err)
}

// MakeDirectoryInGuest implements the method of the same name.
func (m *guestFileManager) MakeDirectoryInGuest(ctx *simulator.Context, req *types.MakeDirectoryInGuest) soap.HasFault {
	body := new(methods.MakeDirectoryInGuestBody)
	script := `[ -e "$1" ] && exit 11; [ -d "$(dirname "$1")" ] || exit 10; exec mkdir -- "$1"`
	if req.CreateParentDirectories {
		script = `[ -e "$1" ] && exit 11; exec mkdir -p -- "$1"`
	}
	if _, fault := m.run(ctx, req.Vm, req.Auth, script, req.DirectoryPath); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = new(types.MakeDirectoryInGuestResponse)
	return body
}

// DeleteDirectoryInGuest implements the method of the same name.
func (m *guestFileManager) DeleteDirectoryInGuest(ctx *simulator.Context, req *types.DeleteDirectoryInGuest) soap.HasFault {
	body := new(methods.DeleteDirectoryInGuestBody)
	script := `[ -e "$1" ] || exit 10; [ -d "$1" ] || exit 13; [ -z "$(ls -A "$1")" ] || exit 15; exec rmdir -- "$1"`
	if req.Recursive {
		script = `[ -e "$1" ] || exit 10; [ -d "$1" ] || exit 13; exec rm -rf -- "$1"`
	}
	if _, fault := m.run(ctx, req.Vm, req.Auth, script, req.DirectoryPath); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = new(types.DeleteDirectoryInGuestResponse)
	return body
}

// DeleteFileInGuest implements the method of the same name.
func (m *guestFileManager) DeleteFileInGuest(ctx *simulator.Context, req *types.DeleteFileInGuest) soap.HasFault {
	body := new(methods.DeleteFileInGuestBody)
	script := `[ -e "$1" ] || [ -L "$1" ] || exit 10; [ -d "$1" ] && exit 12; exec rm -f -- "$1"`
	if _, fault := m.run(ctx, req.Vm, req.Auth, script, req.FilePath); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
		return body
	}
	body.Res = new(types.DeleteFileInGuestResponse)
	return body
}

// ListFilesInGuest implements the method of the same name: the stock one does
// not say of a missing file that it is missing.
func (m *guestFileManager) ListFilesInGuest(ctx *simulator.Context, req *types.ListFilesInGuest) soap.HasFault {
	script := `[ -e "$1" ] || [ -L "$1" ] || exit 10; [ ! -d "$1" ] || [ -r "$1" ] || exit 14`
	if _, fault := m.run(ctx, req.Vm, req.Auth, script, req.FilePath); fault != nil {
		return &methods.ListFilesInGuestBody{Fault_: simulator.Fault("", fault)}
	}
	return m.GuestFileManager.ListFilesInGuest(ctx, req)
}

const mayPut = `[ -d "$(dirname "$1")" ] || exit 10
[ -d "$1" ] && exit 12
if [ -e "$1" ]; then [ "$2" = true ] || exit 11; [ -w "$1" ] || exit 14; fi
[ -w "$(dirname "$1")" ] || exit 14`

// InitiateFileTransferToGuest implements the method of the same name.
func (m *guestFileManager) InitiateFileTransferToGuest(ctx *simulator.Context, req *types.InitiateFileTransferToGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferToGuestBody)
	_, fault := m.run(ctx, req.Vm, req.Auth, mayPut, req.GuestFilePath, strconv.FormatBool(req.Overwrite))
	attributes, posix := req.FileAttributes.(*types.GuestPosixFileAttributes)
	if fault == nil && (!posix || req.FileSize < 0) {
		fault = &types.InvalidArgument{InvalidProperty: "fileAttributes"}
	}
	if fault == nil {
		mode := attributes.Permissions
		if mode == 0 {
			mode = 0o644 // what Tools give a new file
		}
		var url string
		if url, fault = m.ticket(ctx, req.Vm, req.Auth, transfer{put: true, path: req.GuestFilePath, mode: mode, size: req.FileSize}); fault == nil {
			body.Res = &types.InitiateFileTransferToGuestResponse{Returnval: url}
			return body
		}
	}
	body.Fault_ = simulator.Fault("", fault)
	return body
}

const mayGet = `[ -e "$1" ] || exit 10
[ -f "$1" ] || exit 12
[ -r "$1" ] || exit 14
exec stat -L -c '%s %a %u %g %X %Y' -- "$1"`

// InitiateFileTransferFromGuest implements the method of the same name.
func (m *guestFileManager) InitiateFileTransferFromGuest(ctx *simulator.Context, req *types.InitiateFileTransferFromGuest) soap.HasFault {
	body := new(methods.InitiateFileTransferFromGuestBody)
	text, fault := m.run(ctx, req.Vm, req.Auth, mayGet, req.GuestFilePath)
	if fault == nil {
		var size, mode, accessed, modified int64
		attributes := &types.GuestPosixFileAttributes{OwnerId: new(int32), GroupId: new(int32)}
		_, err := fmt.Sscanf(text, "%d %o %d %d %d %d", &size, &mode, attributes.OwnerId, attributes.GroupId, &accessed, &modified)
		if err != nil {
			fault = &types.GuestOperationsFault{}
		} else {
			attributes.Permissions = mode
			attributes.AccessTime, attributes.ModificationTime = types.NewTime(time.Unix(accessed, 0)), types.NewTime(time.Unix(modified, 0))
			var url string
			if url, fault = m.ticket(ctx, req.Vm, req.Auth, transfer{path: req.GuestFilePath, size: size}); fault == nil {
				body.Res = &types.InitiateFileTransferFromGuestResponse{
					Returnval: types.FileTransferInformation{Attributes: attributes, Size: size, Url: url},
				}
				return body
			}
		}
	}
	body.Fault_ = simulator.Fault("", fault)
	return body
}

// ticket gives the address of a transfer, which is on the host of the VM.
func (m *guestFileManager) ticket(ctx *simulator.Context, ref types.ManagedObjectReference, auth types.BaseGuestAuthentication, t transfer) (string, types.BaseMethodFault) {
	in, fault := m.engine.enter(ctx, ref, auth)
	if fault != nil {
		return "", fault
	}
	vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	if !ok || vm.Runtime.Host == nil {
		return "", &types.GuestOperationsUnavailable{}
	}
	t.in, t.until = in, time.Now().Add(ticketLife)
	token := make([]byte, 16)
	_, _ = rand.Read(token)
	url, err := m.doors.ticket(*vm.Runtime.Host, hex.EncodeToString(token), t)
	if err != nil {
		return "", &types.SystemErrorFault{Reason: err.Error()}
	}
	return url, nil
}

// putScript writes to a file of its own first, as Tools do: nobody sees half a
// file, and nobody reads it before it has its mode.
const putScript = `umask 077
to=$1.vmware-upload
cat >"$to" && chmod "$2" "$to" && mv -f -- "$to" "$1" || { rm -f -- "$to"; exit 1; }`

// keyed keeps tickets apart from paths in logs.
func shown(t transfer) string {
	verb := "read"
	if t.put {
		verb = "write"
	}
	return verb + " " + strings.ToValidUTF8(path.Base(t.path), "?")
}
