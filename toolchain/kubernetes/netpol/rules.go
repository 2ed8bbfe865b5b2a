package main

import (
	"net/netip"
	"slices"
)

// Ruleset says who may talk to whom, for every pod whose policies are known. An address of the pod range that it does
// not hold may not talk at all.
type Ruleset struct {
	Pods []PodRules // sorted by address
}

// PodRules are the rules of one pod. A nil direction is not isolated: all is allowed in it.
type PodRules struct {
	Pod     string // namespace/name
	Address netip.Addr
	Ingress *Isolation
	Egress  *Isolation
}

// Isolation is a direction that some policy selects: what no rule allows is refused.
type Isolation struct {
	Allowed []Rule
}

// Rule allows one set of peers one set of ports.
type Rule struct {
	Peers Peers
	Ports Ports
}

// Peers are the other ends: everybody, some addresses, or a block less its exceptions.
type Peers struct {
	Everybody bool
	Addresses []netip.Addr
	Block     netip.Prefix
	Except    []netip.Prefix
}

// Ports are the ports at the receiving end. An empty protocol stands for all protocols, also those without ports.
type Ports struct {
	Protocol    string // tcp, udp or sctp
	First, Last uint16 // 0 and 65535: every port of the protocol
}

// Flow is one connection as the forward hook sees it: before the source and after the destination was translated.
type Flow struct {
	Source      netip.Addr
	Destination netip.Addr
	Protocol    string
	Port        uint16
}

// Allows judges a flow as the rendered rules do. Addresses outside of the pod range are judged by the other end alone.
func (r Ruleset) Allows(flow Flow, podRange netip.Prefix) bool {
	if flow.Source == flow.Destination {
		return true
	}
	source, sourceKnown := r.find(flow.Source)
	destination, destinationKnown := r.find(flow.Destination)
	if podRange.Contains(flow.Source) && !sourceKnown || podRange.Contains(flow.Destination) && !destinationKnown {
		return false
	}
	return (!sourceKnown || source.Egress.allows(flow.Destination, flow)) &&
		(!destinationKnown || destination.Ingress.allows(flow.Source, flow))
}

// AllowsOut judges a flow to the node itself: by the sender's end alone, for nobody isolates the node.
func (r Ruleset) AllowsOut(flow Flow, podRange netip.Prefix) bool {
	source, known := r.find(flow.Source)
	if !known {
		return !podRange.Contains(flow.Source)
	}
	return source.Egress.allows(flow.Destination, flow)
}

func (r Ruleset) find(address netip.Addr) (PodRules, bool) {
	index, found := slices.BinarySearchFunc(r.Pods, address, func(pod PodRules, wanted netip.Addr) int {
		return pod.Address.Compare(wanted)
	})
	if !found {
		return PodRules{}, false
	}
	return r.Pods[index], true
}

func (i *Isolation) allows(peer netip.Addr, flow Flow) bool {
	if i == nil {
		return true
	}
	return slices.ContainsFunc(i.Allowed, func(rule Rule) bool {
		return rule.Peers.contain(peer) && rule.Ports.contain(flow.Protocol, flow.Port)
	})
}

func (p Peers) contain(address netip.Addr) bool {
	if p.Everybody || slices.Contains(p.Addresses, address) {
		return true
	}
	return p.Block.IsValid() && p.Block.Contains(address) &&
		!slices.ContainsFunc(p.Except, func(except netip.Prefix) bool { return except.Contains(address) })
}

func (p Ports) contain(protocol string, port uint16) bool {
	return p.Protocol == "" || p.Protocol == protocol && p.First <= port && port <= p.Last
}
