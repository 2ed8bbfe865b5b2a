package main

import (
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Snapshot is everything that the rules follow from. Assigned holds the addresses that the network plugin gave out;
// they are newer than those in the pods' status, which may even be of the time before a restart of the machine.
type Snapshot struct {
	Pods       []*v1.Pod
	Namespaces map[string]labels.Set
	Policies   []*networking.NetworkPolicy
	Assigned   map[types.UID]netip.Addr
}

// endpoint is a pod that can send and receive.
type endpoint struct {
	pod     *v1.Pod
	address netip.Addr
}

type compiler struct {
	endpoints  []endpoint
	namespaces map[string]labels.Set
	policies   []*networking.NetworkPolicy
}

// Compile turns policies into rules for each pod. The same snapshot gives the same rules, whatever its order. IPv4 only.
func Compile(snapshot Snapshot) Ruleset {
	c := compiler{endpoints(snapshot), snapshot.Namespaces, slices.Clone(snapshot.Policies)}
	slices.SortFunc(c.policies, func(a, b *networking.NetworkPolicy) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	pods := make([]PodRules, 0, len(c.endpoints))
	for _, e := range c.endpoints {
		pods = append(pods, c.rulesOf(e))
	}
	return Ruleset{Pods: pods}
}

func endpoints(snapshot Snapshot) []endpoint {
	taken := map[netip.Addr]bool{}
	for _, address := range snapshot.Assigned {
		taken[address] = true
	}
	var found []endpoint
	for _, pod := range snapshot.Pods {
		if pod.Spec.HostNetwork || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
			continue
		}
		if address, ok := snapshot.Assigned[pod.UID]; ok {
			found = append(found, endpoint{pod, address})
			continue
		}
		address, err := netip.ParseAddr(pod.Status.PodIP)
		if err == nil && address.Is4() && !taken[address] {
			taken[address] = true
			found = append(found, endpoint{pod, address})
		}
	}
	slices.SortFunc(found, func(a, b endpoint) int { return a.address.Compare(b.address) })
	return found
}

func (c compiler) rulesOf(e endpoint) PodRules {
	rules := PodRules{Pod: e.pod.Namespace + "/" + e.pod.Name, Address: e.address}
	for _, policy := range c.policies {
		if policy.Namespace != e.pod.Namespace || !selects(&policy.Spec.PodSelector, e.pod.Labels) {
			continue
		}
		if covers(policy, networking.PolicyTypeIngress) {
			rules.Ingress = rules.Ingress.and(c.ingress(policy, e))
		}
		if covers(policy, networking.PolicyTypeEgress) {
			rules.Egress = rules.Egress.and(c.egress(policy))
		}
	}
	return rules
}

func (i *Isolation) and(allowed []Rule) *Isolation {
	if i == nil {
		return &Isolation{Allowed: allowed}
	}
	return &Isolation{Allowed: append(i.Allowed, allowed...)}
}

// covers applies the API's defaults: without types a policy is for ingress, and for egress when it has such rules.
func covers(policy *networking.NetworkPolicy, direction networking.PolicyType) bool {
	if len(policy.Spec.PolicyTypes) > 0 {
		return slices.Contains(policy.Spec.PolicyTypes, direction)
	}
	return direction == networking.PolicyTypeIngress || len(policy.Spec.Egress) > 0
}

func (c compiler) ingress(policy *networking.NetworkPolicy, target endpoint) []Rule {
	var rules []Rule
	for _, rule := range policy.Spec.Ingress {
		for _, peers := range c.peers(policy.Namespace, rule.From) {
			for _, ports := range resolve(rule.Ports, []endpoint{target}) {
				rules = append(rules, Rule{peers, ports.Ports})
			}
		}
	}
	return rules
}

func (c compiler) egress(policy *networking.NetworkPolicy) []Rule {
	var rules []Rule
	for _, rule := range policy.Spec.Egress {
		for _, peers := range c.peers(policy.Namespace, rule.To) {
			for _, ports := range resolve(rule.Ports, c.endpoints) {
				if narrowed, any := narrow(peers, ports); any {
					rules = append(rules, Rule{narrowed, ports.Ports})
				}
			}
		}
	}
	return rules
}

// peers gives the sets of peers of one rule. No peers at all means everybody; selectors that match nobody, nobody.
func (c compiler) peers(namespace string, from []networking.NetworkPolicyPeer) []Peers {
	if len(from) == 0 {
		return []Peers{{Everybody: true}}
	}
	var sets []Peers
	for _, peer := range from {
		if peer.IPBlock != nil {
			sets = append(sets, block(peer.IPBlock)...)
		} else if addresses := c.matching(namespace, peer); len(addresses) > 0 {
			sets = append(sets, Peers{Addresses: addresses})
		}
	}
	return sets
}

func (c compiler) matching(namespace string, peer networking.NetworkPolicyPeer) []netip.Addr {
	var addresses []netip.Addr
	for _, e := range c.endpoints {
		inNamespace := e.pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			inNamespace = selects(peer.NamespaceSelector, c.namespaces[e.pod.Namespace])
		}
		if inNamespace && (peer.PodSelector == nil || selects(peer.PodSelector, e.pod.Labels)) {
			addresses = append(addresses, e.address)
		}
	}
	return addresses
}

