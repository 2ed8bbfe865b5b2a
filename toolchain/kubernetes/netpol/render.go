package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// Table is the name of our nftables table.
const Table = "plm_netpol"

// Render writes the rules as a script that replaces our table in one transaction. An empty ruleset refuses all traffic
// of pods.
//
// Every packet in a connection's original direction is judged, not only the first: a policy that tightens stops what is
// open. Answers pass with their connection. Node to pod traffic does not pass these hooks, and is always allowed, as
// Kubernetes has it; what reaches a NodePort from outside does, still with its own source address. What a pod sends to
// the node itself, where the API server listens, passes the input hook, and its egress rules hold there too.
func Render(rules Ruleset, podRange netip.Prefix) string {
	var known, selves, ingress, egress []string
	chains := newChains()
	for _, pod := range rules.Pods {
		address := pod.Address.String()
		known = append(known, address)
		selves = append(selves, address+" . "+address)
		if pod.Ingress != nil {
			ingress = append(ingress, address+" : jump "+chains.name(pod.Ingress, "saddr"))
		}
		if pod.Egress != nil {
			egress = append(egress, address+" : jump "+chains.name(pod.Egress, "daddr"))
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "table ip %[1]s {}\ndelete table ip %[1]s\ntable ip %[1]s {\n", Table)
	out.WriteString(set("pods", "ipv4_addr", known))
	// A pod that calls its own Service meets itself, and nobody may forbid it that.
	out.WriteString(set("selves", "ipv4_addr . ipv4_addr", selves))
	out.WriteString(chains.text.String())
	begin(&out, "forward", podRange)
	fmt.Fprintf(&out, "    ip daddr %[1]s ip daddr != @pods counter drop\n", podRange)
	out.WriteString("    ip saddr . ip daddr @selves accept\n")
	out.WriteString(verdicts("daddr", ingress))
	out.WriteString(verdicts("saddr", egress))
	out.WriteString("  }\n")
	begin(&out, "input", podRange)
	out.WriteString(verdicts("saddr", egress))
	out.WriteString("  }\n}\n")
	return out.String()
}

// begin opens a hook's chain with what holds in each of them: answers pass, and an address that no pod holds does not talk.
func begin(out *strings.Builder, hook string, podRange netip.Prefix) {
	fmt.Fprintf(out, "  chain %[1]s {\n    type filter hook %[1]s priority -5; policy accept;\n", hook)
	out.WriteString("    ct direction reply ct state established,related accept\n    ct state related accept\n")
	// The node to itself: the bridge's own address lies in the pods' range.
	out.WriteString("    iif lo accept\n")
	fmt.Fprintf(out, "    ip saddr %[1]s ip saddr != @pods counter drop\n", podRange)
}

// chains shares equal chains: the pods of one Deployment have the same rules.
type chains struct {
	text strings.Builder
	made map[string]string
}

func newChains() *chains {
	return &chains{made: map[string]string{}}
}

func (c *chains) name(isolation *Isolation, peer string) string {
	var body strings.Builder
	for _, rule := range isolation.Allowed {
		body.WriteString("    " + strings.Join(append(match(rule, peer), "return"), " ") + "\n")
	}
	body.WriteString("    counter drop\n")
	sum := sha256.Sum256([]byte(body.String()))
	name := "allow_" + hex.EncodeToString(sum[:6])
	if _, ok := c.made[name]; !ok {
		c.made[name] = name
		fmt.Fprintf(&c.text, "  chain %s {\n%s  }\n", name, body.String())
	}
	return name
}

func match(rule Rule, peer string) []string {
	var words []string
	switch {
	case rule.Peers.Everybody:
	case rule.Peers.Block.IsValid():
		words = append(words, fmt.Sprintf("ip %s %s", peer, rule.Peers.Block))
		for _, except := range rule.Peers.Except {
			words = append(words, fmt.Sprintf("ip %s != %s", peer, except))
		}
	default:
		words = append(words, fmt.Sprintf("ip %s { %s }", peer, joined(rule.Peers.Addresses)))
	}
	switch ports := rule.Ports; {
	case ports.Protocol == "":
	case ports.First == 0 && ports.Last == 65535:
		words = append(words, "meta l4proto "+ports.Protocol)
	case ports.First == ports.Last:
		words = append(words, fmt.Sprintf("%s dport %d", ports.Protocol, ports.First))
	default:
		words = append(words, fmt.Sprintf("%s dport %d-%d", ports.Protocol, ports.First, ports.Last))
	}
	return words
}

func joined(addresses []netip.Addr) string {
	texts := make([]string, len(addresses))
	for index, address := range addresses {
		texts[index] = address.String()
	}
	return strings.Join(texts, ", ")
}

func set(name, kind string, elements []string) string {
	if len(elements) == 0 {
		return fmt.Sprintf("  set %s { type %s; }\n", name, kind)
	}
	return fmt.Sprintf("  set %s { type %s; elements = { %s } }\n", name, kind, strings.Join(elements, ", "))
}

func verdicts(field string, entries []string) string {
	if len(entries) == 0 {
		return ""
	}
	return fmt.Sprintf("    ip %s vmap { %s }\n", field, strings.Join(entries, ", "))
}
