package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pushbridge/bridge/core"
)

// claim is an instance's wish to listen on an address.
type claim struct {
	plan    *plan
	host    *hostPlan
	member  *memberPlan
	address core.Address
}

// claims are the addresses of a plan.
func (p *plan) claims() []claim {
	var all []claim
	for _, h := range p.hosts {
		for _, m := range h.members {
			for _, a := range m.addresses {
				all = append(all, claim{p, h, m, a})
			}
		}
	}
	return all
}

// listens are the addresses of a plan.
func (p *plan) listens() []string {
	var all []string
	for _, h := range p.hosts {
		all = append(all, h.listens()...)
	}
	return all
}

// listens are the addresses of a host.
func (h *hostPlan) listens() []string {
	var all []string
	for _, m := range h.members {
		for _, a := range m.addresses {
			all = append(all, a.Listen)
		}
	}
	return all
}

// checkAddresses gives every claim that clashes with an earlier one a finding in
// its own file. earlier are claims of other files that hold already.
func (p *plan) checkAddresses(earlier []claim) {
	held := slices.Clone(earlier)
	for _, c := range p.claims() {
		for _, other := range held {
			if reason := clash(c, other); reason != "" {
				p.fail(c.member.path+"/config/listen", errors.New(reason))
				p.blocked = p.blocked || other.plan != p
				break
			}
		}
		held = append(held, c)
	}
}

// clash says why two claims cannot both be met; "" if they can.
func clash(c, other claim) string {
	if !sameAddress(c.address.Listen, other.address.Listen) {
		return ""
	}
	owner := fmt.Sprintf("%s of %s", other.member.instance.Name, other.plan.file.Path)
	if c.host != other.host {
		hint := "give one of them another address"
		if c.plan == other.plan {
			hint = "give one of them another address, or both the same process: so that they share a process and the address by path"
		}
		return fmt.Sprintf("%s wants %s, which %s has already; %s", c.member.instance.Name, c.address.Listen, owner, hint)
	}
	if c.address.Listen != other.address.Listen {
		return fmt.Sprintf("%s and %s overlap; write the same address in both places to share it", c.address.Listen, other.address.Listen)
	}
	for _, path := range c.address.Paths {
		if slices.Contains(other.address.Paths, path) {
			return fmt.Sprintf("the path %s on %s is served by %s already", path, c.address.Listen, owner)
		}
	}
	if len(c.address.Paths) == 0 || len(other.address.Paths) == 0 {
		return fmt.Sprintf("%s is taken by %s, and the two cannot share it by path", c.address.Listen, owner)
	}
	return ""
}

// sameAddress reports whether two addresses cannot be listened on both: equal
// ones, or one port on an address and on all of them.
func sameAddress(a, b string) bool {
	if strings.HasPrefix(a, "unix:") || strings.HasPrefix(b, "unix:") {
		return a == b
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isWildcard(hostA) || isWildcard(hostB)
}

func isWildcard(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.IsUnspecified()
}
