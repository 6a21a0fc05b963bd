package route

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/registry"
)

// sameHost reports whether two plans are of the same process, so that one can go
// on in the place of the other.
func sameHost(a, b *hostPlan) bool {
	return a.process == b.process && a.inProcess == b.inProcess && sameExecutable(a.executable, b.executable)
}

// upgraded reports whether the executable is another file by now, or is started in
// another way: then the process has to be another one too.
func upgraded(old, now *hostPlan) bool {
	return old.stamp != now.stamp || old.executable.SHA256 != now.executable.SHA256 || old.mtls != now.mtls || !slices.Equal(old.env, now.env)
}

// sameShape reports whether two plans differ in nothing but what an instance may be
// able to take over in place.
func sameShape(old, now *hostPlan) bool {
	return slices.EqualFunc(old.members, now.members, func(a, b *memberPlan) bool {
		return a.instance.Name == b.instance.Name && a.instance.Adapter == b.instance.Adapter &&
			a.source == b.source && slices.EqualFunc(a.addresses, b.addresses, func(x, y core.Address) bool { return x.Listen == y.Listen })
	})
}

// sameConfigs reports whether two plans of one shape have the same configurations.
func sameConfigs(old, now *hostPlan) bool {
	return slices.EqualFunc(old.members, now.members, func(a, b *memberPlan) bool { return string(a.config) == string(b.config) })
}

// stampOf changes when a plugin's file is replaced. The bridge's own file has none:
// a new one takes effect when the bridge is started again.
func stampOf(executable registry.Executable) string {
	if executable.Bundled {
		return ""
	}
	return fileStamp(executable.Path)
}

// fileStamp changes when a file, or what a link leads to, is written or replaced,
// as far as that shows without reading it.
func fileStamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprintf("%d %d %d %s", inode, info.Size(), info.ModTime().UnixNano(), info.Mode())
}
