package main

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func tracked(source, asked string, askedPort uint16, answers string, answersPort uint16) *netlink.ConntrackFlow {
	return &netlink.ConntrackFlow{
		Forward: netlink.IPTuple{
			SrcIP: net.ParseIP(source).To4(), DstIP: net.ParseIP(asked).To4(), DstPort: askedPort, Protocol: unix.IPPROTO_TCP,
		},
		Reverse: netlink.IPTuple{SrcIP: net.ParseIP(answers).To4(), SrcPort: answersPort, Protocol: unix.IPPROTO_TCP},
	}
}

func TestOnlyRefusedConnectionsAreCut(t *testing.T) {
	gateway := netip.MustParseAddr("10.244.0.1")
	cut := refusal{Compile(world(ingress())), podRange, map[netip.Addr]bool{gateway: true}}
	cases := map[string]struct {
		flow *netlink.ConntrackFlow
		want bool
	}{
		"refused by a policy":        {tracked(friend, server, 8080, server, 8080), true},
		"refused behind a Service":   {tracked(friend, "10.96.0.9", 80, server, 8080), true},
		"of a pod that is gone":      {tracked(unknown, friend, 9090, friend, 9090), true},
		"allowed":                    {tracked(server, friend, 9090, friend, 9090), false},
		"the kubelet's probe":        {tracked("10.244.0.1", server, 8080, server, 8080), false},
		"a pod to the node":          {tracked(friend, "10.96.0.1", 443, "10.244.0.1", 6443), false},
		"a pod that is gone to it":   {tracked(unknown, "10.96.0.1", 443, "10.244.0.1", 6443), true},
		"between others, not of us":  {tracked("192.0.2.1", "192.0.2.2", 80, "192.0.2.2", 80), false},
		"from the host, not allowed": {tracked(outside, "198.51.100.2", 30443, server, 8443), true},
	}
	for name, c := range cases {
		if got := cut.MatchConntrackFlow(c.flow); got != c.want {
			t.Errorf("%s: cut %v", name, got)
		}
	}
}
