package httpin

import (
	"net/netip"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1":                 "127.0.0.1/32",
		"::1":                       "::1/128",
		"::ffff:10.0.0.1":           "10.0.0.1/32",
		"10.0.0.0/8":                "10.0.0.0/8",
		"10.1.2.3/8":                "10.0.0.0/8",
		"10.0.0.1/32":               "10.0.0.1/32",
		"0.0.0.0/0":                 "0.0.0.0/0",
		"2001:db8::/32":             "2001:db8::/32",
		"2001:db8:1::1/32":          "2001:db8::/32",
		"192.168.0.0/255.255.0.0":   "192.168.0.0/16",
		"192.168.1.1/255.255.255.0": "192.168.1.0/24",
		"10.0.0.0/0.255.255.255":    "10.0.0.0/8",
		"10.0.0.0/255.255.255.255":  "10.0.0.0/32",
		"10.0.0.0/0.0.0.0":          "0.0.0.0/0",
		"10.0.0.0/128.0.0.0":        "0.0.0.0/1",
		"10.0.0.0/127.255.255.255":  "0.0.0.0/1",
		"10.0.0.0/0.0.0.1":          "10.0.0.0/31",
		"172.16.0.0/255.240.0.0":    "172.16.0.0/12",
		"":                          "",
		"localhost":                 "",
		"example.com/24":            "",
		"10.0.0.0/33":               "",
		"10.0.0.0/-1":               "",
		"10.0.0.0/":                 "",
		"10.0.0.0/08":               "",
		"10.0.0.0/8/8":              "",
		"10.0.0.0/255.0.255.0":      "",
		"10.0.0.0/0.255.0.255":      "",
		"10.0.0.0/255.255.255":      "",
		"10.0.0.0/255.255.255.256":  "",
		"2001:db8::/129":            "",
		"2001:db8::/255.255.0.0":    "",
		"fe80::1%eth0":              "",
		"10.0.0":                    "",
		"10.0.0.0.0":                "",
		" 10.0.0.1":                 "",
		"127.0.0.1:80":              "",
		"[::1]":                     "",
	} {
		got, err := ParseNetwork(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v, want %q", text, got, err, want)
		}
	}
}

func TestNetworksContain(t *testing.T) {
	networks, err := ParseNetworks([]string{"127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "fe80::/10"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"127.0.0.1": true, "::ffff:127.0.0.1": true, "127.0.0.2": false, "10.255.255.255": true, "11.0.0.0": false,
		"::ffff:10.1.1.1": true, "2001:db8:ffff::1": true, "2001:db9::1": false, "::1": false, "fe80::1%eth0": true,
	} {
		if networks.Contain(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: want %v", address, want)
		}
	}
	if networks.Contain(netip.Addr{}) || Networks(nil).Contain(netip.MustParseAddr("::1")) {
		t.Error("no address, or no network, is contained")
	}
	if _, err := ParseNetworks([]string{"10.0.0.0/8", "nowhere"}); err == nil {
		t.Error("a wrong entry is no error")
	}
}
