package main

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func lines(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		found[strings.TrimSpace(line)] = true
	}
	return found
}

func TestNoRulesRefuseAllPods(t *testing.T) {
	found := lines(Render(Ruleset{}, podRange))
	for _, want := range []string{
		"set pods { type ipv4_addr; }",
		"ip saddr 10.244.0.0/16 ip saddr != @pods counter drop",
		"ip daddr 10.244.0.0/16 ip daddr != @pods counter drop",
	} {
		if !found[want] {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestTheTableIsReplacedInOneTransaction(t *testing.T) {
	text := Render(Ruleset{}, podRange)
	if !strings.HasPrefix(text, "table ip plm_netpol {}\ndelete table ip plm_netpol\ntable ip plm_netpol {\n") {
		t.Errorf("begins with %q", text[:80])
	}
}

func TestOnlyAnswersPassUnjudged(t *testing.T) {
	found := lines(Render(Compile(world(ingress())), podRange))
	if !found["ct direction reply ct state established,related accept"] || found["ct state established,related accept"] {
		t.Error("packets of open connections are not judged")
	}
}

func TestIsolatedDirectionsEndInADrop(t *testing.T) {
	text := Render(Compile(world(ingress(from(pods(labels.Set{"role": "friend"}))))), podRange)
	found := lines(text)
	if !found["ip saddr { 10.244.0.11 } return"] || strings.Count(text, "    counter drop\n") != 1 {
		t.Errorf("rendered:\n%s", text)
	}
	if !strings.Contains(text, "ip daddr vmap { 10.244.0.10 : jump allow_") || strings.Contains(text, "ip saddr vmap") {
		t.Errorf("rendered:\n%s", text)
	}
}

func TestPodsWithEqualRulesShareAChain(t *testing.T) {
	snapshot := world(ingress())
	snapshot.Pods[1].Labels = labels.Set{"app": "server"}
	if text := Render(Compile(snapshot), podRange); strings.Count(text, "chain allow_") != 1 {
		t.Errorf("rendered:\n%s", text)
	}
}

func TestWhatAPodSendsToTheNodeIsJudgedByItsEgressAlone(t *testing.T) {
	text := Render(Compile(world(ingress(), egress())), podRange)
	_, input, found := strings.Cut(text, "hook input")
	if !found || !strings.Contains(input, "ip saddr vmap { 10.244.0.11 : jump allow_") || strings.Contains(input, "daddr") {
		t.Errorf("rendered:\n%s", text)
	}
}
