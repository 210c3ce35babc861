package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func parseUUID(text string) (uuid.UUID, error) { return uuid.Parse(text) }

// addDisks gives a VM one to four disks of the kinds that matter to snapshots.
func (b *builder) addDisks(vm *simulator.VirtualMachine, i int, r *rand.Rand, p place) {
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	devices = slices.DeleteFunc(devices, func(d types.BaseVirtualDevice) bool {
		_, disk := d.(*types.VirtualDisk)
		return disk
	})
	controller := int32(1000)
	for _, d := range devices {
		if scsi, ok := d.(types.BaseVirtualSCSIController); ok {
			controller = scsi.GetVirtualSCSIController().Key
		}
	}
	vm.Datastore = nil
	for n := range 1 + r.IntN(4)*r.IntN(2) {
		ds := p.site.datastores[0]
		if n > 0 {
			ds = p.site.datastores[r.IntN(len(p.site.datastores))]
		}
		if !slices.Contains(vm.Datastore, ds.Self) {
			vm.Datastore = append(vm.Datastore, ds.Self)
		}
		capacity := int64(8+r.IntN(500)) << 30
		unit := int32(n)
		mode := types.VirtualDiskModePersistent
		switch {
		case i%12 == 7 && n > 0:
			mode = types.VirtualDiskModeIndependent_persistent
		case i%25 == 9 && n > 0:
			mode = types.VirtualDiskModeIndependent_nonpersistent
		}
		file := types.VirtualDeviceFileBackingInfo{
			FileName:  fmt.Sprintf("[%s] vm-%s/disk%d.vmdk", ds.Name, vm.Self.Value, n),
			Datastore: &ds.Self,
		}
		devices = append(devices, &types.VirtualDisk{
			VirtualDevice: types.VirtualDevice{
				Key:           2000 + int32(n),
				DeviceInfo:    &types.Description{Label: fmt.Sprintf("Hard disk %d", n+1), Summary: fmt.Sprintf("%d KB", capacity>>10)},
				Backing:       diskBacking(i, n, mode, file),
				ControllerKey: controller,
				UnitNumber:    &unit,
			},
			CapacityInKB:    capacity >> 10,
			CapacityInBytes: capacity,
		})
	}
	vm.Config.Hardware.Device = devices
}

func diskBacking(i, n int, mode types.VirtualDiskMode, file types.VirtualDeviceFileBackingInfo) types.BaseVirtualDeviceBackingInfo {
	switch {
	case i%15 == 4 && n > 0:
		compatibility := types.VirtualDiskCompatibilityModePhysicalMode
		if i%2 == 0 {
			compatibility = types.VirtualDiskCompatibilityModeVirtualMode
		}
		return &types.VirtualDiskRawDiskMappingVer1BackingInfo{
			VirtualDeviceFileBackingInfo: file, LunUuid: fmt.Sprintf("02000000%024d", i),
			DeviceName: "vml.02000000", CompatibilityMode: string(compatibility), DiskMode: string(mode),
		}
	case i%18 == 6:
		return &types.VirtualDiskSeSparseBackingInfo{VirtualDeviceFileBackingInfo: file, DiskMode: string(mode)}
	case i%21 == 8:
		return &types.VirtualDiskSparseVer2BackingInfo{VirtualDeviceFileBackingInfo: file, DiskMode: string(mode)}
	}
	backing := &types.VirtualDiskFlatVer2BackingInfo{
		VirtualDeviceFileBackingInfo: file, DiskMode: string(mode), ThinProvisioned: types.NewBool(i%3 != 0),
		Uuid: fmt.Sprintf("6000C29%d-0000-0000-0000-%012d", n, i),
	}
	if i%31 == 30 {
		backing.Sharing = string(types.VirtualDiskSharingSharingMultiWriter)
	}
	return backing
}

type nicOf struct {
	network network
	mac     string
	key     int32
}

