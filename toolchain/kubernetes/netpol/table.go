package main

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernel carries rules into this network namespace.
type Kernel struct {
	PodRange netip.Prefix
}

// HasTable tells whether rules are in force, perhaps those of an earlier process: they stay until they are replaced.
func (k Kernel) HasTable() bool {
	return exec.Command("nft", "list", "chain", "ip", Table, "forward").Run() == nil
}

// Load replaces the rules in one transaction: there is no moment without any.
func (k Kernel) Load(script string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("loading rules: %w: %s", err, output)
	}
	return nil
}

// Cut ends the open connections that the rules refuse, and tells how many. The packets of one direction are stopped by
// the rules themselves; this stops the answers too.
func (k Kernel) Cut(rules Ruleset) (uint, error) {
	own, err := ownAddresses()
	if err != nil {
		return 0, fmt.Errorf("reading own addresses: %w", err)
	}
	return netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, refusal{rules, k.PodRange, own})
}

type refusal struct {
	rules    Ruleset
	podRange netip.Prefix
	own      map[netip.Addr]bool
}

// MatchConntrackFlow tells whether a tracked connection must end. The node's own always live, as in Kubernetes.
func (r refusal) MatchConntrackFlow(tracked *netlink.ConntrackFlow) bool {
	flow, ok := flowOf(tracked)
	switch {
	case !ok || r.own[flow.Source]:
		return false
	case r.own[flow.Destination]:
		return !r.rules.AllowsOut(flow, r.podRange)
	default:
		return !r.rules.Allows(flow, r.podRange)
	}
}

// flowOf reads a tracked connection. Its answers come from the true destination, whatever address was asked for.
func flowOf(tracked *netlink.ConntrackFlow) (Flow, bool) {
	source, okSource := netip.AddrFromSlice(tracked.Forward.SrcIP)
	destination, okDestination := netip.AddrFromSlice(tracked.Reverse.SrcIP)
	protocols := map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}
	return Flow{
		Source:      source.Unmap(),
		Destination: destination.Unmap(),
		Protocol:    protocols[tracked.Forward.Protocol],
		Port:        tracked.Reverse.SrcPort,
	}, okSource && okDestination
}

func ownAddresses() (map[netip.Addr]bool, error) {
	interfaces, err := net.InterfaceAddrs()
	own := map[netip.Addr]bool{}
	for _, address := range interfaces {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			own[prefix.Addr()] = true
		}
	}
	return own, err
}