// block reads an ipBlock. What is no IPv4 block allows nothing.
func block(ip *networking.IPBlock) []Peers {
	prefix, err := netip.ParsePrefix(ip.CIDR)
	if err != nil || !prefix.Addr().Is4() {
		return nil
	}
	peers := Peers{Block: prefix.Masked()}
	for _, text := range ip.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil {
			return nil
		}
		peers.Except = append(peers.Except, except.Masked())
	}
	return []Peers{peers}
}

// resolved are ports; for a named port also the pods at which the name stands for this number.
type resolved struct {
	Ports
	at []netip.Addr
}

func resolve(ports []networking.NetworkPolicyPort, receivers []endpoint) []resolved {
	if len(ports) == 0 {
		return []resolved{{}}
	}
	var out []resolved
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		switch {
		case port.Port == nil:
			out = append(out, resolved{Ports: Ports{protocol, 0, 65535}})
		case port.Port.Type == intstr.String:
			out = append(out, named(protocol, port.Port.StrVal, receivers)...)
		default:
			first := uint16(port.Port.IntVal)
			last := first
			if port.EndPort != nil {
				last = uint16(*port.EndPort)
			}
			out = append(out, resolved{Ports: Ports{protocol, first, last}})
		}
	}
	return out
}

func named(protocol, name string, receivers []endpoint) []resolved {
	at := map[uint16][]netip.Addr{}
	for _, e := range receivers {
		// An init container may be a sidecar that serves as long as the pod lives.
		for _, container := range slices.Concat(e.pod.Spec.InitContainers, e.pod.Spec.Containers) {
			for _, port := range container.Ports {
				its := strings.ToLower(string(port.Protocol))
				if port.Name == name && (its == protocol || its == "" && protocol == "tcp") {
					number := uint16(port.ContainerPort)
					at[number] = append(at[number], e.address)
				}
			}
		}
	}
	var out []resolved
	for number, addresses := range at {
		out = append(out, resolved{Ports{protocol, number, number}, addresses})
	}
	slices.SortFunc(out, func(a, b resolved) int { return int(a.First) - int(b.First) })
	return out
}

// narrow leaves of the peers those at which a named port has this number.
func narrow(peers Peers, ports resolved) (Peers, bool) {
	if ports.at == nil {
		return peers, true
	}
	var addresses []netip.Addr
	for _, address := range ports.at {
		if peers.contain(address) {
			addresses = append(addresses, address)
		}
	}
	return Peers{Addresses: addresses}, len(addresses) > 0
}

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}