func (b *builder) addNICs(vm *simulator.VirtualMachine, i int, r *rand.Rand, p place) []nicOf {
	devices := slices.DeleteFunc(vm.Config.Hardware.Device, func(d types.BaseVirtualDevice) bool {
		_, nic := d.(types.BaseVirtualEthernetCard)
		return nic
	})
	count := 1
	switch {
	case i%17 == 16:
		count = 0
	case i%6 == 2:
		count = 2
	}
	vm.Network = nil
	var nics []nicOf
	start := r.IntN(len(p.site.networks))
	for n := range count {
		net := p.site.networks[(start+n)%len(p.site.networks)]
		if !slices.Contains(vm.Network, net.ref) {
			vm.Network = append(vm.Network, net.ref)
		}
		mac := fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|n, i>>8&0xff, i&0xff)
		key := 4000 + int32(n)
		unit := int32(7 + n)
		card := types.VirtualEthernetCard{
			VirtualDevice: types.VirtualDevice{
				Key:           key,
				DeviceInfo:    &types.Description{Label: fmt.Sprintf("Network adapter %d", n+1), Summary: net.name},
				Backing:       net.backing,
				Connectable:   &types.VirtualDeviceConnectInfo{StartConnected: true, AllowGuestControl: true, Connected: true},
				ControllerKey: 100,
				UnitNumber:    &unit,
			},
			AddressType: "assigned",
			MacAddress:  mac,
		}
		if n == 0 {
			devices = append(devices, &types.VirtualVmxnet3{VirtualVmxnet: types.VirtualVmxnet{VirtualEthernetCard: card}})
		} else {
			devices = append(devices, &types.VirtualE1000e{VirtualEthernetCard: card})
		}
		nics = append(nics, nicOf{net, mac, key})
	}
	vm.Config.Hardware.Device = devices
	return nics
}

type guestOS struct{ id, full, family, host string }

var systems = []guestOS{
	{"ubuntu64Guest", "Ubuntu Linux (64-bit)", "linuxGuest", "web%d.example.test"},
	{"rhel8_64Guest", "Red Hat Enterprise Linux 8 (64-bit)", "linuxGuest", "db%d"},
	{"windows2019srv_64Guest", "Microsoft Windows Server 2019 (64-bit)", "windowsGuest", "WIN-%d"},
	{"debian12_64Guest", "Debian GNU/Linux 12 (64-bit)", "linuxGuest", "host-ü%d"},
	{"windows2022srvNext_64Guest", "Microsoft Windows Server 2025 (64-bit)", "windowsGuest", "SRV%d.corp.example.test"},
	{"freebsd13_64Guest", "FreeBSD 13 (64-bit)", "otherGuestFamily", "bsd%d"},
	{"otherGuest", "Other (32-bit)", "", ""},
}

// setGuest fills what VMware Tools report: everything while they run, little
// after a power-off, nothing where they were never installed.
func (b *builder) setGuest(vm *simulator.VirtualMachine, i int, r *rand.Rand, nics []nicOf) {
	system := systems[r.IntN(len(systems))]
	vm.Config.GuestId = system.id
	vm.Config.GuestFullName = system.full
	g := vm.Guest
	*g = types.GuestInfo{
		ToolsRunningStatus:              string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning),
		ToolsVersionStatus:              string(types.VirtualMachineToolsVersionStatusGuestToolsNotInstalled),
		ToolsVersionStatus2:             string(types.VirtualMachineToolsVersionStatusGuestToolsNotInstalled),
		ToolsVersion:                    "0",
		GuestState:                      "notRunning",
		GuestOperationsReady:            types.NewBool(false),
		InteractiveGuestOperationsReady: types.NewBool(false),
	}
	if system.family == "" || i%14 == 13 {
		return // never had Tools
	}
	g.ToolsVersionStatus2 = []string{"guestToolsCurrent", "guestToolsUnmanaged", "guestToolsSupportedOld"}[r.IntN(3)]
	g.ToolsVersionStatus = "guestToolsCurrent"
	g.ToolsVersion = []string{"12352", "12389", "11365"}[r.IntN(3)]
	g.GuestFamily = system.family
	g.GuestId = system.id
	g.GuestFullName = system.full
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return
	}
	g.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	g.GuestState = "running"
	g.GuestOperationsReady = types.NewBool(i%16 != 1)
	g.HostName = fmt.Sprintf(system.host, i)
	for n, nic := range nics {
		ips := []string{fmt.Sprintf("10.%d.%d.%d", 10+n, i>>8&0xff, i&0xff)}
		if i%3 == 0 {
			ips = append(ips, fmt.Sprintf("fe80::250:56ff:fe%02x:%02x%02x", 0x80|n, i>>8&0xff, i&0xff))
		}
		if i%6 == 0 {
			ips = append(ips, fmt.Sprintf("2001:db8:%x::%x", n+1, i+1))
		}
		info := types.GuestNicInfo{
			Network: nic.network.name, IpAddress: ips, MacAddress: nic.mac, Connected: true, DeviceConfigId: nic.key,
			IpConfig: &types.NetIpConfigInfo{},
		}
		for _, ip := range ips {
			info.IpConfig.IpAddress = append(info.IpConfig.IpAddress, types.NetIpConfigInfoIpAddress{
				IpAddress: ip, PrefixLength: 24, State: "preferred",
			})
		}
		g.Net = append(g.Net, info)
		if n == 0 {
			g.IpAddress = ips[0]
		}
	}
}
